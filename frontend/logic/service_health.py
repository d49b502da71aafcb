"""What the page tells of the service: the model that answers, and the room on its disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from clipseek.api.documents import Component

# Below this the page warns: an hour of 1080p video has about 2 GB.
LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True)
class ServiceState:
    """The server's account of itself, as far as the page shows it."""

    model: str
    device: str
    is_starter: bool
    warnings: tuple[str, ...]
    free_bytes: int
    media_roots: tuple[str, ...]
    down: tuple[str, ...]  # executors that do not answer: the service is degraded

    @property
    def is_disk_low(self) -> bool:
        return self.free_bytes < LOW_DISK_BYTES


def service_state(components: Sequence[Component]) -> ServiceState:
    """Read the answer of `Client.health`."""
    facts = {component.name: component.facts for component in components}
    encoder, loader = facts.get("image_encoder", {}), facts.get("video_loader", {})
    roots = loader.get("media_roots", "")
    answering = [component for component in components if component.ok]
    return ServiceState(
        model=encoder.get("model", "?"),
        device=encoder.get("device", "?"),
        is_starter=encoder.get("model", "").startswith("starter"),
        warnings=tuple(dict.fromkeys(warning for component in answering for warning in component.warnings)),
        free_bytes=int(loader.get("free_bytes", LOW_DISK_BYTES)),
        media_roots=tuple(root for root in roots.split(":") if root),
        down=tuple(component.name for component in components if not component.ok),
    )
