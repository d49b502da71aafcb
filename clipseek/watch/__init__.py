"""Keeps a library up to date with folders: `clipseek watch`.

watcher.py: one look at all folders. folder_scan.py: which videos are there. video_formats.py: what counts as one.
intake.py: indexing one file. state.py: what is remembered.
"""
