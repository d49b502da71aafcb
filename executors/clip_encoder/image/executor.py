"""The second executor of the chain: it turns pictures into embeddings."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from clipseek.api.errors import AccessDenied, InvalidRequest
from clipseek.config.access import SERVER
from clipseek.config.settings import Settings
from clipseek.schema import Component, Model, Query, QueryPart, Video, VideoSpan
from executors.clip_encoder.model.picture_format import PictureFormat
from executors.clip_encoder.model.spec import Pictures, Vectors
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.loaded_models import (
    LOADING,
    LOADING_THREADS,
    LoadedModels,
    find_model,
    list_named_models,
)
from executors.clip_encoder.run.still_pictures import StillEncoded, StillPictures
from executors.clip_encoder.run.towers import ImageTower
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.endpoint import Steps, endpoint
from executors.flow.executor import WORKER, ChainExecutor
from executors.query_images.image_decoder import ImageDecoder

IMAGES = "images"  # a queue for the images of queries: one at a time, because decoding takes memory

SPANS = "spans"  # a queue for spans: they wait long for their turn, and no query must wait with them


def _queue_of(doc: Query) -> str:
    return LOADING if any(part.image for part in doc.parts) else ""


class _ImageModel:
    """The image half of a model, and the pictures that it has just seen."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.encoder = Encoder(settings, "image", partial(ImageTower, cache=settings.cache), name=name)
        self._still = StillPictures(self.encoder.tower.encode)

    def encode(self, video: str, pictures: Pictures) -> StillEncoded:
        with metrics.step("encode"):  # not of the endpoint, which waits for its turn and for the model
            return self._still.encode(video, pictures)


class ClipImageEncoder(ChainExecutor):
    """Answers `/probe` with the pictures its model needs; embeds the pictures of `/index` and the images of queries.

    The model is that of the caller's library, or for the service's runner the one that it names.
    """

    def load(self) -> None:
        self.models = LoadedModels(partial(_ImageModel, self.settings))
        self._decoder = ImageDecoder(self.settings)

    def queue_sizes(self) -> Mapping[str, int]:
        return {WORKER: 1, IMAGES: 1, LOADING: LOADING_THREADS, SPANS: LOADING_THREADS}

    @property
    def encoder(self) -> Encoder[ImageTower]:
        """Of the model that a library used last."""
        return self.models.last.encoder

    def _model_of(self, doc: Video | VideoSpan, caller: Caller) -> _ImageModel:
        """Raises: AccessDenied: callers do not choose the model of a video."""
        if doc.model and caller.name != SERVER:
            raise AccessDenied("Only the service's own runner chooses a video's model. Leave out `model`.")
        return self.models.get(doc.model, answers=False) if doc.model else self.models.get(caller.model)

    @endpoint("/probe", queue=LOADING)
    def probe(self, doc: Video, caller: Caller) -> str:
        """Fill in the model's id, and the pictures that it needs."""
        encoder = self._model_of(doc, caller).encoder
        needed = encoder.spec.preprocessing.picture_format
        doc.model_id = encoder.model_id
        doc.picture_width, doc.picture_height = needed.width, needed.height
        doc.picture_fit, doc.picture_fill = needed.fit, list(needed.fill)
        return ""

    @endpoint("/index", queue=SPANS)
    def index(self, doc: VideoSpan, caller: Caller) -> str:
        """Replace the pictures by their embeddings; those that stand still are encoded once. Raises: InvalidRequest."""
        model = self._model_of(doc, caller)
        _check_format(doc, model.encoder.spec.preprocessing.picture_format)
        encode = partial(model.encode, f"{caller.library}/{doc.video_id}", _pictures(doc))
        embedded = self.submit(WORKER, caller.owner, encode).result()
        doc.pictures = b""
        doc.embeddings = embedded.vectors.astype(np.float16).tobytes()
        doc.dimensions, doc.model_id = model.encoder.spec.dimensions, model.encoder.model_id
        doc.frames_encoded = embedded.encoded
        return f"{doc.video_id[:12]}, {embedded.encoded} of {len(embedded.vectors)} frames encoded"

    def _embed_images(self, doc: Query, caller: Caller) -> Steps:
        """Replace the images in the query by their embeddings, one in each step. Raises: UnreadableImage."""
        images = [part for part in doc.parts if part.image]
        encoder = self.models.get(caller.model).encoder if images else self.encoder
        for number, part in enumerate(images):
            if number:
                yield
            [vector] = self.submit(IMAGES, caller.owner, partial(self._embed_image, part, encoder, caller)).result()
            part.image, part.embedding, part.model_id = b"", vector.tolist(), encoder.model_id
        return f"images embedded: {len(images)}" if images else ""

    def _embed_image(self, part: QueryPart, encoder: Encoder[ImageTower], caller: Caller) -> Vectors:
        picture = self._decoder.read(part.image, part.title or "the image")
        return self.submit(WORKER, caller.owner, partial(encoder.tower.encode, picture)).result()

    @endpoint("/search", queue=_queue_of)
    def search(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_images(doc, caller)

    @endpoint("/timeline", queue=_queue_of)
    def timeline(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_images(doc, caller)

    @endpoint("/models")
    def list_models(self, doc: Model, _caller: Caller) -> str:
        doc.here = list_named_models()
        return ""

    @endpoint("/use_model")
    def use_model(self, doc: Model, caller: Caller) -> str:
        """Find a model on this machine. Raises: UnknownModel, ModelUnavailable, PathNotAllowed, InvalidRequest."""
        doc.model_id = find_model(self.settings, doc.name, with_folders=caller.server_folders)
        return ""

    @endpoint("/switch_model", queue=LOADING)
    def switch_model(self, doc: Model, _caller: Caller) -> str:
        doc.model_id = self.models.get(doc.name, answers=False).encoder.model_id
        return ""

    def close(self) -> None:
        self.models.close()
        self._decoder.close()
        super().close()

    def component(self, caller: Caller, /) -> Component:
        facts, warnings = self.models.describe(caller.model)
        return Component(name=self.executor_name, facts=facts, warnings=warnings)


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
