"""Whether a model can read a text's language, judged by the script."""

import unicodedata

from executors.clip_encoder.model.profiles import PREFERRED
from executors.clip_encoder.model.spec import ModelSpec

# The last ones are Latin letters whose Unicode names start differently: ordinal signs, and letters like full-width A.
_LATIN = ("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL", "FULLWIDTH LATIN", "MICRO SIGN", "MODIFIER LETTER")


def language_warning(text: str, spec: ModelSpec) -> list[str]:
    """Returns: one warning if the text is in another script than Latin and the model knows only English, else none."""
    if spec.is_multilingual or not has_other_script(text):
        return []
    return [
        f"The model ({spec.name}) understands only English, but the text is in another script (e.g. Chinese): expect "
        f"poor answers. CLIPSEEK_MODEL={PREFERRED} reads many languages; the videos must then be indexed again."
    ]


def has_other_script(text: str) -> bool:
    """Whether the text holds a letter outside the Latin script, for example a Chinese or Cyrillic one."""
    return any(char.isalpha() and not unicodedata.name(char, "").startswith(_LATIN) for char in text)
