"""The indexer's executor imports jina, which warns: here once, where it is let be."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import docarray  # noqa: F401
    import jina  # noqa: F401
