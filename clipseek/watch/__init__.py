"""Keeps a library up to date with folders: `clipseek watch`.

watcher.py: one look at all folders. folder_scan.py, video_files.py: which videos are there. changes.py: what is new
since the last look. intake.py: indexing one file. state.py: what is remembered. events.py: what is told.
"""
