"""What is known of a model before it is loaded, and the identity that its vectors carry."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from executors.clip_encoder.run.preprocessing import Preprocessing

# Entries of an open_clip configuration that say where things lie, not what is computed.
_PLACES = ("hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "timm_model_pretrained")
# Names of text models and tokenizers that were trained on many languages.
_MANY_LANGUAGES = ("siglip2", "i18n", "worldwide", "xlm", "mt5", "nllb", "gemma", "multilingual")


@dataclass(frozen=True)
class ModelSpec:
    """A model that is there to be loaded.

    Attributes:
        name: what CLIPSEEK_MODEL has to say to get this model again: `starter`, NAME/TAG, or a folder's path.
        model_cfg: open_clip's configuration, with every path absolute.
        preprocessing: how it wants its pictures.
        checkpoint: the file with the weights of both towers.
        tokenizer_folder: files of a Hugging Face tokenizer; None for open_clip's own byte-pair tokenizer.
        reason: why this model was chosen, for people.
        warnings: what people should know of it.
        weights_sha256: 64 hex digits where the weights' identity is known without reading the file, else "".
        int8_image: OpenVINO's file of an image half to run in place of the checkpoint's, see `optimise.py`; None: none.
    """

    name: str
    model_cfg: Mapping[str, Any]
    preprocessing: Preprocessing
    checkpoint: Path
    tokenizer_folder: Path | None
    reason: str
    warnings: tuple[str, ...] = ()
    weights_sha256: str = ""
    int8_image: Path | None = None

    @property
    def dimensions(self) -> int:
        return int(self.model_cfg["embed_dim"])

    @property
    def is_multilingual(self) -> bool:
        """Whether its text half is known to have been trained on many languages."""
        text = self.model_cfg["text_cfg"]
        names = (self.name, text.get("hf_model_name"), text.get("hf_tokenizer_name"))
        return any(part in str(name).lower() for name in names for part in _MANY_LANGUAGES)

    def identity(self, weights_sha256: str) -> str:
        """`NAME@WEIGHTS:RECIPE`: both encoders of a Flow, on whatever machines, give the same for the same model.

        WEIGHTS are the first 16 hex digits of the weights' SHA-256, RECIPE 8 of the configuration's: the architecture,
        the preprocessing, and how pictures are fitted. Vectors of two models may be compared if what follows the last
        `@` is equal.
        """
        architecture = deepcopy(dict(self.model_cfg))
        for part in ("vision_cfg", "text_cfg"):
            architecture[part] = {k: v for k, v in architecture[part].items() if k not in _PLACES}
        recipe = [architecture, asdict(self.preprocessing), asdict(self.preprocessing.picture_format)]
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{weights_sha256[:16]}:{digest[:8]}"
