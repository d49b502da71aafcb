"""From score curves to segments: the moments of one video that stand out for one query.

`segments.py` is the way in; `consensus.py` and `hysteresis.py` are its strategies, set by `options.py`. `windows.py`
proposes windows, `features.py` measures them, and `trees.py` judges them. `curves.py`, `shots.py` and `edges.py` hold
the steps that the strategies share.
"""
