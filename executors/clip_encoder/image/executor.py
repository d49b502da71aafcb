"""The Flow's second step: pictures become embeddings."""

import asyncio
import logging
import math
import time
from typing import Any

import numpy as np

from clipseek.api.base_document import DocList
from clipseek.api.documents import Component, Query, Video, VideoSpan
from clipseek.api.errors import InvalidRequest
from clipseek.api.query_parts import check_query
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.preprocessing import Pictures
from executors.clip_encoder.run.query_images import read_image
from executors.clip_encoder.run.still_pictures import StillEncoded, StillPictures
from executors.clip_encoder.run.towers import ImageTower
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.document_checks import check_document
from executors.flow.executor import ChainExecutor, endpoint

logger = logging.getLogger(__name__)


class ClipImageEncoder(ChainExecutor):
    """Answers `/probe` with the pictures its model wants; embeds those of `/index`, and the images of queries."""

    def load(self) -> None:
        self.encoder = Encoder(self.settings, "image", ImageTower)
        self._still = StillPictures(self.encoder.tower.encode)

    @endpoint("/probe")
    async def probe(self, docs: DocList[Video], **_: Any) -> DocList[Video]:
        """Say what pictures the model wants, and who it is."""
        wanted = self.encoder.spec.preprocessing.picture_format
        for doc in docs:
            doc.model_id = self.encoder.model_id
            doc.picture_width, doc.picture_height = wanted.width, wanted.height
            doc.picture_fit, doc.picture_fill = wanted.fit, list(wanted.fill)
        return docs

    @endpoint("/index")
    async def index(self, docs: DocList[VideoSpan], caller: Caller) -> DocList[VideoSpan]:
        """Replace each span's pictures by their embeddings; pictures that stand still are encoded once.

        Raises:
            InvalidRequest: a span's pictures are not as many bytes as its frames need.
        """
        started = time.monotonic()
        for doc in docs:
            check_document(doc, self.settings)
        spans = [(f"{caller.library}/{doc.video_id}", _pictures(doc)) for doc in docs]
        made = await self.in_worker(self._encode, spans)
        for doc, found in zip(docs, made, strict=True):
            doc.pictures = b""
            doc.embeddings = found.vectors.astype(np.float16).tobytes()
            doc.dimensions, doc.model_id = self.encoder.spec.dimensions, self.encoder.model_id
            doc.frames_encoded = found.encoded
        frames, encoded = sum(len(found.vectors) for found in made), sum(found.encoded for found in made)
        seconds = time.monotonic() - started
        logger.info("encoded %d of %d frames of %d spans in %.2f s", encoded, frames, len(docs), seconds)
        return docs

    @endpoint("/search")
    async def search(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        """Replace the images in each query by their embeddings.

        Raises:
            EmptyQuery, InvalidRequest: a query cannot be understood; see `check_query`.
            UnreadableImage: an image is none.
        """
        return await self._embed_images(docs)

    @endpoint("/timeline")
    async def timeline(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        """As `search`."""
        return await self._embed_images(docs)

    async def _embed_images(self, docs: DocList[Query]) -> DocList[Query]:
        for doc in docs:
            check_document(doc, self.settings)
            check_query(doc)
            for part in doc.parts:
                if part.image:
                    picture = await asyncio.to_thread(read_image, part.image, part.title or "the image")
                    [vector] = await self.in_worker(self.encoder.tower.encode, picture)
                    part.image, part.embedding, part.model_id = b"", vector.tolist(), self.encoder.model_id
        return docs

    def _encode(self, spans: list[tuple[str, Pictures]]) -> list[StillEncoded]:
        made = []
        for video, pictures in spans:
            with metrics.step("encode"):
                made.append(self._still.encode(video, pictures))
        return made

    def component(self, _caller: Caller, /) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))


def _pictures(doc: VideoSpan) -> Pictures:
    """uint8 [frames, height, width, 3] out of a document."""
    shape = (len(doc.pts_seconds), doc.picture_height, doc.picture_width, 3)
    if len(doc.pictures) != math.prod(shape) or (doc.pts_seconds and not doc.pictures):
        span = f"[{doc.start_seconds}, {doc.end_seconds}) of video {doc.video_id}"
        raise InvalidRequest(
            f"The span {span} has {len(doc.pictures)} bytes of pictures, but "
            f"{shape[0]} frames of {doc.picture_width}x{doc.picture_height} take {math.prod(shape)}"
        )
    return np.frombuffer(doc.pictures, np.uint8).reshape(shape)
