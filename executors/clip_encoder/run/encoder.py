"""`Encoder`: one half of a model, loaded, and its facts for `/health`; both encoder executors have some."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from clipseek.api.errors import ClipSeekError
from clipseek.config.profiles import AUTO, is_same_model
from clipseek.config.settings import START_ERRORS_VARIABLE, Settings
from clipseek.machine.stored_model import read_store_model
from executors.clip_encoder.model.hub import Hub
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import ModelSpec, model_id
from executors.clip_encoder.run.device import Device, choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=ImageTower | TextTower)


class Encoder(Generic[T]):
    """One half of a model. By default that of the main library, and where that has none, of the settings.

    Args:
        settings: the model, and the device to compute on.
        half: "image" or "text", for the log.
        build_tower: builds this half from the model and the device.
        registry: the source of models; by default the user's cache and the hub.
        name: another model, which must be on this machine.

    Raises: UnknownModel, ModelUnavailable, ModelError or InvalidSetting; logged as well.
    """

    def __init__(
        self,
        settings: Settings,
        half: str,
        build_tower: Callable[[ModelSpec, Device], T],
        registry: Registry | None = None,
        *,
        name: str = "",
    ) -> None:
        registry = registry or Registry(settings.cache, Hub(may_download=settings.model_download and not name))
        server_reports = START_ERRORS_VARIABLE in os.environ
        try:
            self.device = choose_device(settings.device, settings.engine)
            self.spec = self._choose(settings, registry, name)
            self.model_id = model_id(self.spec, settings.cache)
            self.tower = build_tower(self.spec, self.device)
        except ClipSeekError as error:
            if not server_reports:
                logger.error("The %s encoder cannot start: %s", half, error)  # noqa: TRY400 (one line; it contains the cause)
            raise
        logger.info("%s encoder ready: %s (%s)", half, self.model_id, self.spec.reason)
        for warning in self.spec.warnings if half == "image" and not server_reports else ():
            logger.warning(warning)

    @staticmethod
    def _choose(settings: Settings, registry: Registry, name: str) -> ModelSpec:
        asked = settings.model.strip() or AUTO
        is_auto = asked.lower() == AUTO
        stored = name or read_store_model(settings, in_use=not is_auto)
        if not name and (is_auto or not stored or is_same_model(stored, asked)):
            return registry.resolve(asked, stored, settings.engine, settings.picture_fit)
        spec = registry.resolve(str(stored), None, settings.engine, settings.picture_fit)
        spec = replace(spec, reason="the library uses this model")
        if name:
            return spec
        warning = (
            f"CLIPSEEK_MODEL is {asked}, but the library uses {stored}, and that one answers. To change the library: "
            f"clipseek model use {asked}"
        )
        return replace(spec, warnings=(*spec.warnings, warning))

    @property
    def facts(self) -> dict[str, str]:
        """The facts of this executor in `/health`."""
        return {
            "model": self.spec.name,
            "model_id": self.model_id,
            "reason": self.spec.reason,
            "device": self.device.name,
            "precision": self.device.precision,
            "engine": self.tower.engine,
            "pictures": self.spec.preprocessing.describe(),
            "dimensions": str(self.spec.dimensions),
        }
