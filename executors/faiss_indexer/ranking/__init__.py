"""From queries to ranked answers.

`queries.py` holds what a query asks for; `relevance.py` turns cosines into relevance and scores, fitted to a library.
`video_curves.py` draws a video's curve, `matches.py` finds its matches, `merging.py` merges all.
"""
