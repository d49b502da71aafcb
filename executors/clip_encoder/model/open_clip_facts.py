"""What open_clip knows of a named model, remembered in the cache: to ask open_clip itself imports torch."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from executors.clip_encoder.model.quirks import import_open_clip


@dataclass(frozen=True)
class OpenClipFacts:
    """open_clip's entries for a NAME/TAG: of its weights, and of its architecture (None if it has none)."""

    pretrained: Mapping[str, Any]
    model_cfg: dict[str, Any] | None


def find_facts(architecture: str, tag: str, cache: Path) -> OpenClipFacts | None:
    """Returns: None if open_clip knows no such model."""
    tag = tag.lower().replace("-", "_")  # as open_clip reads tags
    file = cache / "open_clip" / version("open_clip_torch") / f"{architecture.replace('/', '-')}-{tag}.json"
    with suppress(OSError, ValueError, TypeError):  # missing or damaged: ask open_clip
        return OpenClipFacts(**json.loads(file.read_text(encoding="utf-8")))
    open_clip = import_open_clip()
    if not (pretrained := open_clip.get_pretrained_cfg(architecture, tag)):
        return None
    facts = OpenClipFacts(pretrained, deepcopy(open_clip.get_model_config(architecture)))
    with suppress(OSError):
        _write(file, facts)
    return facts


def _write(file: Path, facts: OpenClipFacts) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
        json.dump(vars(facts), draft)
    Path(draft.name).replace(file)
