"""The models that have a short name."""

from dataclasses import dataclass

AUTO = "auto"
STARTER = "starter"
PREFERRED = "multilingual"  # the first choice of `auto`


@dataclass(frozen=True)
class Profile:
    """A short name for an open_clip model.

    Attributes:
        licence: of the weights.
        megabytes: of the weights in float32.
        languages: that its text half was trained on, for people.
    """

    architecture: str
    tag: str
    licence: str
    megabytes: int
    languages: str
    warnings: tuple[str, ...] = ()


PROFILES = {
    PREFERRED: Profile("ViT-B-32-SigLIP2-256", "webli", "Apache-2.0", 1507, "109 languages"),
    "chinese": Profile("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k", "MIT", 1467, "100 languages"),
    "english": Profile("ViT-B-32", "laion2b_s34b_b79k", "MIT", 605, "English"),
    "fast": Profile(
        "MobileCLIP2-S0",
        "dfndr2b",
        "research only",
        299,
        "English",
        ("The weights of MobileCLIP2 (profile 'fast') are licensed for research only: not for commercial use.",),
    ),
    "large": Profile("ViT-SO400M-16-SigLIP2-256", "webli", "Apache-2.0", 4543, "109 languages"),
}

STARTER_WARNING = (
    "This is the starter model, an image classifier joined to a sentence encoder: not CLIP quality. It finds things "
    "and scenes, in English and Chinese, but hardly any people, places, actions or written text. For better answers "
    f"set CLIPSEEK_MODEL={PREFERRED}, which the model hub has, or to a model's folder. Then index the videos again."
)
