"""How good the segment strategies are, measured on real and synthetic curves and on labelled videos.

`__main__.py` prints the tables of docs/quality.md. `real_curves.py`, `synthetic_curves.py` and `video_curves.py` make
the cases, and `scoring.py` runs the rules of `strategies/` on them; `tuning.py` chooses options, `fitting.py` fits
trees.
"""
