"""How many processors a process may use: those of its machine, or fewer where its container has a quota of their time.

Torch, Faiss and OpenVINO start a thread for each processor that they see. Under a quota, as `docker run --cpus` and a
pod's limits set it, these use it up together and then stand still until the next tenth of a second.
"""

import functools
import os

import joblib


@functools.cache
def processor_count() -> int:
    """At least one; parts of one that a quota allows count as one."""
    return int(joblib.cpu_count())


def has_quota() -> bool:
    """Whether there are fewer than the machine has."""
    return processor_count() < (os.cpu_count() or 1)


def keep_to_quota() -> None:
    """Let OpenMP, by which torch and Faiss compute, start so many threads. To be called before they are loaded."""
    if has_quota():
        os.environ.setdefault("OMP_NUM_THREADS", str(processor_count()))
