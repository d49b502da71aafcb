"""Loads one half of a model from a checkpoint that holds both, without reading the other half."""

import logging
import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from open_clip.model import _build_text_tower, _build_vision_tower, convert_to_custom_text_state_dict
from safetensors import SafetensorError, safe_open
from timm.utils.model import reparameterize_model
from torch import nn

from clipseek.api.errors import ModelError
from executors.clip_encoder.model.spec import ModelSpec

logger = logging.getLogger(__name__)

HalfName = Literal["image", "text"]
_PREFIXES: dict[HalfName, str] = {"image": "visual.", "text": "text."}
# In CLIP's first layout the text half's tensors have no prefix.
_OLD_TEXT_PREFIXES = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
# Old versions of transformers wrote it, new ones do not know it.
_OBSOLETE_TENSOR = "transformer.embeddings.position_ids"
_LOGIT_SCALE = "logit_scale"

# What torch, safetensors, timm and open_clip raise for a damaged or unsuitable file.
_FILE_ERRORS = (OSError, EOFError, SafetensorError, pickle.UnpicklingError)
_LOADING_ERRORS = (*_FILE_ERRORS, RuntimeError, ValueError, TypeError, KeyError, AttributeError)


class _HalfOfWholeModel(nn.Module):
    """One half of a model that could only be built whole: calls its method, drops the other half's modules."""

    def __init__(self, model: nn.Module, method: str, unused: tuple[str, ...]) -> None:
        super().__init__()
        for name in unused:
            if hasattr(model, name):
                delattr(model, name)
        self.model, self.method = model, method

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = getattr(self.model, self.method)(values)
        return features


def load_half(spec: ModelSpec, half: HalfName) -> nn.Module:
    """Load the image or the text half in float32, for inference.

    Returns: a module from float32 [N, 3, height, width] or int64 [N, context] to float32 [N, D].
    Raises: ModelError: the weights cannot be read, or belong to another architecture.
    """
    try:
        module = _load_alone(spec, half) or _load_whole(spec, half)
    except _LOADING_ERRORS as error:
        raise ModelError(
            f"The {half} half of {spec.name} cannot be loaded from {spec.checkpoint}: {str(error)[:500]}. The "
            "file may be damaged or belong to another architecture. If ClipSeek fetched or built it, delete it."
        ) from error
    if half == "image" and _is_mergeable(spec):
        module = reparameterize_model(module, inplace=True)
    return module.float().eval().requires_grad_(False)


def read_logit_scale(checkpoint: Path) -> float | None:
    """Read the logarithm of the factor of cosines in training; None if the file does not have it."""
    try:
        if checkpoint.suffix == ".safetensors":
            with safe_open(str(checkpoint), framework="pt") as file:
                return float(file.get_tensor(_LOGIT_SCALE)) if _LOGIT_SCALE in file.keys() else None  # noqa: SIM118
        tensor = _read_torch_file(checkpoint).get(_LOGIT_SCALE)
        return None if tensor is None else float(tensor)
    except _LOADING_ERRORS as error:
        logger.info("no logit scale could be read from %s: %s", checkpoint, error)
        return None


def _load_alone(spec: ModelSpec, half: HalfName) -> nn.Module | None:
    """Load the half by itself; None if the checkpoint's layout needs the whole model."""
    if "multimodal_cfg" in spec.model_cfg or spec.checkpoint.suffix in (".npz", ".npy"):
        return None
    tensors = _read_tensors(spec.checkpoint, half)
    if not tensors:
        return None
    config = _forbid_downloads(spec)
    build: Callable[..., nn.Module] = _build_vision_tower if half == "image" else _build_text_tower
    section = config["vision_cfg" if half == "image" else "text_cfg"]
    module = build(config["embed_dim"], section, config.get("quick_gelu", False))
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
        logger.info("%s: unexpected layout of the %s half's tensors; loading the whole model", spec.name, half)
        return None
    module.load_state_dict(dict(tensors))
    return module


def _load_whole(spec: ModelSpec, half: HalfName) -> nn.Module:
    config = _forbid_downloads(spec)
    is_custom = config.pop("custom_text", False) or bool(config["text_cfg"].get("hf_model_name"))
    has_decoder = "multimodal_cfg" in config
    kind = open_clip.CoCa if has_decoder else open_clip.CustomTextCLIP if is_custom else open_clip.CLIP
    model = kind(**config)
    open_clip.load_checkpoint(model, str(spec.checkpoint))
    if half == "text":
        return _HalfOfWholeModel(model, "encode_text", ("visual", "text_decoder"))
    return _HalfOfWholeModel(model, "encode_image", ("text", "text_decoder", "transformer", "token_embedding"))


def _forbid_downloads(spec: ModelSpec) -> dict[str, Any]:
    """Copy the configuration, without the entries that make open_clip download base weights."""
    config = deepcopy(dict(spec.model_cfg))
    if config["vision_cfg"].get("timm_model_name"):
        config["vision_cfg"]["timm_model_pretrained"] = False
    if config["text_cfg"].get("hf_model_name"):
        config["text_cfg"]["hf_model_pretrained"] = False
    return config


def _read_tensors(checkpoint: Path, half: HalfName) -> dict[str, torch.Tensor]:
    """Read the half's tensors, named as its module names them; none if the layout is unknown."""
    read = _read_from_safetensors if checkpoint.suffix == ".safetensors" else _read_from_torch_file
    tensors = convert_to_custom_text_state_dict(dict(read(checkpoint, half)))
    prefix = _PREFIXES[half]
    named = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    named.pop(_OBSOLETE_TENSOR, None)
    return named


def _belongs_to(half: HalfName, name: str) -> bool:
    return name.startswith(_PREFIXES[half]) or (half == "text" and name.startswith(_OLD_TEXT_PREFIXES))


def _read_from_safetensors(checkpoint: Path, half: HalfName) -> dict[str, torch.Tensor]:
    with safe_open(str(checkpoint), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if _belongs_to(half, name)}  # noqa: SIM118


def _read_from_torch_file(checkpoint: Path, half: HalfName) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in _read_torch_file(checkpoint).items() if _belongs_to(half, name)}


def _read_torch_file(checkpoint: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, ValueError):  # the format before torch 1.6 cannot be mapped
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _is_mergeable(spec: ModelSpec) -> bool:
    """Whether the image half has parallel branches that can be merged after training, as MobileCLIP's has."""
    return str(spec.model_cfg["vision_cfg"].get("timm_model_name", "")).startswith(("fastvit", "mobileclip", "repvit"))
