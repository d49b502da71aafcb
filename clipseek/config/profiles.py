"""The models that have a short name: declared here once, for the executors, the commands and the documentation."""

from dataclasses import dataclass
from pathlib import Path

AUTO = "auto"
STARTER = "starter"
PREFERRED = "multilingual"  # the first choice of `auto`


@dataclass(frozen=True)
class Profile:
    """A short name for an open_clip model.

    Attributes:
        repository: where open_clip fetches the weights, so that looking for them needs no torch.
        licence: of the weights.
        megabytes: of the weights in float32.
        languages: that its text half was trained on, for people.
        recall_chinese, recall_english: published recall on Crossmodal-3600, in percent; None where docs have none.
    """

    architecture: str
    tag: str
    repository: str
    licence: str
    megabytes: int
    languages: str
    recall_chinese: float | None = None
    recall_english: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def open_clip_name(self) -> str:
        return f"{self.architecture}/{self.tag}"

    @property
    def recall(self) -> str:
        """Both recalls for people; "" where none is published."""
        if self.recall_chinese is None or self.recall_english is None:
            return ""
        return f"{self.recall_chinese:.1f} / {self.recall_english:.1f}"


PROFILES = {
    PREFERRED: Profile(
        "ViT-B-32-SigLIP2-256", "webli", "timm/ViT-B-32-SigLIP2-256", "Apache-2.0", 1507, "109 languages", 62.6, 73.2
    ),
    "chinese": Profile(
        "xlm-roberta-base-ViT-B-32",
        "laion5b_s13b_b90k",
        "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
        "MIT",
        1467,
        "100 languages",
        72.5,
        68.3,
    ),
    "english": Profile("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "MIT", 605, "English"),
    "fast": Profile(
        "MobileCLIP2-S0",
        "dfndr2b",
        "timm/MobileCLIP2-S0-OpenCLIP",
        "research only",
        299,
        "English",
        warnings=(
            "The weights of MobileCLIP2 (profile 'fast') are licensed for research only: not for commercial use.",
        ),
    ),
    "large": Profile(
        "ViT-SO400M-16-SigLIP2-256",
        "webli",
        "timm/ViT-SO400M-16-SigLIP2-256",
        "Apache-2.0",
        4543,
        "109 languages",
        66.2,
        74.9,
    ),
}
STARTER_LANGUAGES, STARTER_LICENCE = "English, Chinese", "Apache-2.0"

MODEL_NAMES = (AUTO, STARTER, *PROFILES)
"""All short names that CLIPSEEK_MODEL takes."""


def short_name(open_clip_name: str) -> str:
    """The profile's name for an open_clip NAME/TAG; the same NAME/TAG where it has none."""
    return next((name for name, row in PROFILES.items() if row.open_clip_name == open_clip_name), open_clip_name)


def is_same_model(name: str, other: str) -> bool:
    """Whether two values of CLIPSEEK_MODEL select the same model."""
    return _full_name(name) == _full_name(other)


def is_folder(name: str) -> bool:
    """Whether there is a folder of this name; not if no file can have it, or this user may not look."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False


def _full_name(name: str) -> str:
    name = name.strip().removeprefix("local-dir:")
    if profile := PROFILES.get(name.lower()):
        return _full_name(profile.open_clip_name)
    if name.lower() in MODEL_NAMES:
        return name.lower()
    if name.startswith(("/", "./", "../", "~")) or is_folder(name):
        return str(Path(name).expanduser().resolve())
    return name.lower().replace("-", "_")


def get_command(name: str) -> str:
    """The command that brings a model, with its size where that is known."""
    profile = PROFILES.get(short_name(name))
    return f"`clipseek model get {short_name(name)}`" + (f" ({profile.megabytes} MB)" if profile else "")


STARTER_WARNING = (
    "This is the starter model, an image classifier joined to a sentence encoder: not CLIP quality. It finds things "
    "and scenes, in English and Chinese, but hardly any people, places, actions or written text. For better answers "
    f"run {get_command(PREFERRED)}, then `clipseek model use {PREFERRED}`."
)
