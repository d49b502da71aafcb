"""Segment strategies that the default is measured against, with their options.

`catalogue.py` lists them beside those of the product: `thresholds.py` (otsu, two-level), `peaks.py`, `proposals.py`
(contrast, watershed) and `baselines.py` (peak-walk, gap-merge). `options.py` adds what they read.
"""
