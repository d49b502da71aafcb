"""What the pages draw. Each module owns the session-state keys that it declares.

`visitor.py`, `messages.py`, `model_banner.py` and `elements.py` serve all of them; `search/`, `library/` and
`video_timeline.py` belong to the pages of those names. `clip_editor.py` is a dialog.
"""
