"""How good the segment strategies are, measured on generated curves and on labelled videos.

`__main__.py` prints the tables of docs/quality.md. `synthetic_curves.py` and `video_curves.py` make the cases, and
`scoring.py` runs the rules of `strategies/` on them; `tuning.py` and `fitting.py` choose options and weights.
"""
