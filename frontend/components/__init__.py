"""What the pages draw: each function here draws one thing and owns the session-state keys that begin with its name.

`visitor.py`, `messages.py` and `elements.py` serve all of them; `search/`, `library/` and
`video_timeline.py` belong to the pages of those names. `clip_editor.py` is a dialog.
"""
