"""What the client, the command line, the page and the executors share.

`documents.py` holds the documents on the wire, `endpoints.py` the table of endpoints, `errors.py` every error.
`base_document.py` and `bounds.py` are what documents are made of, `search_options.py` the options of a search,
`limits.py` and `formats.py` numbers and times, `model_ids.py` and `score_scale.py` what is said of models, `quirks.py`
workarounds.
"""
