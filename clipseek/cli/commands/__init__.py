"""The commands; main.py lists them. library.py has the short ones about videos, store.py those about the store.

A command imports what takes long (the client, the service, numpy) inside its function, so that `--help` stays fast.
"""
