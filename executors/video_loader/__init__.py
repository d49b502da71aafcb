"""The first executor of the chain: it keeps the videos and makes pictures, clips and thumbnails of them.

`executor` answers requests. Rooms, from the top: `workers/` (processes that decode), `sample/` (frames for the model,
cuts), `clips/`, and below them `media/` (the videos' files), `decode/` and `containers/` (what is in a file).
"""
