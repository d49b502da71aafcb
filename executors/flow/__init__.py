"""Everything that is Jina. The base executor is in `executor.py`, the handlers of requests in `endpoint.py`.

`gateway/` admits requests and routes them; `callers.py` and `document_checks.py` check them in each executor.
`quirks/` works around faults of Jina. `defaults.py` fills flow.yml's variables, `lifetime.py` ends processes with their
parent, `metrics.py` counts, `pod.py` runs one process alone.
"""

from clipseek.api.quirks import stand_in_for_cloud_clients

stand_in_for_cloud_clients()  # here, because some modules of this room import Jina first
