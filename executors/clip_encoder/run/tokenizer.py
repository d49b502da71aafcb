"""From texts to the token numbers that a text tower reads; counts tokens, and warns about texts in other languages."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import torch
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer

from clipseek.api.errors import ModelUnavailable
from executors.clip_encoder.model.profiles import PREFERRED
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.run.sentence_encoder import SCRIPTS

_CLIPS_MODE_TOKENS = 3  # start, end and class: what open_clip's "clips" mode adds to a text
# The last ones are Latin letters whose Unicode names start differently: ordinal signs, and letters like full-width A.
_LATIN = ("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL", "FULLWIDTH LATIN", "MICRO SIGN", "MODIFIER LETTER")


class Tokenizer:
    """A model's tokenizer. Only one thread may use it at a time: fast tokenizers keep their truncation as state.

    `context_length` is how many tokens the model reads. Raises: ModelUnavailable: the files cannot be read.
    """

    def __init__(self, spec: ModelSpec) -> None:
        text = spec.model_cfg["text_cfg"]
        options: dict[str, Any] = dict(text.get("tokenizer_kwargs") or {})
        # A Hugging Face text model masks padding: without columns that hold only padding it computes the same, ten
        # times as fast for a short query.
        self._trims_padding = bool(text.get("hf_model_name"))
        self.context_length = int(text.get("context_length", DEFAULT_CONTEXT_LENGTH))
        if spec.tokenizer_folder is None:
            self._tokenizer: Any = SimpleTokenizer(context_length=self.context_length, **options)
            return
        try:
            self._tokenizer = HFTokenizer(
                str(spec.tokenizer_folder),
                context_length=self.context_length,
                tokenizer_mode=text.get("tokenizer_mode"),
                local_files_only=True,
                **options,
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelUnavailable(f"The tokenizer in {spec.tokenizer_folder} cannot be read: {error}") from error

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns: token numbers, int64 [N, context_length] or fewer columns; longer texts are truncated."""
        numbers: torch.Tensor = self._tokenizer(list(texts))
        if self._trims_padding and not isinstance(self._tokenizer, SimpleTokenizer):
            is_used = (numbers != self._tokenizer.tokenizer.pad_token_id).any(dim=0)
            numbers = numbers[:, : int(is_used.nonzero().max()) + 1]
        return numbers

    def count(self, text: str) -> int:
        """Count the tokens of the whole text, including those that mark its ends."""
        if isinstance(self._tokenizer, SimpleTokenizer):
            return len(self._tokenizer.encode(text)) + 2  # start and end
        clean, is_clips = self._tokenizer.clean_fn(text), self._tokenizer.tokenizer_mode == "clips"
        tokens = self._tokenizer.tokenizer(clean, add_special_tokens=not is_clips, truncation=False, verbose=False)
        return len(tokens.input_ids) + (_CLIPS_MODE_TOKENS if is_clips else 0)


def language_warning(text: str, spec: ModelSpec) -> list[str]:
    """Returns: one warning if the text is in a script that the model cannot read, else none."""
    advice = f"CLIPSEEK_MODEL={PREFERRED} reads many languages; the videos must then be indexed again."
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
