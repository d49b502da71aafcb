"""The machine below the executors: `processors.py` counts processors, `disk.py` and `folder_cache.py` keep files.

`worker.py` runs tasks in processes that may be killed, `fair_queue.py` in threads that callers share fairly.
`sentence_encoder.py` tells what texts mean, `scripts.py` which language they are in.
"""
