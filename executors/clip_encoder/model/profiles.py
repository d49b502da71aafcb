"""The models that have a short name."""

from dataclasses import dataclass

AUTO = "auto"
STARTER = "starter"
PREFERRED = "multilingual"  # what `auto` takes if it can


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
    "The starter model is at work: an image classifier and a sentence encoder, joined, not CLIP quality. It finds "
    "things and scenes in English, but hardly people, places, actions or written text, and no Chinese. For more, set "
    f"CLIPSEEK_MODEL={PREFERRED} where the model hub can be reached, or to a folder with a model, and index again."
)
