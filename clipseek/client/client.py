"""`Client`: the way into ClipSeek for scripts, the command line and the page."""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal, Self, Unpack, overload

from clipseek.api.bounds import check_language
from clipseek.api.documents import (
    Calibration,
    Clip,
    Component,
    Cue,
    Health,
    Job,
    Model,
    Query,
    Reel,
    Thumbnail,
    Transcript,
    Upload,
    Video,
)
from clipseek.api.endpoints import INDEXER, WITHOUT_IMAGES, target_name
from clipseek.api.errors import InvalidRequest, LimitExceeded, OutputRefused, ServerFailed, StoreFull
from clipseek.api.formats import sendable
from clipseek.api.limits import MAX_CUE_CHARACTERS, MAX_RATE, MAX_TOP_K, MIN_RATE, SAMPLINGS, WORDS
from clipseek.api.search_options import QueryOptions, SearchOptions
from clipseek.client import indexing, jobs
from clipseek.client.download import SavedClip, clip_target, save_clip
from clipseek.client.health import ask_health
from clipseek.client.indexing import Indexed, IndexOptions, OnProgress, Progress
from clipseek.client.queries import build_query, check_text
from clipseek.client.transport import D, Transport, run
from clipseek.client.upload_source import upload_source
from clipseek.client.video_names import choose_video, is_whole_id
from clipseek.client.words import check_older, send_subtitles
from clipseek.config.addresses import is_tls, parse_host
from clipseek.config.libraries import check_library
from clipseek.config.settings import Settings

__all__ = ["Client", "Indexed", "OnProgress", "Progress", "SavedClip"]

_HEALTH_SECONDS = 10.0  # a busy executor answers sooner: its work is done in other threads


class Client:
    """A connection to a ClipSeek server. All methods are synchronous and may be called from any thread.

    Methods that take the `name` of a video accept its title, its id, or a unique start of its id.

    Args:
        host: `grpc://HOST:PORT`, or `grpcs://HOST:PORT` for TLS; by default CLIPSEEK_HOST, else this machine's server.
        timeout_seconds: how long one request may take.
        retry_seconds: how long, within that, to repeat a request while the server restarts one of its processes; a
            warning is logged. 0: never.
        token: proves to the server who this client is; by default CLIPSEEK_TOKEN.
        library: which of the token's libraries to use; by default CLIPSEEK_LIBRARY, else its first.
        tls_ca: PEM file of the authority to trust with grpcs://; by default CLIPSEEK_TLS_CA, else those gRPC trusts.

    Every method raises errors of `clipseek.errors`: the server's own under their own classes, `AccessDenied` if it
    does not let this client in, `ServerUnreachable` if there is none.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        timeout_seconds: float = 600.0,
        retry_seconds: float = 60.0,
        token: str | None = None,
        library: str | None = None,
        tls_ca: str | Path | None = None,
    ) -> None:
        settings = Settings.from_env()
        host = host or settings.server_host
        library = settings.library if library is None else library
        self._transport = Transport(
            *parse_host(host),
            timeout_seconds=timeout_seconds,
            retry_seconds=retry_seconds,
            token=settings.token if token is None else token,
            library=check_library(library) if library else "",
            tls=is_tls(host),
            tls_ca=settings.tls_ca if tls_ca is None else str(tls_ca),
            own_certificate=settings.tls_cert if host == settings.local_host else "",
        )
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the server. A later request opens it again."""
        run(self._transport.close())

    @property
    def address(self) -> str:
        """The server this client talks to, as grpc://HOST:PORT."""
        return self._transport.address

    # Ingest

    @overload
    def index(
        self, video: str | Path | BinaryIO, *, wait: Literal[True] = True, **options: Unpack[IndexOptions]
    ) -> Indexed: ...

    @overload
    def index(self, video: str | Path | BinaryIO, *, wait: Literal[False], **options: Unpack[IndexOptions]) -> Job: ...

    def index(
        self,
        video: str | Path | BinaryIO,
        *,
        title: str | None = None,
        frames_per_second: float | None = None,
        sampling: str | None = None,
        stream: int = 0,
        on_server: bool = False,
        content_sha256: str = "",
        words: bool = True,
        language: str = "",
        progress: OnProgress = indexing.silent,
        wait: bool = True,
    ) -> Indexed | Job:
        """Upload a video and have the service index it; what it already has is neither sent nor encoded again.

        The service indexes the video by itself, as a job: it continues when this program ends.

        Args:
            video: its path, or an open binary file; with `on_server` a path on the server, under a folder that its
                operator allowed.
            title: shown in answers; by default the file's name.
            frames_per_second: how often to look at it; by default the server's setting. A known video is indexed again
                if the rate is another than before.
            sampling: "even"; "adaptive" looks up to four times as often where the picture moves; "keyframes" looks only
                at frames that decode by themselves, which is fast and coarse. By default as the video was indexed
                before, else even. A known video is indexed again if the sampling is another than before.
            stream: which video track to look at, from 1, if the file has several. 0: the one with the most pixels.
            content_sha256: the hash of the video's content in lower-case hex, if you know it: it saves reading the
                video once. The server checks it.
            words: also read what is said, subtitled and written in it. The service does so after this has returned;
                see `read_words`. Files of subtitles beside the video, such as `talk.en.srt`, are sent with it.
            language: of the speech, such as "zh"; by default as it was given before, else found out.
            progress: called with each step, during the upload from a background thread; it may raise `Cancelled` to
                stop. That, or an interrupt, cancels the job. The work done so far is kept, and the next `index` or
                `resume` continues from there.
            wait: until the video is indexed; else only until its job is filed. A service without a runner of jobs,
                such as one of version 0.1, is driven from here, and indexed before this returns.

        Raises: FileMissing, EmptyFile, UnreadableVideo, NoVideoStream, StoreFull, ModelMismatch, PathNotAllowed,
            UploadCorrupted: the content does not fit `content_sha256`, or changed on its way. TooManyRequests: too many
            jobs are unfinished. Cancelled: somebody else cancelled the job.
        """
        if frames_per_second is not None and not MIN_RATE <= frames_per_second <= MAX_RATE:
            raise InvalidRequest(
                f"frames_per_second must be from {MIN_RATE:g} to {MAX_RATE:g}, not {frames_per_second:g}."
            )
        if sampling is not None and sampling not in SAMPLINGS:
            raise InvalidRequest(f"sampling must be one of {', '.join(SAMPLINGS)}, not '{sampling}'.")
        check_language(language)
        started = time.monotonic()
        if on_server:
            path = str(video)
            upload = Upload(server_path=sendable(path), title=sendable(title or Path(path).name))
            video_id = self._one("/upload", upload).video_id
        else:
            video_id = indexing.upload(self._transport, upload_source(video), title, content_sha256, progress)
            if words and isinstance(video, str | Path):
                send_subtitles(self._transport, video_id, Path(video))
        ask = Video(video_id=video_id, title=sendable(title or ""), frames_per_second=frames_per_second or 0.0)
        ask.sampling, ask.stream, ask.no_words, ask.language = sampling or "", stream, not words, language
        return self._index(ask, progress, started, wait=wait)

    def _index(self, ask: Video, progress: OnProgress, started: float, *, wait: bool) -> Indexed | Job:
        before, job = jobs.start(self._transport, ask, progress)
        return jobs.finish(self._transport, before, job, progress, started) if wait else job

    @overload
    def resume(self, name: str, *, progress: OnProgress = ..., wait: Literal[True] = True) -> Indexed: ...

    @overload
    def resume(self, name: str, *, progress: OnProgress = ..., wait: Literal[False]) -> Job: ...

    def resume(self, name: str, *, progress: OnProgress = indexing.silent, wait: bool = True) -> Indexed | Job:
        """Index the missing rest of a video whose file is already on the server. `progress` and `wait`: as of `index`.

        Raises: VideoNotFound, AmbiguousVideo, MediaMissing, ModelMismatch, StoreFull, TooManyRequests, Cancelled.
        """
        started = time.monotonic()
        return self._index(Video(video_id=self._video_id(name)), progress, started, wait=wait)

    def server_videos(self, folder: str) -> list[Upload]:
        """The videos below a folder of the server that its operator allowed. Pass each `server_path` to `index`.

        Raises: PathNotAllowed, FileMissing, NoVideosFound.
        """
        return self._post("/server_videos", Upload(server_path=sendable(folder)))

    @overload
    def add_samples(self, progress: OnProgress = ..., *, wait: Literal[True] = True) -> list[Indexed]: ...

    @overload
    def add_samples(self, progress: OnProgress = ..., *, wait: Literal[False]) -> list[Job]: ...

    def add_samples(self, progress: OnProgress = indexing.silent, *, wait: bool = True) -> list[Indexed] | list[Job]:
        """Index the sample library: short videos that the server's package contains. `wait`: as of `index`."""
        started = time.monotonic()
        samples = self._post("/samples", Video())
        filed = [jobs.start(self._transport, Video(video_id=video.video_id), progress) for video in samples]
        if not wait:
            return [job for _, job in filed]
        return [jobs.finish(self._transport, before, job, progress, started) for before, job in filed]

    # Jobs

    def jobs(self) -> list[Job]:
        """The library's jobs: the unfinished ones as they were filed, then those of the last days, the latest first.

        At most 500.
        """
        return jobs.list_jobs(self._transport)

    def job(self, job_id: str) -> Job:
        """One job. Raises: NotFound."""
        return self._one("/jobs", Job(job_id=job_id))

    def cancel_job(self, job_id: str, *, forget: bool = False) -> Job:
        """Cancel a job: what is indexed is kept. One that has ended stays as it is.

        Args:
            forget: also remove it from the list.

        Raises: NotFound.
        """
        return self._one("/cancel_job", Job(job_id=job_id, forget=forget))

    # Words

    @overload
    def read_words(
        self,
        name: str,
        *,
        again: bool = ...,
        language: str = ...,
        progress: OnProgress = ...,
        wait: Literal[True] = ...,
    ) -> Video: ...

    @overload
    def read_words(
        self, name: str, *, again: bool = ..., language: str = ..., progress: OnProgress = ..., wait: Literal[False]
    ) -> Job: ...

    def read_words(
        self,
        name: str,
        *,
        again: bool = False,
        language: str = "",
        progress: OnProgress = indexing.silent,
        wait: bool = True,
    ) -> Video | Job:
        """Read what is said, subtitled and written in a video, where that is missing.

        The service does so by itself after a video is indexed. This is for videos that were indexed without words, by
        an earlier version, or in the wrong language. Other jobs of the service go first.

        Args:
            again: read all of it again. Corrected lines stay as they are.
            language: of the speech, such as "zh"; by default as it was given before, else found out.
            progress, wait: as of `index`.

        Returns: the video, with `cues`, `word_languages` and `word_notes`; without `wait` the job.

        Raises: VideoNotFound, AmbiguousVideo, MediaMissing, Cancelled. InvalidRequest: this server reads no words, or
            the language is no code.
        """
        check_language(language)
        ask = Job(kind=WORDS, video_id=self._video_id(name), again=again, language=language)
        job = jobs.start_words(self._transport, ask, progress)
        if not wait:
            return job
        job = jobs.follow(self._transport, job, progress)
        video = self._one("/videos", Video(video_id=ask.video_id))
        video.word_notes += [job.error] if job.error else []
        return video

    def transcript(self, name: str) -> Transcript:
        """The words of a video: `cues` in order of time, each with its source and language.

        Raises: VideoNotFound, AmbiguousVideo. InvalidRequest: the server is older and has no words.
        """
        return self._ask_words("/transcript", Transcript(video_id=self._video_id(name)))

    def correct_cue(self, name: str, cue_id: int, text: str) -> Cue:
        """Correct a line of a video's words, or remove it with an empty text. It stays so when words are read again.

        Args:
            cue_id: as `transcript` has it.

        Returns: the line as it is now.

        Raises: VideoNotFound, AmbiguousVideo. NotFound: there is no such line. InvalidRequest: the text is too long.
        """
        if len(text) > MAX_CUE_CHARACTERS:
            raise InvalidRequest(f"The line has {len(text)} characters, but may have at most {MAX_CUE_CHARACTERS}.")
        return self._ask_words("/correct_cue", Cue(video_id=self._video_id(name), cue_id=cue_id, text=sendable(text)))

    # Models

    def models(self) -> list[Model]:
        """The models whose vectors the library has, the one that answers first, then others that it could use."""
        return self._post("/models", Model())

    def use_model(self, name: str, *, progress: OnProgress = indexing.silent, wait: bool = True) -> Model:
        """Let another model answer in the library, once the service has embedded every video with it.

        Until then the present model answers. Its vectors are kept, so going back is quick.

        Args:
            name: as in CLIPSEEK_MODEL: a short name, NAME/TAG, or a folder of the server.
            progress: called with each step, as by `index`; an interrupt cancels the job.
            wait: until the model answers; else only until the job is filed.

        Raises: UnknownModel, ModelUnavailable: it is not on the server. PathNotAllowed. Cancelled: somebody cancelled
            the job. MediaMissing, UnreadableVideo: a video cannot be embedded again.
        """
        model = self._one("/use_model", Model(name=sendable(name)))
        if not wait or not model.job_id:
            return model
        jobs.follow(self._transport, self.job(model.job_id), progress)
        return next(stored for stored in self.models() if stored.model_id == model.model_id)

    def forget_model(self, name: str) -> None:
        """Remove the vectors of a model that does not answer. Raises: NotFound, InvalidRequest: it answers."""
        self._one("/forget_model", Model(name=sendable(name)))

    # Search

    def search(self, text: str = "", *, top_k: int = 5, offset: int = 0, **options: Unpack[SearchOptions]) -> Query:
        """Find the moments that fit a description, an image, a frame of a video, or a mix of them.

        Args:
            text: the description.
            top_k: how many matches at most, from 1 to 1000; with `group_by_video`, how many videos.
            offset: how many to skip, e.g. `top_k` for the second page.
            options: those of `SearchOptions`, by name.

        Returns: the query with its `matches`, best first, and `warnings`. If there is no match, `nothing_matches` says
            so. The option `weaker` puts the nearest other moments into `weaker_matches`, for which `Match.is_weak` is
            true; `withheld` is the number of those that `all_matches` would add to the page.

        Raises: EmptyQuery, InvalidRequest, InvalidTopK, InvalidTimeRange, UnreadableImage, FileMissing, VideoNotFound,
            AmbiguousVideo, MomentNotIndexed, ModelMismatch.
        """
        return self._ask("/search", build_query(text, options, self._video_id, top_k=top_k, offset=offset))

    def timeline(self, name: str, text: str = "", **options: Unpack[QueryOptions]) -> Query:
        """The score curve of one video for a query, and its matches there.

        Args:
            text: the description.
            options: those of `QueryOptions`, by name.

        Returns: the query with `curve_pts_seconds` and `curve_scores` of each frame in the range, `cut_off`,
            `shot_start_seconds`, and all `matches` of the video, best first.

        Raises: as `search`.
        """
        query = build_query(text, options, self._video_id, kind=QueryOptions, top_k=MAX_TOP_K)
        query.video_ids = [self._video_id(name)]
        return self._ask("/timeline", query)

    def calibrate(self, answered_share: float = 0.1, *, reset: bool = False) -> Calibration:
        """Set the cut-off of this library, so that few neutral phrases find a match.

        Worth it after a change of the model, or once a library has its usual videos and "nothing matches" comes too
        rarely or too often.

        Args:
            answered_share: of the phrases that may still find something, above 0 and below 1.
            reset: go back to the model's own scale instead.

        Raises: InvalidRequest, ModelMismatch.
        """
        calibration = self._one("/calibrate", Calibration(answered_share=answered_share, reset=reset))
        if not calibration.done:
            raise ServerFailed(f"The server at {self.address} did not calibrate. Its log has the details.")
        return calibration

    # Videos

    def videos(self) -> list[Video]:
        """All videos of the library, in the order they were added."""
        return self._post("/videos", Video())

    def video(self, name: str) -> Video:
        """One video of the library.

        Raises: VideoNotFound, AmbiguousVideo.
        """
        if is_whole_id(check_text("The name of a video", name)):  # one video is answered sooner than all
            return self._one("/videos", Video(video_id=name))
        return choose_video(self.videos(), name)

    def shots(self, name: str) -> list[tuple[float, float]]:
        """The `[start, end)` in seconds of every shot of a video, in order of time.

        A video that an earlier ClipSeek indexed is one shot, until it is deleted and indexed again.

        Raises: VideoNotFound, AmbiguousVideo.
        """
        video = self.video(self._video_id(name))
        return list(pairwise([*video.shot_start_seconds, video.duration_seconds]))

    def server_path(self, name: str) -> str:
        """Where the server has the file of a video that it uses in place.

        Returns: the path; "" for an uploaded video, a file that was moved, and a token that does not open the folders
            of the server.

        Raises: VideoNotFound, AmbiguousVideo.
        """
        video = self.video(name)
        try:
            return self._one("/upload", Upload(video_id=video.video_id, size_bytes=video.size_bytes)).server_path
        except (LimitExceeded, StoreFull):  # the file was moved, and there is no room to upload it
            return ""

    def rename(self, name: str, title: str) -> Video:
        """Give a video another title. Returns: the video, with the title as it is stored.

        Raises: VideoNotFound, AmbiguousVideo, InvalidRequest: the title is empty.
        """
        if not title.strip():
            raise InvalidRequest("The new title is empty. Give at least one character.")
        return self._one("/probe", Video(video_id=self._video_id(name), title=sendable(title)))

    def delete(self, name: str) -> Video:
        """Delete a video: its file, its frames and all that the library holds of it.

        Raises: VideoNotFound, AmbiguousVideo.
        """
        video = self.video(name)
        self._one("/delete", Video(video_id=video.video_id))
        return video

    # Playback

    def clip(
        self,
        name: str,
        start_seconds: float,
        end_seconds: float,
        output: str | Path,
        *,
        mode: str = "exact",
        extras: bool = True,
    ) -> SavedClip:
        """Cut `[start_seconds, end_seconds)` out of a video into the file `output`.

        Args:
            mode: "exact" re-encodes, right to the frame; "copy" is fast and starts at the keyframe at or before the
                start.
            output: the file to write; an existing one is replaced. Its suffix decides the format: `.mp4`, `.mov`,
                `.mkv`, `.webm`, `.gif` (a minute at most, no sound), or `.mp3` and `.wav` for the sound alone. A clip
                copied from codecs that do not fit MP4 gets the suffix `.mkv`.
            extras: keep all sounds, subtitles of text, and chapters.

        Raises: VideoNotFound, AmbiguousVideo, InvalidTimeRange, MediaMissing, StoreFull, FileMissing, OutputRefused.
        InvalidRequest: no clip can be written with this suffix.
        """
        target = clip_target(Path(output))
        suffix = target.suffix.lower()
        ask = Clip(video_id=self._video_id(name), start_seconds=start_seconds, end_seconds=end_seconds, mode=mode)
        ask.format, ask.extras = "" if suffix == ".mp4" else suffix, extras
        first = self._one("/clip", ask)
        if ask.format and first.suffix != ask.format:
            raise OutputRefused(
                f"The server is older and cannot write '{ask.format}'. Choose a name that ends in .mp4."
            )
        if first.suffix and first.suffix != target.suffix.lower() and mode == "copy":
            target = target.with_suffix(first.suffix)
        save_clip(first, target, lambda offset: self._one("/clip", replace(ask, offset=offset)))
        return SavedClip(target, first.start_seconds, first.end_seconds, first.size_bytes)

    def join(
        self, moments: Sequence[tuple[str, float, float]], output: str | Path, *, mode: str = "exact"
    ) -> SavedClip:
        """Cut moments and join them, in their order, to one video in MP4.

        Args:
            moments: (video, start, end) each, the video by any of its names, times in seconds.
            mode: as of `clip`; "copy" works for moments of videos in one format, others are re-encoded.

        Returns: the new video, in its own time: it starts at 0.

        Raises: as `clip`; InvalidRequest: there are no moments.
        """
        target = clip_target(Path(output))
        ask = Reel(
            video_ids=[self._video_id(name) for name, _, _ in moments],
            start_seconds=[start for _, start, _ in moments],
            end_seconds=[end for _, _, end in moments],
            mode=mode,
        )
        first = self._one("/join", ask)
        save_clip(first, target, lambda offset: self._one("/join", replace(ask, offset=offset)))
        return SavedClip(target, 0.0, first.length_seconds, first.size_bytes)

    def thumbnail(self, name: str, at_seconds: float, *, width: int = 320) -> bytes:
        """The frame on screen at a time, as a JPEG."""
        ask = Thumbnail(video_id=self._video_id(name), at_seconds=at_seconds, width=width)
        return self._one("/thumbnail", ask).jpeg

    # State

    def health(self) -> list[Component]:
        """What each executor reports of itself, in the order of the chain; the service is ready if all are `ok`.

        An executor that does not answer is listed as not `ok`, with the reason among its warnings.

        Raises: ServerUnreachable: not even the gateway answers.
        """
        return run(ask_health(self._transport, min(_HEALTH_SECONDS, self._timeout_seconds)))

    def recall(self) -> Component:
        """Compare what the index finds with all frames of the library, as `clipseek doctor --recall` does.

        It takes seconds, as the indexer reads all of the library. It repairs an index that finds too little.

        Returns: the indexer's report, with the facts `recall_before`, `recall` (shares in [0, 1]), `recall_queries` and
            `index` (how frames are compared).
        """
        return self._one("/health", Health(check_recall=True), INDEXER).components[0]

    # Requests

    def _video_id(self, name: str) -> str:
        """The id of a video. A whole id is not looked up: the server knows whether it has the video."""
        name = check_text("The name of a video", name)
        return name if is_whole_id(name) else self.video(name).video_id

    def _ask_words(self, endpoint: str, doc: D) -> D:
        try:
            return self._one(endpoint, doc)
        except InvalidRequest as error:
            check_older(error, self.address)
            raise

    def _ask(self, endpoint: str, query: Query) -> Query:
        answer = self._one(
            endpoint, query, None if any(part.image for part in query.parts) else target_name(WITHOUT_IMAGES)
        )
        if not answer.answered:
            raise ServerFailed(f"The server at {self.address} returned the query unanswered. Its log has the details.")
        if query.look_in and not all(match.reasons for match in (*answer.matches, *answer.weaker_matches)):
            raise InvalidRequest(f"The server at {self.address} is older and has no words. Update it, or omit look_in.")
        return answer

    def _post(self, endpoint: str, doc: D, executor: str | None = None) -> list[D]:
        return run(self._transport.post(endpoint, doc, executor=executor))

    def _one(self, endpoint: str, doc: D, executor: str | None = None) -> D:
        return run(self._transport.post_one(endpoint, doc, executor=executor))
