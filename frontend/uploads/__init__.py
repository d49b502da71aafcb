"""Videos on their way into the library.

`queue.py` indexes them one by one, `queue_folder.py` stores them on disk, `room.py` checks that they fit.
`quirks.py` makes Streamlit write large uploads to disk, and hands those files over.
"""
