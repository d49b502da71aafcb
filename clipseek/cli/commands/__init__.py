"""One file a command, named after it; main.py lists them.

A command imports what takes long (the client, the service, numpy) inside its function, so that `--help` stays fast.
"""
