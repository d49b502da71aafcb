"""Lighter garbage collection: closing a video collects, and would look through all imported modules."""

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    gc.collect()
    gc.freeze()
