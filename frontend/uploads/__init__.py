"""Videos on their way into the library.

`queue.py` indexes them one by one, `job.py` is one of them with its progress, `queue_folder.py` stores them on disk.
`quirks.py` makes Streamlit write large uploads to disk; `spool.py` hands those files over.
"""
