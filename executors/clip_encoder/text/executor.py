"""The Flow's third step: a query's text becomes an embedding."""

import functools
import logging
from typing import Any

from clipseek.documents import DocList
from clipseek.schema import Component, Query
from executors.base import ChainExecutor, endpoint
from executors.clip_encoder.encoder import Encoder
from executors.clip_encoder.languages import language_warning
from executors.clip_encoder.towers import EncodedTexts, TextTower

logger = logging.getLogger(__name__)

# Queries are asked again (more answers, other videos); an embedding of 768 numbers takes 3 KB.
REMEMBERED_TEXTS = 1024


class ClipTextEncoder(ChainExecutor):
    """Answers `/search` with the embedding of the query's text."""

    def load(self) -> None:
        self.encoder = Encoder(self.settings, "text", TextTower)
        self._encode = functools.lru_cache(REMEMBERED_TEXTS)(self._encode_one)

    def _encode_one(self, text: str) -> EncodedTexts:
        return self.encoder.tower.encode([text])

    @endpoint("/search")
    async def search(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        """Fill in each query's embedding and what is to be said about its text.

        Raises:
            EmptyQuery: a query's text is blank.
        """
        for doc in docs:
            encoded = await self.in_worker(self._encode, doc.text)
            doc.embedding = encoded.vectors[0].tolist()
            doc.model_id = self.encoder.model_id
            doc.warnings += [*encoded.truncation_warnings, *language_warning(doc.text, self.encoder.spec)]
        return docs

    def component(self) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))
