"""The Flow's gateway (`gateway.py`): `door.py` admits callers, `rates.py` limits them, `routes.py` picks the executors.

`cancellation.py` cancels a request in the whole chain when its caller hangs up.
"""
