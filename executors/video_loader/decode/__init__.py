"""Opening and decoding videos: `container` opens files, `packets` reads and seeks, `source` gives timed frames.

`hardware` chooses the decoder, `skipping` skips frames that no other needs, `picture` renders frames, with `interlace`
and `tone_map`, `probe` describes a video, and `quirks` works around PyAV.
"""
