"""A model so small that building it takes a moment, in both of open_clip's layouts."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

CONTEXT = 16
MODEL_CFG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS_CFG = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic", "resize_mode": "squash"}


def write_folder(
    folder: Path, *, custom_text: bool = False, torch_file: bool = False, seed: int = 0, dimensions: int = 24
) -> Path:
    """Write a model folder with random weights, as open_clip would. Returns: the folder."""
    folder.mkdir(parents=True)
    sized = MODEL_CFG | {"embed_dim": dimensions}
    model_cfg = sized | ({"custom_text": True} if custom_text else {})
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_cfg, "preprocess_cfg": PREPROCESS_CFG})
    )
    torch.manual_seed(seed)
    model = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**sized)
    if torch_file:
        state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save({"epoch": 1, "state_dict": state}, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder
