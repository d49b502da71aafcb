"""The Flow's gateway (`gateway.py`): `door.py` admits requests of callers that `doorkeeper.py` knows.

`library_models.py` says which model answers. `request_size.py` measures a request, `rates.py` limits its caller, `replicas.py` sends it to the executors, and
`streams.py` cancels it in the whole chain when its caller hangs up.
"""
