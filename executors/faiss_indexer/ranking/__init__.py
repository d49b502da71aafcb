"""From queries to ranked answers.

`queries.py` holds what a query asks for; `relevance.py` turns cosines into relevance and scores, and `calibration.py`
fits its cut-off to a library; `matches.py` finds a video's matches, and `merging.py` merges those of all videos.
"""
