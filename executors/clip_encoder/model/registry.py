"""From what CLIPSEEK_MODEL says to a model that is there to be loaded."""

import difflib
import json
import logging
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import open_clip
from filelock import FileLock

from clipseek.api.errors import ModelUnavailable, UnknownModel
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.hub import WEIGHTS_NAMES, Hub
from executors.clip_encoder.model.profiles import AUTO, PREFERRED, PROFILES, STARTER, STARTER_WARNING
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.run.preprocessing import Preprocessing
from executors.clip_encoder.starter.starter import build_starter

logger = logging.getLogger(__name__)

LOCAL_PREFIX = "local-dir:"
# The two encoders of a Flow start at once and must not decide differently about a hub that comes and goes: what `auto`
# decided holds for the children of one process for this long.
_DECISION_SECONDS = 120.0


@dataclass(frozen=True)
class Registry:
    """Finds models.

    Args:
        cache: folder for built models.
        hub: where named models come from.
        build_starter: makes the starter model's folder under the given one, if it is not there yet.
    """

    cache: Path
    hub: Hub = field(default_factory=Hub)
    build_starter: Callable[[Path], ModelSpec] = build_starter

    def resolve(self, asked: str, store_model: str | None = None) -> ModelSpec:
        """Find the model that `asked` names, fetching or building what is missing.

        Args:
            asked: `auto`, `starter`, a profile, an open_clip NAME/TAG, a folder, or `local-dir:FOLDER`.
            store_model: the name of the model that filled the store; `auto` stays with it.

        Raises:
            UnknownModel: there is no such model; the message lists names that come near.
            ModelUnavailable: its files cannot be had; the message says why and what to do.
        """
        asked = asked.strip() or AUTO
        if asked.lower() != AUTO:
            return self._named(asked, f"CLIPSEEK_MODEL={asked}")
        if store_model:
            return self._named(store_model, "auto: the store was filled by it")
        return self._decided()

    def _named(self, asked: str, reason: str) -> ModelSpec:
        if asked.lower() == STARTER:
            return self._starter(reason)
        if profile := PROFILES.get(asked.lower()):
            return self._from_hub(profile.architecture, profile.tag, reason)
        if asked.startswith(LOCAL_PREFIX):
            return _from_folder(Path(asked.removeprefix(LOCAL_PREFIX)), reason)
        architecture, _, tag = asked.rpartition("/")
        if open_clip.get_pretrained_cfg(architecture, tag):
            return self._from_hub(architecture, _clean(tag), reason)
        if Path(asked).expanduser().is_dir() or asked.startswith(("/", "./", "../", "~")):
            return _from_folder(Path(asked), reason)
        raise _unknown(asked)

    def _starter(self, reason: str) -> ModelSpec:
        return replace(self.build_starter(self.cache / "models"), reason=reason, warnings=(STARTER_WARNING,))

    def _from_hub(self, architecture: str, tag: str, reason: str) -> ModelSpec:
        """Raises ModelUnavailable."""
        known = open_clip.get_pretrained_cfg(architecture, tag)
        model_cfg = deepcopy(open_clip.get_model_config(architecture))
        repository, _, filename = known.get("hf_hub", "").rpartition("/")
        if model_cfg is None or not repository:
            raise ModelUnavailable(f"{architecture}/{tag} is known, but open_clip does not say where its weights are")
        # The activation belongs to the weights: open_clip only warns where the architecture's default differs from it.
        model_cfg["quick_gelu"] = bool(known.get("quick_gelu", model_cfg.get("quick_gelu", False)))
        vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
        checkpoint = self.hub.fetch(repository, _weights_names(filename))
        tokenizer = text.get("hf_tokenizer_name")
        tokenizer_folder = self.hub.fetch_text_files(tokenizer) if tokenizer else None
        if text.get("hf_model_name"):
            text["hf_model_name"] = str(self.hub.fetch_text_files(text["hf_model_name"]))
        return ModelSpec(
            name=f"{architecture}/{tag}",
            model_cfg=model_cfg,
            preprocessing=Preprocessing.from_config(vision.get("image_size", 224), known),
            checkpoint=checkpoint,
            tokenizer_folder=tokenizer_folder,
            reason=reason,
            warnings=_profile_warnings(architecture, tag),
        )

    def _decided(self) -> ModelSpec:
        """What `auto` means for an empty store: the same for both encoders of one Flow."""
        record = self.cache / "auto.json"
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{record}.lock"):
            if earlier := _read_decision(record):
                return self._named(*earlier)
            spec = self._preferred_or_starter()
            _write_decision(record, spec)
            return spec

    def _preferred_or_starter(self) -> ModelSpec:
        profile = PROFILES[PREFERRED]
        repository = open_clip.get_pretrained_cfg(profile.architecture, profile.tag)["hf_hub"].rstrip("/")
        cached = self.hub.cached(repository, WEIGHTS_NAMES) is not None
        why_not = "" if cached else self.hub.why_unreachable(repository)
        if not why_not:
            reason = f"auto: the {PREFERRED} profile, " + (
                "found in the cache" if cached else "fetched from the model hub"
            )
            try:
                return self._from_hub(profile.architecture, profile.tag, reason)
            except ModelUnavailable as error:
                why_not = str(error)
        return self._starter(f"auto: the starter model, because the {PREFERRED} one is not to be had: {why_not}")


def _from_folder(folder: Path, reason: str) -> ModelSpec:
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise UnknownModel(f"There is no folder {folder} to take the model from")
    return read_model_folder(folder, str(folder), reason)


def _clean(tag: str) -> str:
    return tag.lower().replace("-", "_")  # as open_clip reads tags


def _weights_names(filename: str) -> tuple[str, ...]:
    if not filename:
        return WEIGHTS_NAMES
    return (f"{Path(filename).stem}.safetensors", filename) if filename.endswith((".bin", ".pth")) else (filename,)


def _profile_warnings(architecture: str, tag: str) -> tuple[str, ...]:
    return next((p.warnings for p in PROFILES.values() if (p.architecture, p.tag) == (architecture, tag)), ())


def _unknown(asked: str) -> UnknownModel:
    names = [AUTO, STARTER, *PROFILES, *(f"{name}/{tag}" for name, tag in open_clip.list_pretrained())]
    by_lower_case = {name.lower(): name for name in names}
    near = [by_lower_case[n] for n in difflib.get_close_matches(asked.lower().replace(":", "/"), by_lower_case, 5, 0.5)]
    tags = [f"{asked}/{tag}" for tag in open_clip.list_pretrained_tags_by_model(asked)]
    hint = f" Near to it: {', '.join((tags or near)[:8])}." if tags or near else ""
    return UnknownModel(
        f"There is no model '{asked}'.{hint} CLIPSEEK_MODEL takes {AUTO}, {STARTER}, {', '.join(PROFILES)}, a folder, "
        'or an open_clip NAME/TAG; list those with: python -c "import open_clip; print(open_clip.list_pretrained())"'
    )


def _read_decision(record: Path) -> tuple[str, str] | None:
    try:
        decision = json.loads(record.read_text(encoding="utf-8"))
        fresh = decision["parent"] == os.getppid() and 0 <= time.time() - decision["at"] < _DECISION_SECONDS
        return (decision["name"], decision["reason"]) if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged: decide


def _write_decision(record: Path, spec: ModelSpec) -> None:
    decision = {"parent": os.getppid(), "at": time.time(), "name": spec.name, "reason": spec.reason}
    record.write_text(json.dumps(decision), encoding="utf-8")
