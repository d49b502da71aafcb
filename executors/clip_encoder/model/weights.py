"""One half of a model, built and filled from a checkpoint that holds both, without reading the other half."""

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

Half = Literal["image", "text"]
_PREFIXES: dict[Half, str] = {"image": "visual.", "text": "text."}
# How CLIP's first layout names the text half's tensors: without a prefix.
_OLD_TEXT_PREFIXES = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
# Written by old versions of transformers, unknown to new ones.
_FORGOTTEN = "transformer.embeddings.position_ids"
_LOGIT_SCALE = "logit_scale"

# What torch, safetensors, timm and open_clip raise for a damaged file or one that does not fit.
_LOADING_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    SafetensorError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)


class _WholeModel(nn.Module):
    """One half of a model that could only be built whole: calls the method, keeps the other half's modules out."""

    def __init__(self, model: nn.Module, method: str, unused: tuple[str, ...]) -> None:
        super().__init__()
        for name in unused:
            if hasattr(model, name):
                delattr(model, name)
        self.model, self.method = model, method

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = getattr(self.model, self.method)(values)
        return features


def load_half(spec: ModelSpec, half: Half) -> nn.Module:
    """Load the image or the text half in float32, for inference.

    Returns: a module from float32 [N, 3, height, width] or int64 [N, context] to float32 [N, D].

    Raises:
        ModelError: the weights cannot be read, or are those of another architecture.
    """
    try:
        module = _half_alone(spec, half) or _half_of_whole(spec, half)
    except _LOADING_ERRORS as error:
        raise ModelError(
            f"The {half} half of {spec.name} cannot be loaded from {spec.checkpoint}: {str(error)[:500]}. The "
            "file may be damaged or belong to another architecture; delete a fetched or built one to get it anew."
        ) from error
    if half == "image" and _is_mergeable(spec):
        module = reparameterize_model(module, inplace=True)
    return module.float().eval().requires_grad_(False)


def read_logit_scale(checkpoint: Path) -> float | None:
    """The logarithm of what a model's cosines are multiplied by in training; None where the file does not say."""
    try:
        if checkpoint.suffix == ".safetensors":
            with safe_open(str(checkpoint), framework="pt") as file:
                return float(file.get_tensor(_LOGIT_SCALE)) if _LOGIT_SCALE in file.keys() else None  # noqa: SIM118
        tensor = _loaded(checkpoint).get(_LOGIT_SCALE)
        return None if tensor is None else float(tensor)
    except _LOADING_ERRORS as error:
        logger.info("%s does not say its logit scale: %s", checkpoint, error)
        return None


def _half_alone(spec: ModelSpec, half: Half) -> nn.Module | None:
    """The half by itself; None where the checkpoint is laid out in a way that wants the whole model."""
    if "multimodal_cfg" in spec.model_cfg or spec.checkpoint.suffix in (".npz", ".npy"):
        return None
    tensors = _tensors_of(spec.checkpoint, half)
    if not tensors:
        return None
    config = _without_downloads(spec)
    build: Callable[..., nn.Module] = _build_vision_tower if half == "image" else _build_text_tower
    part = config["vision_cfg" if half == "image" else "text_cfg"]
    module = build(config["embed_dim"], part, config.get("quick_gelu", False))
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
        logger.info("%s: the %s half's tensors are not laid out as expected; loading the whole model", spec.name, half)
        return None
    module.load_state_dict(dict(tensors))
    return module


def _half_of_whole(spec: ModelSpec, half: Half) -> nn.Module:
    """Let open_clip build and convert the whole model, then drop the other half."""
    config = _without_downloads(spec)
    is_custom = config.pop("custom_text", False) or bool(config["text_cfg"].get("hf_model_name"))
    has_decoder = "multimodal_cfg" in config
    kind = open_clip.CoCa if has_decoder else open_clip.CustomTextCLIP if is_custom else open_clip.CLIP
    model = kind(**config)
    open_clip.load_checkpoint(model, str(spec.checkpoint))
    if half == "text":
        return _WholeModel(model, "encode_text", ("visual", "text_decoder"))
    return _WholeModel(model, "encode_image", ("text", "text_decoder", "transformer", "token_embedding"))


def _without_downloads(spec: ModelSpec) -> dict[str, Any]:
    """The configuration with open_clip's own fetching of base weights switched off."""
    config = deepcopy(dict(spec.model_cfg))
    if config["vision_cfg"].get("timm_model_name"):
        config["vision_cfg"]["timm_model_pretrained"] = False
    if config["text_cfg"].get("hf_model_name"):
        config["text_cfg"]["hf_model_pretrained"] = False
    return config


def _tensors_of(checkpoint: Path, half: Half) -> dict[str, torch.Tensor]:
    """The half's tensors under the names that its tower gives them; none if the layout is not known."""
    read = _from_safetensors if checkpoint.suffix == ".safetensors" else _from_torch
    tensors = convert_to_custom_text_state_dict(dict(read(checkpoint, half)))
    prefix = _PREFIXES[half]
    named = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    named.pop(_FORGOTTEN, None)
    return named


def _belongs(name: str, half: Half) -> bool:
    return name.startswith(_PREFIXES[half]) or (half == "text" and name.startswith(_OLD_TEXT_PREFIXES))


def _from_safetensors(checkpoint: Path, half: Half) -> dict[str, torch.Tensor]:
    with safe_open(str(checkpoint), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if _belongs(name, half)}  # noqa: SIM118 (no mapping)


def _from_torch(checkpoint: Path, half: Half) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in _loaded(checkpoint).items() if _belongs(name, half)}


def _loaded(checkpoint: Path) -> dict[str, torch.Tensor]:
    try:
        loaded = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, ValueError):  # the format before torch 1.6 cannot be mapped
        loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else {}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _is_mergeable(spec: ModelSpec) -> bool:
    """Whether the image half has parallel branches that merge into one after training, as MobileCLIP's have."""
    return str(spec.model_cfg["vision_cfg"].get("timm_model_name", "")).startswith(("fastvit", "mobileclip", "repvit"))
