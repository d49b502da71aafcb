"""What a model is and where it comes from, before anything loads or runs it.

`registry` turns CLIPSEEK_MODEL into a `spec.ModelSpec`: a named model (`profiles`, files from `hub`), a `folder`, or
one that `starter` or `int8` makes. `open_clip_facts` are what open_clip knows of a name, `picture_format` is how a
model wants pictures; `quirks` patches what models import.
"""
