"""Whether a model can read a text's language, as far as the script tells."""

import unicodedata

from executors.clip_encoder.model.profiles import PREFERRED
from executors.clip_encoder.model.spec import ModelSpec


def language_warning(text: str, spec: ModelSpec) -> list[str]:
    """A warning if the text has letters that are not Latin and the model knows English only; else nothing."""
    if spec.is_multilingual or not has_other_script(text):
        return []
    return [
        f"The model ({spec.name}) understands English only, and the text is written in another script (e.g. Chinese): "
        f"the answers will be poor. CLIPSEEK_MODEL={PREFERRED} reads many languages; index the videos again then."
    ]


def has_other_script(text: str) -> bool:
    """Whether the text holds a letter outside the Latin script, a Chinese or Cyrillic one for example."""
    return any(char.isalpha() and not unicodedata.name(char, "").startswith(_LATIN) for char in text)


# The last ones are Latin letters whose Unicode names begin otherwise: the ordinal signs, and letters like full-width A.
_LATIN = ("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL", "FULLWIDTH LATIN", "MICRO SIGN", "MODIFIER LETTER")
