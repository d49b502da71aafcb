"""The indexer: the durable store, its Faiss cache, and the way from a query's embedding to segments.

`executor.py` and `documents.py` speak to the wire, `model_executor.py` and `job_executor.py` for models and jobs.
`library.py` is the way in, `model_libraries.py` has one for each model. Below it, `store/` is the truth,
`index/` its cache, `moments/` divides score curves, `ranking/` judges and orders.
"""
