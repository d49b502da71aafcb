"""From score curves to segments: the moments of one video that stand out for one query.

`segments.py` is the way in; `consensus.py` (which judges the proposals of `windows.py`) and `hysteresis.py` are its
strategies, set by `options.py`. `curves.py`, `shots.py` and `edges.py` hold the steps that they share.
"""
