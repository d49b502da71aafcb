"""A model in a folder, as open_clip writes it: open_clip_config.json, weights, tokenizer files."""

import json
from pathlib import Path
from typing import Any

from clipseek.api.errors import ModelUnavailable, UnknownModel
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.spec import ModelSpec

CONFIG_NAME = "open_clip_config.json"
# If a folder holds several, the first of these names is used, then any file with one of these endings.
_WEIGHTS_NAMES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
)
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".npz")
_SECTIONS = ("embed_dim", "vision_cfg", "text_cfg")


def read_model_folder(folder: Path, name: str, reason: str, weights_sha256: str = "") -> ModelSpec:
    """Describe the model in `folder`; `name` is what people call it.

    A relative `hf_model_name` in the configuration means a path in the folder, so that the folder can be moved.

    Raises: UnknownModel: the folder holds no open_clip configuration; ModelUnavailable: it holds no weights.
    """
    config = _read_config(folder / CONFIG_NAME)
    model_cfg = config["model_cfg"]
    vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
    if text.get("hf_model_name") and (folder / text["hf_model_name"] / "config.json").is_file():
        text["hf_model_name"] = str((folder / text["hf_model_name"]).resolve())
    return ModelSpec(
        name=name,
        model_cfg=model_cfg,
        preprocessing=Preprocessing.from_config(vision.get("image_size", 224), config.get("preprocess_cfg") or {}),
        checkpoint=_find_weights(folder),
        tokenizer_folder=folder if text.get("hf_tokenizer_name") else None,
        reason=reason,
        weights_sha256=weights_sha256,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [section for section in _SECTIONS if section not in config["model_cfg"]]
    except FileNotFoundError:
        raise UnknownModel(f"{path.parent} is not a model folder: it has no {CONFIG_NAME}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnknownModel(f"{path} cannot be read as an open_clip configuration: {error!r}") from error
    if missing:
        raise UnknownModel(f"{path} is not complete: its model_cfg has no {', '.join(missing)}")
    if not config.get("preprocess_cfg"):
        raise UnknownModel(
            f"{path} is not complete: it has no preprocess_cfg, which says how training prepared its pictures. "
            "Copy it from where the model comes from"
        )
    return config


def _find_weights(folder: Path) -> Path:
    for name in _WEIGHTS_NAMES:
        if (folder / name).is_file():
            return folder / name
    files = [file for suffix in _WEIGHTS_SUFFIXES for file in sorted(folder.glob(f"*{suffix}"))]
    if not files:
        raise ModelUnavailable(
            f"The model folder {folder} holds no weights. Put them there, for example as {_WEIGHTS_NAMES[0]}"
        )
    return files[0]
