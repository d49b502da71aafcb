"""The Flow's gateway (`gateway.py`): `door.py` admits requests of callers that `doorkeeper.py` knows.

`request_size.py` measures a request, `rates.py` limits its caller, `library_models.py` names the model of its library,
`replicas.py` sends it to the executors, and `streams.py` cancels it in the whole chain when its caller hangs up.
"""
