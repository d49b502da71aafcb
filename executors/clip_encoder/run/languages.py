"""Warns about texts in languages that a model does not read."""

import unicodedata

from clipseek.config.profiles import PREFERRED
from executors.clip_encoder.model.spec import ModelSpec
from executors.machine.sentence_encoder import SCRIPTS

# The last ones are Latin letters whose Unicode names start differently: ordinal signs, and letters like full-width A.
_LATIN = ("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL", "FULLWIDTH LATIN", "MICRO SIGN", "MODIFIER LETTER")


def language_warning(text: str, spec: ModelSpec) -> list[str]:
    """Returns: one warning if the text is in a script that the model cannot read, else none."""
    advice = f"The model {PREFERRED} reads many languages: `clipseek model use {PREFERRED}`."
    if spec.has_sentence_encoder and has_other_script(text, SCRIPTS):
        return [f"The starter model was not trained on the script of this text: expect poor answers. {advice}"]
    if spec.is_multilingual or not has_other_script(text):
        return []
    return [
        f"The model ({spec.name}) understands only English, but the text is in another script (e.g. Chinese): expect "
        f"poor answers. {advice}"
    ]


def has_other_script(text: str, scripts: tuple[str, ...] = ()) -> bool:
    """Whether the text holds a letter outside the Latin script, for example a Chinese or Cyrillic one.

    The letters whose Unicode names start with one of `scripts` do not count.
    """
    known = (*_LATIN, *scripts)
    return any(char.isalpha() and not unicodedata.name(char, "").startswith(known) for char in text)
