"""From the value of CLIPSEEK_MODEL to a model whose files are on this machine."""

import difflib
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from filelock import FileLock

from clipseek.api.errors import ModelUnavailable, UnknownModel
from clipseek.config.profiles import (
    AUTO,
    MODEL_NAMES,
    PREFERRED,
    PROFILES,
    STARTER,
    STARTER_WARNING,
    get_command,
    is_folder,
)
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.hub import WEIGHTS_NAMES, Hub, NotDownloaded
from executors.clip_encoder.model.open_clip_facts import find_facts
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.quirks import import_open_clip
from executors.clip_encoder.model.spec import ImageForm, ModelSpec

logger = logging.getLogger(__name__)

LOCAL_PREFIX = "local-dir:"
# The two encoders of a Flow start together and must decide alike, even if the hub comes and goes between them. So a
# decision of `auto` is valid for all children of one process for this long.
_DECISION_SECONDS = 120.0
# The rooms that make models, `starter` and `int8`, are imported only when they are needed, so they can be left out.
_PACKAGE = __name__.rpartition(".model.")[0]


def has_starter() -> bool:
    """Whether the starter model is part of this installation."""
    return find_spec(f"{_PACKAGE}.starter") is not None


def build_starter(models: Path) -> ModelSpec:
    """Build the starter model below `models`, or find it there. Raises: ModelUnavailable."""
    missing = "The starter model is not part of this installation. Set CLIPSEEK_MODEL to another one."
    spec: ModelSpec = _import_maker("starter", "starter", missing).build_starter(models)
    return spec


def find_int8_form(spec: ModelSpec, cache: Path) -> ImageForm:
    """Find the int8 form of a model's image half. Raises: ModelUnavailable."""
    missing = (
        "CLIPSEEK_ENGINE is 'int8', which is not part of this installation. Install ClipSeek with its extra `int8` (in "
        "a clone: pip install '.[int8]'), or set CLIPSEEK_ENGINE=auto"
    )
    form: ImageForm = _import_maker("int8", "form", missing).find_form(spec, cache)
    return form


def _import_maker(room: str, module: str, missing: str) -> ModuleType:
    if find_spec(f"{_PACKAGE}.{room}") is None:
        raise ModelUnavailable(missing)
    return import_module(f"{_PACKAGE}.{room}.{module}")


@dataclass(frozen=True)
class Registry:
    """Finds models."""

    cache: Path  # folder for built models
    hub: Hub = field(default_factory=Hub)  # where named models come from
    build_starter: Callable[[Path], ModelSpec] = build_starter

    def resolve(
        self, name: str, store_model: str | None = None, engine: str = "auto", picture_fit: str = "auto"
    ) -> ModelSpec:
        """Find the model called `name`; fetch or build what is missing.

        Args:
            name: `auto`, `starter`, a profile, an open_clip NAME/TAG, a folder, or `local-dir:FOLDER`.
            store_model: the name of the model that filled the store; `auto` stays with it.
            engine: as CLIPSEEK_ENGINE; `int8` adds the int8 form of the image half.
            picture_fit: as CLIPSEEK_PICTURE_FIT.

        Raises:
            UnknownModel: there is no such model; the message lists similar names.
            ModelUnavailable: its files are missing; the message says why and what to do.
        """
        name = name.strip() or AUTO
        if name.lower() != AUTO:
            spec = self._find_by_name(name, f"CLIPSEEK_MODEL={name}")
        elif store_model:
            spec = self._find_by_name(store_model, "auto: this model filled the store")
        else:
            spec = self._decide()
        if picture_fit != "auto":
            spec = replace(spec, preprocessing=replace(spec.preprocessing, fit=picture_fit))
        return replace(spec, image_form=find_int8_form(spec, self.cache)) if engine == "int8" else spec

    def _find_by_name(self, name: str, reason: str) -> ModelSpec:
        if name.lower() == STARTER:
            return self._find_starter(reason)
        if profile := PROFILES.get(name.lower()):
            return self._find_on_hub(profile.architecture, profile.tag, reason)
        if name.startswith(LOCAL_PREFIX):
            return _read_folder(Path(name.removeprefix(LOCAL_PREFIX)), reason)
        if name.startswith(("/", "./", "../", "~")):
            return _read_folder(Path(name), reason)
        architecture, _, tag = name.rpartition("/")
        if tag and find_facts(architecture, tag, self.cache):
            return self._find_on_hub(architecture, tag.lower().replace("-", "_"), reason)
        if is_folder(name):
            return _read_folder(Path(name), reason)
        raise _unknown_model(name)

    def _find_starter(self, reason: str) -> ModelSpec:
        return replace(self.build_starter(self.cache / "models"), reason=reason, warnings=(STARTER_WARNING,))

    def _find_on_hub(self, architecture: str, tag: str, reason: str) -> ModelSpec:
        try:
            return self._find_files(architecture, tag, reason)
        except NotDownloaded as error:
            name = f"{architecture}/{tag}"
            raise ModelUnavailable(
                f"The model {name} is not on this machine, and nothing is downloaded unasked. Get it with "
                f"{get_command(name)}, then try again. CLIPSEEK_MODEL=starter needs no download."
            ) from error

    def _find_files(self, architecture: str, tag: str, reason: str) -> ModelSpec:
        facts = find_facts(architecture, tag, self.cache)
        pretrained, model_cfg = (facts.pretrained, deepcopy(facts.model_cfg)) if facts else ({}, None)
        repository, _, filename = pretrained.get("hf_hub", "").rpartition("/")
        if model_cfg is None or not repository:
            raise ModelUnavailable(
                f"open_clip knows {architecture}/{tag}, but not where its weights are. Choose another model, or set "
                "CLIPSEEK_MODEL to a folder with this one"
            )
        # The activation belongs to the weights: open_clip only warns if the architecture's default differs from it.
        model_cfg["quick_gelu"] = bool(pretrained.get("quick_gelu", model_cfg.get("quick_gelu", False)))
        vision, text = model_cfg["vision_cfg"], model_cfg["text_cfg"]
        checkpoint = self.hub.fetch(repository, _list_weights_names(filename))
        tokenizer = text.get("hf_tokenizer_name")
        tokenizer_folder = self.hub.fetch_text_files(tokenizer) if tokenizer else None
        if text.get("hf_model_name"):
            text["hf_model_name"] = str(self.hub.fetch_text_files(text["hf_model_name"]))
        return ModelSpec(
            name=f"{architecture}/{tag}",
            model_cfg=model_cfg,
            preprocessing=Preprocessing.from_config(vision.get("image_size", 224), pretrained),
            checkpoint=checkpoint,
            tokenizer_folder=tokenizer_folder,
            reason=reason,
            warnings=next(
                (p.warnings for p in PROFILES.values() if (p.architecture, p.tag) == (architecture, tag)), ()
            ),
        )

    def _decide(self) -> ModelSpec:
        """Choose the model of an empty store: the same for both encoders of one Flow."""
        record = self.cache / "auto.json"
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{record}.lock"):
            if last_decision := _read_decision(record):
                return self._find_by_name(*last_decision)
            spec = self._find_preferred_or_starter()
            decision = {"parent": os.getppid(), "at": time.time(), "name": spec.name, "reason": spec.reason}
            record.write_text(json.dumps(decision), encoding="utf-8")
            return spec

    def _find_preferred_or_starter(self) -> ModelSpec:
        profile = PROFILES[PREFERRED]
        here = replace(self, hub=replace(self.hub, may_download=False))
        if self.hub.find_cached(profile.repository, WEIGHTS_NAMES):
            with suppress(NotDownloaded):
                return here._find_files(profile.architecture, profile.tag, f"auto: the {PREFERRED} profile is here")
        return self._find_starter(f"auto: the starter model; {get_command(PREFERRED)} gets a better one")


def _read_folder(folder: Path, reason: str) -> ModelSpec:
    with suppress(RuntimeError):  # there is no such user
        folder = folder.expanduser()
    folder = folder.resolve()
    if not is_folder(str(folder)):
        raise UnknownModel(f"There is no model folder {folder}. Check the path in CLIPSEEK_MODEL")
    return read_model_folder(folder, str(folder), reason)


def _list_weights_names(filename: str) -> tuple[str, ...]:
    if not filename:
        return WEIGHTS_NAMES
    return (f"{Path(filename).stem}.safetensors", filename) if filename.endswith((".bin", ".pth")) else (filename,)


def _unknown_model(name: str) -> UnknownModel:
    open_clip = import_open_clip()
    names = [*MODEL_NAMES, *(f"{model}/{tag}" for model, tag in open_clip.list_pretrained())]
    by_lower_case = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower().replace(":", "/"), by_lower_case, 5, 0.5)
    tags = [f"{name}/{tag}" for tag in open_clip.list_pretrained_tags_by_model(name)]
    similar = (tags or [by_lower_case[match] for match in close])[:8]
    hint = f" Similar names: {', '.join(similar)}." if similar else ""
    return UnknownModel(
        f"There is no model '{name}'.{hint} CLIPSEEK_MODEL takes {', '.join(MODEL_NAMES)}, a folder, "
        'or an open_clip NAME/TAG; list those with: python -c "import open_clip; print(open_clip.list_pretrained())"'
    )


def _read_decision(record: Path) -> tuple[str, str] | None:
    try:
        decision = json.loads(record.read_text(encoding="utf-8"))
        is_valid = decision["parent"] == os.getppid() and 0 <= time.time() - decision["at"] < _DECISION_SECONDS
        return (decision["name"], decision["reason"]) if is_valid else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or damaged: decide
