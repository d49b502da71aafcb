"""The third executor of the chain: it turns the texts of a query into embeddings."""

import functools
from typing import TypeVar

from clipseek.api.base_document import DocList
from clipseek.api.documents import Calibration, Component, Query, QueryPart, TextMeaning
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import Vector, read_scales
from executors.clip_encoder.relevance.spelling import read_spelling
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.languages import language_warning
from executors.clip_encoder.run.towers import EncodedTexts, TextTower
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.endpoint import Steps, endpoint
from executors.flow.executor import WORKER, ChainExecutor

T = TypeVar("T", bound=TextMeaning)

# Users repeat queries (more answers, other videos); an embedding of 768 numbers takes 3 KB.
CACHED_TEXTS = 1024
_SHOWN_CHARACTERS = 40  # of a text in a warning about it


class ClipTextEncoder(ChainExecutor):
    """Answers `/search` and `/timeline` with the embeddings of the query's texts."""

    def load(self) -> None:
        self.encoder = Encoder(self.settings, "text", TextTower)
        self._encode = functools.lru_cache(CACHED_TEXTS)(self._encode_one)
        self._scales = read_scales(self.encoder.spec)
        self._spelling = read_spelling(self.encoder.spec.checkpoint.parent)
        self._phrases = self.encoder.tower.encode(NEUTRAL_PHRASES).vectors
        self._mean_phrase = self._phrases.mean(axis=0).tolist()

    @endpoint("/calibrate")
    def calibrate(self, doc: Calibration, _caller: Caller) -> str:
        """Fill in the embeddings of neutral phrases."""
        doc.neutral_embedding = self._mean_phrase
        doc.phrases = DocList[QueryPart](
            self._fill_in(QueryPart(text=text), vector)
            for text, vector in zip(NEUTRAL_PHRASES, self._phrases, strict=True)
        )
        return f"{len(doc.phrases)} neutral phrases"

    def component(self, _caller: Caller, /) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))

    def _embed_texts(self, doc: Query) -> Steps:
        """Fill in the embeddings of the query's texts, one in each step, and the warnings about them."""
        doc.neutral_embedding = self._mean_phrase
        texts: list[TextMeaning] = [part for part in (doc, *doc.parts) if part.text.strip()]
        for number, part in enumerate(texts):
            if number:
                yield
            metrics.CACHE_LOOKUPS.labels("texts").inc()
            encoded = self._encode(part.text)
            self._fill_in(part, encoded.vectors[0])
            warnings = [*encoded.truncation_warnings, *language_warning(part.text, self.encoder.spec)]
            doc.warnings += self._warn_about_words(part.text, encoded.vectors[0])
            doc.warnings += [_with_text(part.text, warning) if len(texts) > 1 else warning for warning in warnings]
        return f"texts embedded: {len(texts)}" if texts else ""

    @endpoint("/search", queue=WORKER)
    def search(self, doc: Query, _caller: Caller) -> Steps:
        return self._embed_texts(doc)

    @endpoint("/timeline", queue=WORKER)
    def timeline(self, doc: Query, _caller: Caller) -> Steps:
        return self._embed_texts(doc)

    def _encode_one(self, text: str) -> EncodedTexts:
        metrics.CACHE_MISSES.labels("texts").inc()
        with metrics.step("text"):  # not of the endpoint, because a text in the cache takes no time
            return self.encoder.tower.encode([text])

    def _warn_about_words(self, text: str, vector: Vector) -> list[str]:
        """Returns: sentences that name the text, or a word of it, that the model does not know."""
        warnings = []
        if not self._scales.knows(vector):
            warnings.append(f"The starter model does not know '{_shorten(text)}'.")
        if self._spelling and (mistake := self._spelling.find_mistake(text)):
            warnings.append(f"The starter model does not know the word '{mistake[0]}'. Did you mean '{mistake[1]}'?")
        return warnings

    def _fill_in(self, part: T, vector: Vector) -> T:
        """Put the meaning of a text, and the scale of its cosines, into the document that holds it."""
        scale = self._scales.of(vector)
        part.embedding, part.model_id = vector.tolist(), self.encoder.model_id
        part.zero_cosine, part.one_cosine = scale.zero, scale.one
        part.above_background = scale.above_background
        return part


def _with_text(text: str, warning: str) -> str:
    return f"'{_shorten(text)}': {warning}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
