"""The store: the SQLite file that is the truth about a library. All SQL on it is written in this room.

`store.py` is the way in, with the `records.py` that it takes and gives; `database.py` and `schema.py` keep the file.
`spans.py`, `index_cache.py`, `frame_cache.py` and `check.py` hold spans, the two caches, and the check for doctor.
"""
