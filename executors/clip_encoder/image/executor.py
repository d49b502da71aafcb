"""The second executor of the chain: it turns pictures into embeddings."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from clipseek.api.documents import Component, Query, Video, VideoSpan
from clipseek.api.errors import InvalidRequest
from executors.clip_encoder.model.picture_format import PictureFormat
from executors.clip_encoder.model.spec import Pictures
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.still_pictures import StillPictures
from executors.clip_encoder.run.towers import ImageTower
from executors.flow.callers import Caller
from executors.flow.endpoint import Steps, endpoint
from executors.flow.executor import WORKER, ChainExecutor
from executors.query_images.image_decoder import ImageDecoder

IMAGES = "images"  # the queue of queries with images: one at a time, because decoding takes memory


def _queue_of(doc: Query) -> str:
    return IMAGES if any(part.image for part in doc.parts) else ""


class ClipImageEncoder(ChainExecutor):
    """Answers `/probe` with the pictures its model needs; embeds the pictures of `/index` and the images of queries."""

    def load(self) -> None:
        build = partial(ImageTower, cache=self.settings.cache)
        self.encoder = Encoder(self.settings, "image", build)
        self._still = StillPictures(self.encoder.tower.encode)
        self._decoder = ImageDecoder(self.settings)

    def queue_sizes(self) -> Mapping[str, int]:
        return {WORKER: 1, IMAGES: 1}

    @endpoint("/probe")
    def probe(self, doc: Video, _caller: Caller) -> str:
        """Fill in the model's id, and the pictures that it needs."""
        needed = self.encoder.spec.preprocessing.picture_format
        doc.model_id = self.encoder.model_id
        doc.picture_width, doc.picture_height = needed.width, needed.height
        doc.picture_fit, doc.picture_fill = needed.fit, list(needed.fill)
        return ""

    @endpoint("/index", queue=WORKER, step="encode")
    def index(self, doc: VideoSpan, caller: Caller) -> str:
        """Replace the pictures by their embeddings; those that stand still are encoded once. Raises: InvalidRequest."""
        _check_format(doc, self.encoder.spec.preprocessing.picture_format)
        embedded = self._still.encode(f"{caller.library}/{doc.video_id}", _pictures(doc))
        doc.pictures = b""
        doc.embeddings = embedded.vectors.astype(np.float16).tobytes()
        doc.dimensions, doc.model_id = self.encoder.spec.dimensions, self.encoder.model_id
        doc.frames_encoded = embedded.encoded
        return f"{doc.video_id[:12]}, {embedded.encoded} of {len(embedded.vectors)} frames encoded"

    def _embed_images(self, doc: Query, caller: Caller) -> Steps:
        """Replace the images in the query by their embeddings, one in each step. Raises: UnreadableImage."""
        images = [part for part in doc.parts if part.image]
        for number, part in enumerate(images):
            if number:
                yield
            picture = self._decoder.read(part.image, part.title or "the image")
            [vector] = self.queues[WORKER].submit(caller.name, partial(self.encoder.tower.encode, picture)).result()
            part.image, part.embedding, part.model_id = b"", vector.tolist(), self.encoder.model_id
        return f"images embedded: {len(images)}" if images else ""

    @endpoint("/search", queue=_queue_of)
    def search(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_images(doc, caller)

    @endpoint("/timeline", queue=_queue_of)
    def timeline(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_images(doc, caller)

    def close(self) -> None:
        self._decoder.close()
        super().close()

    def component(self, _caller: Caller, /) -> Component:
        return Component(name=self.executor_name, facts=self.encoder.facts, warnings=list(self.encoder.spec.warnings))


def _check_format(doc: VideoSpan, needed: PictureFormat) -> None:
    """Raises: InvalidRequest: the span asks for other pictures than its model needs, which would fit no query."""
    asked = (doc.picture_width, doc.picture_height, doc.picture_fit, tuple(doc.picture_fill) or (0, 0, 0))
    if asked != (needed.width, needed.height, needed.fit, needed.fill):
        raise InvalidRequest(
            f"The span asks for pictures of {asked[0]}x{asked[1]}, {asked[2]}, colour {asked[3]}; the model needs "
            f"{needed.width}x{needed.height}, {needed.fit}, colour {needed.fill}. Copy the answer of /probe."
        )


def _pictures(doc: VideoSpan) -> Pictures:
    """uint8 [frames, height, width, 3] from a document."""
    shape = (len(doc.pts_seconds), doc.picture_height, doc.picture_width, 3)
    if len(doc.pictures) != math.prod(shape) or (doc.pts_seconds and not doc.pictures):
        span = f"[{doc.start_seconds}, {doc.end_seconds}) of video {doc.video_id}"
        raise InvalidRequest(
            f"The span {span} has {len(doc.pictures)} bytes of pictures, but "
            f"{shape[0]} frames of {doc.picture_width}x{doc.picture_height} take {math.prod(shape)}."
        )
    return np.frombuffer(doc.pictures, np.uint8).reshape(shape)
