"""Which sources of words can be read here: each needs packages of the extra `words`."""

import functools
from importlib.util import find_spec

from clipseek.api.limits import SCREEN, SPEECH, SUBTITLE

PACKAGES = {SUBTITLE: (), SCREEN: ("rapidocr", "onnxruntime"), SPEECH: ("faster_whisper",)}
"""What must be installed for each source. Subtitle tracks inside of files need nothing."""
WISHED = {SUBTITLE: ("pysubs2",)}
"""What a source reads more with: subtitle files beside videos."""


@functools.cache
def missing_packages(source: str) -> tuple[str, ...]:
    return tuple(name for name in PACKAGES[source] if find_spec(name) is None)


def choose_sources(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the wanted sources that can be read here."""
    return tuple(source for source in wanted if not missing_packages(source))


def describe_missing(wanted: tuple[str, ...]) -> list[str]:
    """A sentence for what cannot be read, and what to do; none if all can."""
    names = {SPEECH: "speech", SCREEN: "text in pictures"}
    lacking = [names[source] for source in wanted if missing_packages(source)]
    if not lacking:
        return []
    return [f"Words of videos: no {' and no '.join(lacking)} is read. Run `pip install 'clipseek[words]'`."]
