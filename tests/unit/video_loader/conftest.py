"""A lighter garbage collection: closing a video collects, which else looks through all that the tests imported."""

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    gc.collect()
    gc.freeze()
