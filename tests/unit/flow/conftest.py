"""Imports jina, which warns, once, where its warnings are ignored."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import docarray  # noqa: F401
    import jina  # noqa: F401
