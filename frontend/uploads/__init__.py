"""Videos on their way into the library.

`queue.py` sends them to the service one by one, `queue_folder.py` stores them on disk until then, `room.py` checks that
they fit. `service_jobs.py` asks how far the service is with them, `job.py` is what the page shows of one.
`quirks.py` makes Streamlit write large uploads to disk, and hands those files over.
"""
