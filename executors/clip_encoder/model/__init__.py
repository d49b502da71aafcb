"""What a model is, where it comes from, and its weights, before anything runs it.

`registry` turns CLIPSEEK_MODEL into a `spec.ModelSpec`: a named model (`profiles`, files from `hub`), a `folder`, or
one that `starter` or `int8` makes. `picture_format` is how it wants pictures, `weights` loads a half of it.
"""
