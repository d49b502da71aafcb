"""The machine below the executors: `processors.py` counts processors, `disk.py` and `folder_cache.py` keep files."""
