"""What is configured: settings from the environment, and files below CLIPSEEK_HOME that an operator changes.

settings.py: all settings. groups.py, limits.py: their groups. declaration.py, parsing.py: how each is declared and
checked. addresses.py, tls.py, access.py, libraries.py, store_files.py, distribution.py: one thing each.
"""
