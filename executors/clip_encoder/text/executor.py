"""The Flow's third step: a query's texts become embeddings."""

import functools
import logging
from typing import Any, TypeVar

from clipseek.api.base_document import DocList
from clipseek.api.documents import Calibration, Component, Query, QueryPart
from clipseek.api.query_parts import check_query
from executors.clip_encoder.relevance.languages import language_warning
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import Vector, read_scales
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.towers import EncodedTexts, TextTower
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.document_checks import check_document
from executors.flow.executor import ChainExecutor, endpoint

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=Query | QueryPart)

# Queries are asked again (more answers, other videos); an embedding of 768 numbers takes 3 KB.
REMEMBERED_TEXTS = 1024
_SHOWN_CHARACTERS = 40  # of a text that a warning is about


class ClipTextEncoder(ChainExecutor):
    """Answers `/search` and `/timeline` with the embeddings of the query's texts."""

    def load(self) -> None:
        self.encoder = Encoder(self.settings, "text", TextTower)
        self._encode = functools.lru_cache(REMEMBERED_TEXTS)(self._encode_one)
        self._scales = read_scales(self.encoder.spec)
        self._phrases = self.encoder.tower.encode(NEUTRAL_PHRASES).vectors
        self._mean_phrase = self._phrases.mean(axis=0).tolist()

    def _encode_one(self, text: str) -> EncodedTexts:
        metrics.CACHE_MISSES.labels("texts").inc()
        with metrics.step("text"):
            return self.encoder.tower.encode([text])

    @endpoint("/search")
    async def search(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        """Fill in the embeddings of each query's texts, and what is to be said about them.

        Raises:
            EmptyQuery, InvalidRequest: a query cannot be understood; see `check_query`.
        """
        return await self._embed_texts(docs)

    @endpoint("/timeline")
    async def timeline(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        """As `search`."""
        return await self._embed_texts(docs)

    @endpoint("/calibrate")
    async def calibrate(self, docs: DocList[Calibration], **_: Any) -> DocList[Calibration]:
        """Fill in what neutral phrases mean to the model."""
        for doc in docs:
            doc.neutral_embedding = self._mean_phrase
            doc.phrases = DocList[QueryPart](
                self._filled(QueryPart(text=text), vector)
                for text, vector in zip(NEUTRAL_PHRASES, self._phrases, strict=True)
            )
        return docs

    async def _embed_texts(self, docs: DocList[Query]) -> DocList[Query]:
        for doc in docs:
            check_document(doc, self.settings)
            check_query(doc)
            doc.neutral_embedding = self._mean_phrase
            holders: list[Query | QueryPart] = [doc, *doc.parts]
            with_text = [holder for holder in holders if holder.text.strip()]
            for holder in with_text:
                metrics.CACHE_LOOKUPS.labels("texts").inc()
                encoded = await self.in_worker(self._encode, holder.text)
                self._filled(holder, encoded.vectors[0])
                about = [*encoded.truncation_warnings, *language_warning(holder.text, self.encoder.spec)]
                doc.warnings += [_about(holder.text, each) if len(with_text) > 1 else each for each in about]
        return docs

    def _filled(self, holder: T, vector: Vector) -> T:
        """What a text means, and how to read its cosines, put into the document that holds it."""
        scale = self._scales.of(vector)
        holder.embedding, holder.model_id = vector.tolist(), self.encoder.model_id
        holder.curve_embedding = self._scales.for_curves(vector).tolist()
        holder.zero_cosine, holder.one_cosine = scale.zero, scale.one
        holder.above_background = scale.above_background
        return holder

    def component(self, _caller: Caller, /) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))


def _about(text: str, warning: str) -> str:
    """Which of several texts a warning is about."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
    return f"'{short}': {warning}"
