"""The library page.

`add_videos.py` takes uploads and server folders, `jobs_panel.py` shows their progress.
`video_card.py` draws one video.
"""
