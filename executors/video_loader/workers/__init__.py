"""Processes that decode: `worker` is one, with its pool; `video_workers` runs all work on videos in such processes.

`library_frames` is a program of its own, for `clipseek model optimise`.
"""
