"""The number of processors that a process may use: those of its machine, or fewer where its container has a quota.

Torch, Faiss and OpenVINO start a thread for each processor that they see. Under a quota, as `docker run --cpus` and a
pod's limits set it, these threads use it up together and then pause until the next tenth of a second.
"""

import functools
import os

import joblib


@functools.cache
def processor_count() -> int:
    """At least 1; a quota of a fraction counts as a whole processor."""
    return int(joblib.cpu_count())


def has_quota() -> bool:
    """Whether this process may use fewer processors than the machine has."""
    return processor_count() < (os.cpu_count() or 1)


def keep_to_quota() -> None:
    """Limit the threads of OpenMP, with which torch and Faiss compute. Call it before they are loaded."""
    if has_quota():
        os.environ.setdefault("OMP_NUM_THREADS", str(processor_count()))
