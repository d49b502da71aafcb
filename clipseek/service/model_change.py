"""The change of a library's model: every video is embedded with the new one, then that one answers."""

from collections.abc import Callable

from clipseek.api.documents import Model, Video
from clipseek.api.endpoints import IMAGE_ENCODER, INDEXER, target_name
from clipseek.api.errors import (
    ClipSeekError,
    DeadlineExceeded,
    DecoderCrashed,
    LimitExceeded,
    MediaMissing,
    PathNotAllowed,
    ServerFailed,
    UnreadableVideo,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.api.limits import ANSWERS
from clipseek.client import indexing
from clipseek.client.transport import Transport, run

# What keeps one video from being embedded, but not the others. A video that was deleted meanwhile is no longer missing.
_OF_ONE_VIDEO = (
    *(VideoNotFound, UnreadableVideo, DecoderCrashed, DeadlineExceeded, LimitExceeded, UploadCorrupted, PathNotAllowed),
    MediaMissing,
)


class ModelChange:
    """One run of the job. What is embedded stays, so the next run continues with what is missing.

    Args:
        name: of the model.
        begin: gets a video as long as the whole library, at the start and whenever that has grown.
        on_span: gets the seconds of the library that are embedded, and how many frames this run has encoded.
    """

    def __init__(
        self, transport: Transport, name: str, begin: Callable[[Video], None], on_span: indexing.OnSpan
    ) -> None:
        self._transport, self._name, self._begin, self._on_span = transport, name, begin, on_span
        self._model = Model()
        self._covered_seconds, self._frames_encoded = 0.0, 0
        self._failures: dict[str, ClipSeekError] = {}

    def run(self) -> None:
        """Embed what is missing, until nothing is, and switch.

        Raises: the error of the first video that cannot be embedded, once all others are.
        """
        while not self._switch():
            missing = self._model.missing_video_ids
            untried = [video_id for video_id in missing if video_id not in self._failures]
            if missing and not untried:
                raise self._failures[missing[0]]
            for video_id in untried:
                self._embed(video_id)

    def _switch(self) -> bool:
        """Let the model answer, if nothing is missing: only then the other half of it is loaded, too."""
        self._ask(target_name((IMAGE_ENCODER, INDEXER)))
        if not self._model.missing_video_ids:
            self._ask()
        return self._model.state == ANSWERS

    def _ask(self, executors: str | None = None) -> None:
        ask = Model(name=self._name, failed_video_ids=list(self._failures))
        self._model = run(self._transport.post_one("/switch_model", ask, executor=executors))
        self._covered_seconds = self._model.covered_seconds
        self._begin(Video(duration_seconds=self._model.total_seconds))
        self._on_span(self._covered_seconds, self._frames_encoded)

    def _embed(self, video_id: str) -> None:
        seconds, frames = 0.0, 0

        def note(embedded_seconds: float, frames_encoded: int) -> None:
            nonlocal seconds, frames
            seconds, frames = embedded_seconds, frames_encoded
            done_seconds = min(self._covered_seconds + seconds, self._model.total_seconds)
            self._on_span(done_seconds, self._frames_encoded + frames)

        try:
            embed_video(self._transport, video_id, self._name, note)
            if not seconds:
                self._failures[video_id] = ServerFailed(
                    f"'{self._name}' lacks a part of the video {video_id}, but /probe names none. Index it again."
                )
        except _OF_ONE_VIDEO as error:
            self._failures[video_id] = error
        self._covered_seconds += seconds
        self._frames_encoded += frames


def embed_video(transport: Transport, video_id: str, model: str, on_span: indexing.OnSpan) -> None:
    """Embed what a model lacks of a video; `on_span` gets the seconds and frames since the start."""
    video = indexing.probe(transport, Video(video_id=video_id, model=model))
    missing = zip(video.missing_start_seconds, video.missing_end_seconds, strict=True)
    before = video.duration_seconds - sum(end - start for start, end in missing)
    indexing.index_missing(transport, video, lambda done, frames: on_span(done - before, frames))
