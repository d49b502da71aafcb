"""Each patch of another package works; and the package still needs it, or its test fails."""

import logging
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from executors.clip_encoder.run.quirks import mute_tracing

WITH_THE_PATCH = """
import sys
import executors.clip_encoder.model.registry
assert "torch._dynamo" not in sys.modules

from executors.clip_encoder.run.quirks import _StandIn
stand_in = sys.modules["torch._dynamo"] = _StandIn("torch._dynamo")
assert not hasattr(stand_in, "__file__") and sys.modules["torch._dynamo"] is stand_in
assert stand_in.is_compiling() is False  # which it does not have itself
assert type(sys.modules["torch._dynamo"]) is not _StandIn

import torch
from torchvision.ops import roi_align
boxes = [torch.tensor([[0.0, 0.0, 4.0, 4.0]])]
assert roi_align(torch.ones(1, 3, 8, 8), boxes, 2).shape == (1, 3, 2, 2)
assert roi_align.__globals__["is_compile_supported"]("cpu")
assert torch.compile(lambda values: values + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]
"""
WITHOUT_THE_PATCH = """
import sys
import torch
assert "torch._dynamo" not in sys.modules
import open_clip
assert "torch._dynamo" in sys.modules
"""
TELEMETRY = """
import sys
import executors.clip_encoder
import openvino, nncf
from nncf.telemetry.wrapper import NNCFTelemetry, telemetry
assert not isinstance(telemetry, NNCFTelemetry)
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_encoders_leave_torchs_compiler_out_and_it_works_for_who_wants_it():
    run(WITH_THE_PATCH)


def test_without_the_patch_open_clip_still_imports_torchs_compiler():
    run(WITHOUT_THE_PATCH)


def test_openvino_and_nncf_report_nothing_over_the_network():
    pytest.importorskip("openvino_telemetry", reason="OpenVINO's telemetry is not installed")
    pytest.importorskip("nncf", reason="NNCF is not installed")
    run(TELEMETRY)


def test_without_the_patch_openvino_still_reports_that_it_was_imported():
    spec = find_spec("openvino")
    if spec is None or spec.origin is None:
        pytest.skip("OpenVINO is not installed")
    importer = Path(spec.origin).parent / "tools" / "ovc" / "__init__.py"
    assert 'telemetry.send_event("ov", "import"' in importer.read_text(encoding="utf-8")  # read: running it would send


class _Chatty(nn.Module):
    """Warns as a text model of transformers does when tracing reads what it has not."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        logging.getLogger("transformers.modeling_utils").warning("this attribute is missing")
        return values + 1


def trace() -> None:
    torch.jit.trace(_Chatty(), torch.ones(2), check_trace=False)


def test_tracing_is_quiet_and_still_warns_without_the_patch(caplog):
    with warnings.catch_warnings(record=True) as caught, mute_tracing():
        trace()
    assert not caught and not caplog.records
    with pytest.warns(DeprecationWarning, match="jit.trace"):
        trace()
    assert caplog.messages == ["this attribute is missing"]
