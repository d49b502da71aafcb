"""The state of the service as the page shows it: its model, its disk, what is down."""

from collections.abc import Sequence
from dataclasses import dataclass

from clipseek.api.documents import Component

# The page warns below this: one hour of 1080p video takes about 2 GB.
LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True)
class ServiceState:
    model: str
    device: str
    is_starter: bool
    warnings: tuple[str, ...]
    free_bytes: int
    media_roots: tuple[str, ...]  # server folders whose videos may be indexed in place
    down: tuple[str, ...]  # names of the executors that do not answer


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
