"""The int8 form of an image half, an extra: without this folder everything else works. `form` finds, loads, checks it.

`optimise` makes one for `clipseek model optimise`, compares it with the model and keeps it if it is good enough.
"""
