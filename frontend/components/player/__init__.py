"""Playing and cutting.

`clip_player.py` plays a clip, `clip_editor.py` moves its edges and saves it.
`video_timeline.py` draws the score curve of a video and plays from where it is clicked.
"""
