"""Lighter garbage collection: closing a video collects, and would look through all imported modules.

Jina, which the loader's executor imports, warns: here once, where it is let be.
"""

import gc
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import docarray  # noqa: F401
    import jina  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    gc.collect()
    gc.freeze()
