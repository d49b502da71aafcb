"""The models that have a short name."""

from dataclasses import dataclass

AUTO = "auto"
STARTER = "starter"
PREFERRED = "multilingual"  # the first choice of `auto`


@dataclass(frozen=True)
class Profile:
    """A short name for an open_clip model."""

    architecture: str
    tag: str
    warnings: tuple[str, ...] = ()


PROFILES = {
    "english": Profile("ViT-B-32", "laion2b_s34b_b79k"),
    PREFERRED: Profile("ViT-B-32-SigLIP2-256", "webli"),
    "fast": Profile(
        "MobileCLIP2-S0",
        "dfndr2b",
        ("The weights of MobileCLIP2 (profile 'fast') are licensed for research only: not for commercial use.",),
    ),
}

STARTER_WARNING = (
    "This is the starter model, an image classifier joined to a sentence encoder: not CLIP quality. It finds things "
    "and scenes, in English and Chinese, but hardly any people, places, actions or written text. For better answers "
    f"set CLIPSEEK_MODEL={PREFERRED}, which the model hub has, or to a model's folder. Then index the videos again."
)
