"""What is said, subtitled and written in the videos of a library, and the search over it.

`terms.py` folds a text to what is compared, `cue_store.py` keeps the cues, `word_search.py` finds them (the way in),
and `joining.py` puts them together with what pictures show.
"""
