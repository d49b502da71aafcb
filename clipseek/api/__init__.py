"""What the client, the command line, the page and the executors share.

`documents.py` holds the documents on the wire, `endpoints.py` the table of endpoints, `errors.py` every error.
"""
