"""Threads under a quota of processor time."""

import subprocess
import sys

from executors.machine import processors

PROGRAM = """
import joblib, os
joblib.cpu_count, os.cpu_count = lambda: 1, lambda: 64
import executors
import faiss, torch
from executors.clip_encoder.run.openvino_model import _LATENCY
print(torch.get_num_threads(), faiss.omp_get_max_threads(), _LATENCY.get("INFERENCE_NUM_THREADS"))
"""


def test_what_computes_starts_no_more_threads_than_the_quota_allows(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "1 1 1", done.stderr


def test_what_the_operator_says_of_threads_holds(monkeypatch):
    monkeypatch.setattr(processors, "has_quota", lambda: True)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    processors.keep_to_quota()
    assert processors.os.environ["OMP_NUM_THREADS"] == "7"
