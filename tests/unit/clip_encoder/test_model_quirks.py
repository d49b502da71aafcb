"""Each patch of another package works; and the package still needs it, or its test fails."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import open_clip
import pytest
from safetensors.torch import save_file
from transformers import BertConfig

from benchmarks.synthetic.models import MODEL_CFG, PREPROCESS_CFG
from tests.unit.clip_encoder.test_tokenizer import write_tokenizer

WITH_THE_PATCH = """
import sys
import executors.clip_encoder.pytorch
assert "open_clip" in sys.modules
assert "torch._dynamo" not in sys.modules

from executors.clip_encoder.model.quirks import _StandIn
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


CONVERTING = """
import sys
from contextlib import nullcontext
from pathlib import Path
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.pytorch.weights import load_half
from executors.clip_encoder.model.quirks import mute_tracing
from executors.clip_encoder.pytorch import half
from executors.clip_encoder.pytorch.tokenizer import Tokenizer

spec = read_model_folder(Path(sys.argv[1]), "tiny", "test")
half.mute_tracing = globals()[sys.argv[2]]
half.TorchHalf(load_half(spec, "text")).convert(Tokenizer(spec).encode(["a cat", "a cat a cat"]))
"""


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """A folder with a model whose text half is one of transformers, with random weights."""
    folder = tmp_path_factory.mktemp("text-model")
    write_tokenizer(folder)
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    BertConfig(vocab_size=8, hidden_size=32, pad_token_id=0, **layers).save_pretrained(folder)
    text = {"hf_model_name": ".", "hf_tokenizer_name": ".", "hf_pooler_type": "mean_pooler", "context_length": 8}
    config = {"model_cfg": MODEL_CFG | {"text_cfg": text}, "preprocess_cfg": PREPROCESS_CFG}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    untrained = text | {"hf_model_name": str(folder), "hf_model_pretrained": False}
    save_file(
        open_clip.CustomTextCLIP(**MODEL_CFG | {"text_cfg": untrained}).state_dict(), folder / "model.safetensors"
    )
    return folder


def run(program: str, *arguments: str) -> str:
    """Run it. Returns: what it prints to stderr."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_encoders_leave_torchs_compiler_out_and_it_works_for_who_wants_it():
    run(WITH_THE_PATCH)


def test_without_the_patch_open_clip_still_imports_torchs_compiler():
    run(WITHOUT_THE_PATCH)


def test_openvino_and_nncf_report_nothing_over_the_network():
    pytest.importorskip("nncf", reason="NNCF is not installed")
    run(TELEMETRY)


def test_without_the_patch_openvino_still_reports_that_it_was_imported():
    spec = find_spec("openvino")
    if spec is None or spec.origin is None:
        pytest.skip("OpenVINO is not installed")
    importer = Path(spec.origin).parent / "tools" / "ovc" / "__init__.py"
    assert 'telemetry.send_event("ov", "import"' in importer.read_text(encoding="utf-8")  # read: running it would send


def test_converting_a_model_prints_nothing(text_model):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    assert run(CONVERTING, str(text_model), "mute_tracing") == ""


def test_without_the_patch_converting_a_model_still_prints_warnings(text_model):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    printed = run(CONVERTING, str(text_model), "nullcontext")
    assert "`torch.jit.trace` is deprecated" in printed and "[transformers] " in printed
