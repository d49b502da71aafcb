"""From texts to the token numbers that a text half reads, and how many there are."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer

from clipseek.api.errors import ModelError, ModelUnavailable
from executors.clip_encoder.model.spec import ModelSpec

_CLIPS_MODE_TOKENS = 3  # start, end and class: what open_clip's "clips" mode adds to a text


class Tokenizer:
    """A model's tokenizer. Only one thread may use it at a time: fast tokenizers keep their truncation as state.

    `context_length` is how many tokens the model reads.

    Raises: ModelUnavailable: the files cannot be read. ModelError: the tokenizer does not fit the text tower, which
    would turn texts into wrong vectors without an error.
    """

    def __init__(self, spec: ModelSpec) -> None:
        text = spec.model_cfg["text_cfg"]
        options: dict[str, Any] = dict(text.get("tokenizer_kwargs") or {})
        # A Hugging Face text model masks padding: without columns that hold only padding it computes the same, ten
        # times as fast for a short query.
        self._trims_padding = bool(text.get("hf_model_name"))
        self._wants_plain_text = options.get("clean") == "canonicalize"
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
        if fault := self._find_fault(text):
            raise ModelError(
                f"The tokenizer in {spec.tokenizer_folder} does not fit the model's text half: {fault}. Texts would "
                "get wrong vectors. Copy the tokenizer files from where the model comes from"
            )

    def _find_fault(self, text: dict[str, Any]) -> str:
        """What makes the tokenizer unfit for the text tower; "" if nothing does."""
        tokenizer, known = self._tokenizer.tokenizer, text.get("vocab_size")
        if tokenizer.padding_side != "right":
            return f"it pads on the {tokenizer.padding_side}, but the text half reads from the left"
        if known and not text.get("hf_model_name") and len(tokenizer) > known:
            return f"it knows {len(tokenizer)} tokens, but the text half {known}"
        if not text.get("hf_model_name"):
            return ""
        padding = _read_padding(Path(text["hf_model_name"]))
        if padding is not None and tokenizer.pad_token_id != padding:
            return f"it pads with token {tokenizer.pad_token_id}, but the text half ignores token {padding}"
        ends = {tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.sep_token_id, tokenizer.eos_token_id} - {None}
        if ends and self._tokenizer.tokenizer_mode != "clips" and not ends & set(tokenizer("a").input_ids):
            return "it does not mark the ends of a text (tokenizer.json has no post-processor)"
        return ""

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Returns: token numbers, int64 [N, context_length] or fewer columns; longer texts are truncated."""
        numbers: torch.Tensor = self._tokenizer([self._clean(text) for text in texts])
        if self._trims_padding and not isinstance(self._tokenizer, SimpleTokenizer):
            is_used = (numbers != self._tokenizer.tokenizer.pad_token_id).any(dim=0)
            numbers = numbers[:, : int(is_used.nonzero().max()) + 1]
        return numbers.numpy()

    def count(self, text: str) -> int:
        """Count the tokens of the whole text, including those that mark its ends."""
        if isinstance(self._tokenizer, SimpleTokenizer):
            return len(self._tokenizer.encode(text)) + 2  # start and end
        clean, is_clips = self._tokenizer.clean_fn(self._clean(text)), self._tokenizer.tokenizer_mode == "clips"
        tokens = self._tokenizer.tokenizer(clean, add_special_tokens=not is_clips, truncation=False, verbose=False)
        return len(tokens.input_ids) + (_CLIPS_MODE_TOKENS if is_clips else 0)

    def _clean(self, text: str) -> str:
        """Leave out punctuation where the model was trained without: open_clip leaves out that of ASCII alone."""
        if not self._wants_plain_text:
            return text
        return "".join(" " if _is_foreign_punctuation(char) else char for char in text)


def _is_foreign_punctuation(char: str) -> bool:
    return not char.isascii() and unicodedata.category(char).startswith("P")


def _read_padding(folder: Path) -> int | None:
    """The token that a text model takes for padding; None if its configuration does not say."""
    try:
        padding = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("pad_token_id")
    except (OSError, ValueError, AttributeError):
        return None
    return padding if isinstance(padding, int) else None
