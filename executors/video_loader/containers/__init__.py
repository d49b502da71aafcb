"""Files and what is in them: `container` opens them, `tracks` chooses the pictures and sounds of a video.

`parts` names the recordings of a file that holds several, `restarts` finds where each begins, and `programmes` tells
which tracks of a broadcast belong together.
"""
