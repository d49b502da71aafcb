"""Threads under a quota of processor time."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from executors.machine import processors

ROOT = Path(__file__).parents[2]
# A container with 64 processors, of which the quota allows the time of one.
CONTAINER = """
import builtins, io, os
there, open_file = os.path.exists, builtins.open
quota = "/sys/fs/cgroup/cpu.max"
os.cpu_count = lambda: 64
os.path.exists = lambda path: path == quota or there(path)
builtins.open = lambda path, *more, **options: (
    io.StringIO("100000 100000") if path == quota else open_file(path, *more, **options)
)
def count_threads():
    return len(os.listdir("/proc/self/task"))
"""
COMPUTE = """
import executors
import faiss, torch
from executors.clip_encoder.run.openvino_model import _LATENCY
print(torch.get_num_threads(), faiss.omp_get_max_threads(), _LATENCY.get("INFERENCE_NUM_THREADS"))
"""
FILTER = """
import numpy
from av.video.frame import VideoFrame
from executors.video_loader.decode.tone_map import ToneMapper
frame = VideoFrame.from_ndarray(numpy.zeros((1620, 1920), numpy.uint8), "yuv420p")
before = count_threads()
frame.color_trc = 16  # HDR
mapper = ToneMapper()
mapper.convert(frame, 1920, 1080, 2)
print(count_threads() - before)
"""


@pytest.mark.parametrize(("program", "expected"), [(COMPUTE, "1 1 1"), (FILTER, "0")], ids=["compute", "filter"])
def test_no_library_starts_more_threads_than_the_quota_allows(monkeypatch, program, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    command = [sys.executable, "-W", "ignore", "-c", CONTAINER + program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == expected, done.stderr


def test_every_scaler_and_graph_is_told_its_number_of_threads():
    """Otherwise FFmpeg starts one for each processor of the machine, up to 16."""
    for file in sorted((ROOT / "executors").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "reformat":
                assert "threads" in {keyword.arg for keyword in call.keywords}, f"{file}:{call.lineno}"
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Graph":
                assert file.name == "quirks.py", f"{file}:{call.lineno}"


def test_what_the_operator_says_of_threads_holds(monkeypatch):
    monkeypatch.setattr(processors, "has_quota", lambda: True)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    processors.keep_to_quota()
    assert processors.os.environ["OMP_NUM_THREADS"] == "7"
