"""Made inputs: `videos.py` and `library.py` make videos and stores, `models.py` models, `labelled_videos.py` and
`sample_moments.py` known moments.
"""
