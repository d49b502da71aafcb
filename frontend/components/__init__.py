"""What the pages draw: each function here draws one thing and owns the session-state keys that begin with its name.

`elements.py` has the small pieces that several rooms use; `shell/` is what every page has.
`search/`, `player/`, `library/` and `basket/` belong to the pages of those names.
"""
