"""Decoding videos: `packets` reads and seeks, `source` gives timed frames, `joined` those of several recordings.

`hardware` chooses the decoder, `skipping` skips frames that no other needs, `picture` renders frames, with `interlace`
and `tone_map`, `probe` describes a video, and `quirks` works around PyAV.
"""
