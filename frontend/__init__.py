"""The page: a Streamlit app that talks to the server through `clipseek.Client` only.

`python -m frontend` (`__main__.py`) serves `app.py`; `services.py` holds what all sessions share.
`views/` are the pages, `components/` what they draw, `logic/`, `media/` and `uploads/` work without Streamlit.
`server/` says which requests the page answers.
"""
