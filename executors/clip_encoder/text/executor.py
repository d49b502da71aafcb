"""The Flow's third step: a query's texts become embeddings."""

import functools
import logging
from typing import Any

from clipseek.documents import DocList
from clipseek.query_parts import check_query
from clipseek.schema import Component, Query
from executors.base import ChainExecutor, endpoint
from executors.clip_encoder.encoder import Encoder
from executors.clip_encoder.languages import language_warning
from executors.clip_encoder.towers import EncodedTexts, TextTower

logger = logging.getLogger(__name__)

# Queries are asked again (more answers, other videos); an embedding of 768 numbers takes 3 KB.
REMEMBERED_TEXTS = 1024
_SHOWN_CHARACTERS = 40  # of a text that a warning is about


class ClipTextEncoder(ChainExecutor):
    """Answers `/search` and `/timeline` with the embeddings of the query's texts."""

    def load(self) -> None:
        self.encoder = Encoder(self.settings, "text", TextTower)
        self._encode = functools.lru_cache(REMEMBERED_TEXTS)(self._encode_one)

    def _encode_one(self, text: str) -> EncodedTexts:
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

    async def _embed_texts(self, docs: DocList[Query]) -> DocList[Query]:
        for doc in docs:
            check_query(doc)
            with_text = [holder for holder in (doc, *doc.parts) if holder.text.strip()]
            for holder in with_text:
                encoded = await self.in_worker(self._encode, holder.text)
                holder.embedding, holder.model_id = encoded.vectors[0].tolist(), self.encoder.model_id
                about = [*encoded.truncation_warnings, *language_warning(holder.text, self.encoder.spec)]
                doc.warnings += [_about(holder.text, each) if len(with_text) > 1 else each for each in about]
        return docs

    def component(self) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))


def _about(text: str, warning: str) -> str:
    """Which of several texts a warning is about."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
    return f"'{short}': {warning}"
