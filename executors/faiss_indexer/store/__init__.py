"""The store: the SQLite file that is the truth about a library. All SQL on it is written in this room.

`store.py` is the way in, with the `records.py` that it takes and gives; `database.py` keeps the file and its tables.
`models.py` keeps the vectors of several models side by side; `jobs.py` keeps the jobs of the service, in the main
library's store. `spans.py` plans and numbers spans; `cache_file.py` reads and writes the saved index; `check.py` and
`report.py` serve the doctor and backups.
"""
