import subprocess
import sys

PROGRAM = """
import sys
import executors.clip_encoder.registry
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


def test_encoders_leave_torchs_compiler_out_and_it_works_for_who_wants_it():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
