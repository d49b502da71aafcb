"""The page's web server.

`request_check.py` says which requests are refused; `quirks.py` makes Streamlit's server ask it first.
"""
