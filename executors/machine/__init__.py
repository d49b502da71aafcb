"""The machine below the executors: `processors.py` counts processors, `durable.py` syncs files to the disk."""
