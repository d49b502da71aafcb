"""The indexer: the durable store, its Faiss cache, and the way from a query's embedding to segments.

`executor.py` and `documents.py` speak to the wire, `library.py` is the way in. Below it, `store/` is the truth,
`index/` its cache, `moments/` divides score curves, `ranking/` judges and orders.
"""
