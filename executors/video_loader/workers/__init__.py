"""Processes that decode: `video_workers` runs all work on videos in them; `executors/machine/worker.py` is one.

`library_frames` is a program of its own, for `clipseek model optimise`.
"""
