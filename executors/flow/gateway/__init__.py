"""The Flow's gateway (`gateway.py`): `door.py` admits callers, `rates.py` limits them.

`streams.py` picks the executors of a request, and cancels it in the whole chain when its caller hangs up.
"""
