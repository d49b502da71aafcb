"""Clips: `cut` cuts one out of a video, with `encode` (exact to the frame) and `sound`; `cache` keeps finished ones.

`join` puts several into one video, by `remux` if nothing needs encoding; `thumbnails` makes single pictures.
"""
