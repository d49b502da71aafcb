"""Checks the kept videos for `clipseek doctor`: `media_check` in a folder, `shared_check` in an object store.

`library_check` is the program that runs them.
"""
