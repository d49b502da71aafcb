"""`Client`: the way into ClipSeek for the page, the command line and scripts."""

import asyncio
import errno
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from clipseek import transport
from clipseek.documents import DocList
from clipseek.errors import (
    AmbiguousVideo,
    ClipSeekError,
    FileMissing,
    InvalidRequest,
    InvalidTopK,
    OutputRefused,
    ServerFailed,
    ServerNotReady,
    StoreError,
    StoreFull,
    VideoNotFound,
)
from clipseek.film_source import FilmSource, film_source, sha256
from clipseek.libraries import check_library
from clipseek.query_parts import Image, Moment, check_query, image_part, images_of, moments_of, sendable
from clipseek.schema import (
    CHUNK_BYTES,
    Calibration,
    Clip,
    Component,
    Health,
    Query,
    QueryPart,
    Reel,
    Thumbnail,
    Upload,
    Video,
    VideoSpan,
)
from clipseek.settings import MAX_RATE, MAX_TOP_K, MIN_RATE, SAMPLINGS, Settings, is_tls, local_host, parse_host

LOADER, INDEXER = "video_loader", "indexer"
EXECUTORS = (LOADER, "image_encoder", "text_encoder", INDEXER)  # the chain, as in flow.yml
_HEALTH_SECONDS = 10.0  # a busy executor answers sooner: its work is done in other threads
_UPLOADS_UNDER_WAY = 4
_SPANS_UNDER_WAY = 4  # one in each stage of the chain, so that none waits
_SPAN_TRIES = 3
_LEAST_PREFIX = 4  # characters of an id that may stand for the whole of it


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: `done` of `total` in the unit of the stage."""

    stage: str  # "hash" and "upload" count bytes, "index" seconds of video, "search" queries
    done: float
    total: float


@dataclass(frozen=True)
class Indexed:
    """What `Client.index` did."""

    video: Video
    frames_added: int  # 0: the film was in the store already
    frames_encoded: int  # of these; the others stand still and share an embedding
    elapsed_seconds: float


@dataclass(frozen=True)
class SavedClip:
    """A clip on this machine; start and end say what was really cut."""

    path: Path
    start_seconds: float
    end_seconds: float
    size_bytes: int


OnProgress = Callable[[Progress], None]


def _silent(_: Progress) -> None:
    pass


class Client:
    """A connection to a ClipSeek server. All methods are synchronous and may be called from any thread.

    Args:
        host: `grpc://HOST:PORT`, `grpcs://HOST:PORT` for TLS; by default CLIPSEEK_HOST, else this machine's own server.
        timeout_seconds: how long one request may take.
        retry_seconds: for how long at most, within that, a request is repeated while a process of the server that died
            is started again; a warning is logged. 0: never.
        token: by which the server knows this client; by default CLIPSEEK_TOKEN.
        library: which of the token's libraries to use; by default CLIPSEEK_LIBRARY, else its first.

    Every method raises errors of `clipseek.errors`: what the server refused under its own class, `AccessDenied` where
    it does not let this client in, `ServerUnreachable` where none answers.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        timeout_seconds: float = 600.0,
        retry_seconds: float = 60.0,
        token: str | None = None,
        library: str | None = None,
    ) -> None:
        settings = Settings.from_env()
        host = host or settings.server_host
        library = settings.library if library is None else library
        self._transport = transport.Transport(
            *parse_host(host),
            retry_seconds=retry_seconds,
            token=settings.token if token is None else token,
            library=check_library(library) if library else "",
            tls=is_tls(host),
            tls_ca=settings.tls_ca,
            own_certificate=settings.tls_cert if host == local_host(settings) else "",
        )
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between requests; this is here so that a client can be used in a `with` block."""

    @property
    def address(self) -> str:
        """The server this client talks to, as grpc://HOST:PORT."""
        return self._transport.address

    # Ingest

    def index(
        self,
        film: str | Path | BinaryIO,
        *,
        title: str | None = None,
        frames_per_second: float | None = None,
        sampling: str | None = None,
        on_server: bool = False,
        progress: OnProgress = _silent,
    ) -> Indexed:
        """Upload a film and index it; what the server has already is neither sent nor encoded again.

        Args:
            film: its path, or an open binary file; with `on_server` a path on the server, under a folder that its
                operator allowed.
            title: shown in answers; by default the file's name.
            frames_per_second: how often to look at it; by default the server's setting. Another rate than the one a
                known film was indexed with indexes it anew.
            sampling: "even"; "adaptive" looks up to four times as often where the picture moves; "keyframes" looks only
                at frames that decode by themselves, which is fast and coarse. By default as the film was indexed
                before, else even. Another way than before indexes a known film anew.
            progress: called from a background thread with each step; it may raise `Cancelled` to stop here. What is
                done by then is kept, and the next `index` or `resume` goes on from it.

        Raises:
            FileMissing, EmptyFile, UnreadableVideo, NoVideoStream, StoreFull, ModelMismatch, PathNotAllowed.
        """
        if frames_per_second is not None and not MIN_RATE <= frames_per_second <= MAX_RATE:
            raise InvalidRequest(
                f"frames_per_second is {frames_per_second:g}, but must be from {MIN_RATE:g} to {MAX_RATE:g}"
            )
        if sampling is not None and sampling not in SAMPLINGS:
            raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
        started = time.monotonic()
        if on_server:
            path = str(film)
            upload = Upload(server_path=sendable(path), title=sendable(title or Path(path).name))
            video_id = self._one("/upload", upload, LOADER).video_id
        else:
            video_id = self._upload(film_source(film), title, progress)
        ask = Video(video_id=video_id, title=sendable(title or ""), frames_per_second=frames_per_second or 0.0)
        ask.sampling = sampling or ""
        return self._index(ask, started, progress)

    def resume(self, name: str, *, progress: OnProgress = _silent) -> Indexed:
        """Index what is missing of a video (id, unique prefix or title) whose file is on the server already.

        Raises:
            VideoNotFound, AmbiguousVideo, MediaMissing, ModelMismatch, StoreFull.
        """
        return self._index(Video(video_id=self._video_id(name)), time.monotonic(), progress)

    def server_films(self, folder: str) -> list[Upload]:
        """The films below a folder of the server that its operator allowed; each one's `server_path` goes to `index`.

        Raises:
            PathNotAllowed, FileMissing, NoVideosFound.
        """
        return list(self._post("/films", Upload(server_path=sendable(folder)), LOADER))

    def add_samples(self, progress: OnProgress = _silent) -> list[Indexed]:
        """Index the sample library that the server builds from films and photographs of installed packages."""
        started = time.monotonic()
        films = self._post("/samples", Video(), LOADER)
        return [self._index(Video(video_id=film.video_id), started, progress) for film in films]

    # Search

    def search(
        self,
        text: str = "",
        *,
        also: Sequence[str] = (),
        without: Sequence[str] = (),
        image: Image | Sequence[Image] | None = None,
        like: Moment | Sequence[Moment] | None = None,
        parts: Sequence[QueryPart] = (),
        top_k: int = 5,
        offset: int = 0,
        videos: Sequence[str] = (),
        start_seconds: float = 0.0,
        end_seconds: float = 0.0,
        least_score: float = 0.0,
        all_matches: bool = False,
        group_by_video: bool = False,
        minimum_seconds: float = 0.0,
        maximum_seconds: float = 0.0,
        padding_seconds: float = 0.0,
        per_video: int = 0,
        strategy: str = "",
    ) -> Query:
        """Find the moments that fit a description, an image, a moment of a video, or a mix of them.

        Args:
            text: the description.
            also: further descriptions; a moment that fits all of them fits best.
            without: what should not be seen.
            image: an image file, its content, or several of them.
            like: a moment of an indexed video, `VIDEO@TIME` or (video, seconds), or a list of them. What overlaps that
                very moment is left out of the answer.
            parts: any of these with weights of their own.
            top_k: how many matches at most, from 1 to 1000; where grouped, how many videos.
            offset: how many to leave out at the front, e.g. `top_k` for the second page.
            videos: ids, unique prefixes of ids or titles of the videos to look in; by default all.
            start_seconds, end_seconds: look only at this range of each video; end 0 is the video's end.
            least_score: withhold matches with a lower score, instead of those below the model's own cut-off.
            all_matches: withhold no match for its score.
            group_by_video: put the matches of each video together.
            minimum_seconds, maximum_seconds: of a match; 0 leaves both to the server.
            padding_seconds: add this at both ends of a match.
            per_video: how many matches of one video at most; 0 leaves that to the server.
            strategy: how score curves are divided into matches, by its name in docs/quality.md.

        Returns: the query with its `matches`, best first, and `warnings`. Where there are none, `nothing_matches` says
            so, and `withheld` how many weaker ones `all_matches` would add.

        Raises:
            EmptyQuery, InvalidRequest, InvalidTopK, InvalidTimeRange, UnreadableImage, FileMissing, VideoNotFound,
            AmbiguousVideo, MomentNotIndexed, ModelMismatch.
        """
        if not 1 <= top_k <= MAX_TOP_K:
            raise InvalidTopK(f"top_k is {top_k}, but must be from 1 to {MAX_TOP_K}")
        query = Query(
            text=sendable(text),
            parts=self._parts(also, without, image, like, parts),
            top_k=top_k,
            offset=offset,
            video_ids=[self._video_id(name) for name in videos],
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            least_score=least_score,
            all_matches=all_matches,
            group_by_video=group_by_video,
            minimum_seconds=minimum_seconds,
            maximum_seconds=maximum_seconds,
            padding_seconds=padding_seconds,
            per_video=per_video,
            strategy=strategy,
        )
        return self._answered("/search", query)

    def timeline(
        self,
        name: str,
        text: str = "",
        *,
        also: Sequence[str] = (),
        without: Sequence[str] = (),
        image: Image | Sequence[Image] | None = None,
        like: Moment | Sequence[Moment] | None = None,
        parts: Sequence[QueryPart] = (),
        start_seconds: float = 0.0,
        end_seconds: float = 0.0,
        least_score: float = 0.0,
        all_matches: bool = False,
        minimum_seconds: float = 0.0,
        maximum_seconds: float = 0.0,
        padding_seconds: float = 0.0,
        per_video: int = 0,
        strategy: str = "",
    ) -> Query:
        """The score curve of one video (id, unique prefix or title) for a query, and its matches there.

        The arguments are those of `search`.

        Returns: the query with `curve_pts_seconds` and `curve_scores` of each frame in the range, `cut_off`,
            `shot_start_seconds`, and all `matches` of the video, best first.

        Raises: as `search`.
        """
        query = Query(
            text=sendable(text),
            parts=self._parts(also, without, image, like, parts),
            top_k=MAX_TOP_K,
            video_ids=[self._video_id(name)],
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            least_score=least_score,
            all_matches=all_matches,
            minimum_seconds=minimum_seconds,
            maximum_seconds=maximum_seconds,
            padding_seconds=padding_seconds,
            per_video=per_video,
            strategy=strategy,
        )
        return self._answered("/timeline", query)

    def calibrate(self, answered_share: float = 0.1, *, reset: bool = False) -> Calibration:
        """Set from what score on this library's matches are answers: such that few neutral phrases find one.

        Worth it after a change of the model, or once a library has its usual films and "nothing matches" is said too
        seldom or too often.

        Args:
            answered_share: of the phrases that may still find something, above 0 and below 1.
            reset: go back to the model's own scale instead.

        Raises:
            InvalidRequest, ModelMismatch.
        """
        made = self._one("/calibrate", Calibration(answered_share=answered_share, reset=reset))
        if not made.done:
            raise ServerFailed(f"The server at {self.address} did not calibrate. Its log has the details.")
        return made

    # Videos

    def videos(self) -> list[Video]:
        """All videos of the library, in the order they were added."""
        return list(self._post("/videos", Video(), INDEXER))

    def video(self, name: str) -> Video:
        """The video with this id, unique prefix of an id (at least four characters) or title.

        Raises:
            VideoNotFound, AmbiguousVideo.
        """
        return choose_video(self.videos(), name)

    def shots(self, name: str) -> list[tuple[float, float]]:
        """The `[start, end)` in seconds of every shot of a video (id, unique prefix or title), in order of time.

        A video that an earlier ClipSeek indexed is one shot, until it is deleted and indexed again.

        Raises:
            VideoNotFound, AmbiguousVideo.
        """
        video = self._one("/videos", Video(video_id=self.video(name).video_id), INDEXER)
        return list(pairwise([*video.shot_start_seconds, video.duration_seconds]))

    def rename(self, name: str, title: str) -> Video:
        """Give a video (id, unique prefix or title) another title. Returns: the video, under the title as it is kept.

        Raises:
            VideoNotFound, AmbiguousVideo, InvalidRequest: the title is empty.
        """
        if not title.strip():
            raise InvalidRequest("The new title is empty. Give it at least one character.")
        return self._one("/probe", Video(video_id=self._video_id(name), title=sendable(title)))

    def delete(self, name: str) -> Video:
        """Delete a video (id, unique prefix or title): its file, its frames and all that is known of it."""
        video = self.video(name)
        self._one("/delete", Video(video_id=video.video_id))
        return video

    # Playback

    def clip(
        self, name: str, start_seconds: float, end_seconds: float, output: str | Path, *, mode: str = "exact"
    ) -> SavedClip:
        """Cut `[start_seconds, end_seconds)` out of a video (id, unique prefix or title) into the file `output`.

        Args:
            mode: "exact" re-encodes to H.264/AAC in MP4, right to the frame; "copy" is fast and starts at the keyframe
                at or before the start.
            output: where to put it. A clip copied from codecs that do not fit MP4 gets the suffix `.mkv`.

        Raises:
            VideoNotFound, AmbiguousVideo, InvalidTimeRange, MediaMissing, StoreFull, FileMissing.
        """
        target = _clip_target(Path(output))
        ask = Clip(video_id=self._video_id(name), start_seconds=start_seconds, end_seconds=end_seconds, mode=mode)
        first = self._one("/clip", ask, LOADER)
        if first.suffix and first.suffix != target.suffix.lower() and mode == "copy":
            target = target.with_suffix(first.suffix)
        self._save(first, target, lambda offset: self._one("/clip", ask.model_copy(update={"offset": offset}), LOADER))
        return SavedClip(target, first.start_seconds, first.end_seconds, first.size_bytes)

    def join(
        self, moments: Sequence[tuple[str, float, float]], output: str | Path, *, mode: str = "exact"
    ) -> SavedClip:
        """Cut moments and join them, in their order, to one film in MP4.

        Args:
            moments: (video, start, end) each, the video as `clip` takes it, times in seconds.
            mode: as of `clip`; "copy" is for moments out of films of one format, others are cut exactly all the same.

        Returns: the film, in its own time: it starts at 0.

        Raises: as `clip`; InvalidRequest: there are no moments.
        """
        target = _clip_target(Path(output))
        ask = Reel(
            video_ids=[self._video_id(name) for name, _, _ in moments],
            start_seconds=[start for _, start, _ in moments],
            end_seconds=[end for _, _, end in moments],
            mode=mode,
        )
        first = self._one("/join", ask, LOADER)
        self._save(first, target, lambda offset: self._one("/join", ask.model_copy(update={"offset": offset}), LOADER))
        return SavedClip(target, 0.0, first.length_seconds, first.size_bytes)

    def thumbnail(self, name: str, at_seconds: float, *, width: int = 320) -> bytes:
        """The picture on screen at a time, as a JPEG."""
        ask = Thumbnail(video_id=self._video_id(name), at_seconds=at_seconds, width=width)
        return self._one("/thumbnail", ask, LOADER).jpeg

    # State

    def health(self) -> list[Component]:
        """What each executor says of itself, in the order of the chain; the service is ready if all of them are `ok`.

        One that does not answer is named all the same, not `ok`, with the reason among its warnings.

        Raises:
            ServerUnreachable: not even the gateway answers.
        """
        seconds = min(_HEALTH_SECONDS, self._timeout_seconds)
        return list(transport.run(self._health(seconds)))

    def recall(self) -> Component:
        """Have the indexer compare what its index finds with all frames of the library, as `clipseek doctor --recall`.

        It takes seconds: all of the library is read. An index that finds too little is mended.

        Returns: the indexer's line, with the facts `recall_before`, `recall` (shares in [0, 1]), `recall_queries` and
            `index` (how frames are compared).
        """
        doc = Health(check_recall=True)
        return self._one("/health", doc, INDEXER).components[0]

    # Below

    async def _health(self, seconds: float) -> list[Component]:
        """Ask the whole chain, and if that does not do, each executor by its name."""
        try:
            [answer] = await self._transport.post("/health", Health(), timeout_seconds=seconds)
            if [component.name for component in answer.components] == list(EXECUTORS) and not answer.down:
                return list(answer.components)
        except (ServerNotReady, ServerFailed, StoreError):
            pass  # who does not answer, and why, is found out below
        found = await asyncio.gather(*(self._health_of(name, seconds) for name in EXECUTORS))
        down = {name: why for health in found for name, why in health.down.items()}
        components = [component for health in found for component in health.components]
        for component in components:
            if not component.ok:
                component.warnings = [down.get(component.name, warning) for warning in component.warnings]
            parts = [name for name in down if name.startswith(f"{component.name}-")]  # its shards and replicas
            if parts:
                component.ok, component.warnings = False, [f"{name}: {down[name]}" for name in parts]
        return components

    async def _health_of(self, name: str, seconds: float) -> Health:
        """What an executor says of itself, or in its stead why it does not."""
        try:
            [answer] = await self._transport.post("/health", Health(), executor=name, timeout_seconds=seconds)
        except (ServerNotReady, ServerFailed, StoreError) as error:
            return Health(components=DocList[Component]([Component(name=name, ok=False, warnings=[str(error)])]))
        if not answer.components:
            silent = Component(name=name, ok=False, warnings=[f"{name} is not part of the running server"])
            answer.components = DocList[Component]([silent])
        return answer

    def _video_id(self, name: str) -> str:
        """A whole id is taken as it is: the server knows whether there is such a video."""
        return name if re.fullmatch("[0-9a-f]{64}", name) else self.video(name).video_id

    def _save(self, first: Clip | Reel, target: Path, ask_on: Callable[[int], Clip | Reel]) -> None:
        """Write a file that comes in pieces: the first one, then what `ask_on(offset)` answers."""
        temporary = target.with_name(f".{first.sha256[:16]}.part")
        try:
            with temporary.open("wb") as file:
                file.write(first.data)
                while file.tell() < first.size_bytes:
                    file.write(ask_on(file.tell()).data)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            kind = StoreFull if full else OutputRefused
            raise kind(f"The clip could not be written to '{target}' ({error.strerror}).") from error

    def _parts(
        self,
        also: Sequence[str],
        without: Sequence[str],
        image: Image | Sequence[Image] | None,
        like: Moment | Sequence[Moment] | None,
        parts: Sequence[QueryPart],
    ) -> DocList[QueryPart]:
        moments = [(self._video_id(name), seconds) for name, seconds in moments_of(like)]
        return DocList[QueryPart](
            [
                *(QueryPart(text=sendable(each)) for each in also),
                *(QueryPart(text=sendable(each), weight=-1.0) for each in without),
                *(image_part(each) for each in images_of(image)),
                *(QueryPart(video_id=video_id, at_seconds=seconds) for video_id, seconds in moments),
                *(self._with_id(part) for part in parts),
            ]
        )

    def _with_id(self, part: QueryPart) -> QueryPart:
        """The part with the id of its video in the place of a title or prefix."""
        return part.model_copy(update={"video_id": self._video_id(part.video_id)}) if part.video_id else part

    def _answered(self, endpoint: str, query: Query) -> Query:
        check_query(query)
        answer = self._one(endpoint, query)
        if not answer.answered:
            raise ServerFailed(f"The server at {self.address} sent the query back unanswered. Its log has the details.")
        return answer

    def _post(self, endpoint: str, doc: Any, executor: str | None = None) -> Any:
        return transport.run(self._send(endpoint, doc, executor))

    def _one(self, endpoint: str, doc: transport.D, executor: str | None = None) -> transport.D:
        return transport.run(self._send_one(endpoint, doc, executor))

    async def _send(self, endpoint: str, doc: Any, executor: str | None = None) -> Any:
        return await self._transport.post(endpoint, doc, executor=executor, timeout_seconds=self._timeout_seconds)

    async def _send_one(self, endpoint: str, doc: transport.D, executor: str | None = None) -> transport.D:
        answers = await self._send(endpoint, doc, executor)
        if len(answers) != 1:
            raise ServerFailed(
                f"The server at {self.address} answered {endpoint} with {len(answers)} documents, not 1."
            )
        answer: transport.D = answers[0]
        return answer

    def _upload(self, film: FilmSource, title: str | None, progress: OnProgress) -> str:
        size = film.size_bytes
        video_id = sha256(film, lambda done: progress(Progress("hash", done, size)))
        offer = Upload(video_id=video_id, title=sendable(title or film.name), size_bytes=size)
        missing = self._one("/upload", offer, LOADER)
        if not missing.complete:
            transport.run(self._send_chunks(film, offer, missing.missing_offsets, progress))
            if not self._one("/upload", offer, LOADER).complete:
                raise ServerFailed(
                    f"The upload of '{film.name}' is not complete on the server. Repeat it: only the rest is sent."
                )
        return video_id

    async def _send_chunks(self, film: FilmSource, offer: Upload, offsets: list[int], progress: OnProgress) -> None:
        done = offer.size_bytes - sum(min(CHUNK_BYTES, offer.size_bytes - offset) for offset in offsets)

        async def send(offset: int) -> None:
            nonlocal done
            data = await asyncio.to_thread(film.read, offset)
            await self._send_one("/upload", offer.model_copy(update={"offset": offset, "data": data}), LOADER)
            done += len(data)
            progress(Progress("upload", done, offer.size_bytes))

        await _at_most(_UPLOADS_UNDER_WAY, (send(offset) for offset in offsets))

    def _index(self, ask: Video, started: float, progress: OnProgress) -> Indexed:
        video = self._one("/probe", ask)
        if not video.status:
            raise ServerFailed(f"The server at {self.address} did not register the film. Its log has the details.")
        encoded = transport.run(self._index_spans(video, progress))
        stored = self._one("/videos", Video(video_id=ask.video_id), INDEXER)
        if stored.status != "ready":
            raise ServerFailed(
                f"'{stored.title}' is not complete: {len(stored.missing_start_seconds)} of its spans are missing. "
                f"Index it again: only these are done."
            )
        return Indexed(stored, stored.frames - video.frames, encoded, time.monotonic() - started)

    async def _index_spans(self, video: Video, progress: OnProgress) -> int:
        """Send what is missing through the Flow. Returns: how many frames were encoded for it."""
        spans = list(zip(video.missing_start_seconds, video.missing_end_seconds, strict=True))
        done = video.duration_seconds - sum(end - start for start, end in spans)
        progress(Progress("index", done, video.duration_seconds))

        encoded = 0

        async def index(start: float, end: float) -> None:
            nonlocal done, encoded
            of_span = await self._index_span(video, start, end)
            encoded += of_span
            done += end - start
            progress(Progress("index", done, video.duration_seconds))

        await _at_most(_SPANS_UNDER_WAY, (index(start, end) for start, end in spans))
        return encoded

    async def _index_span(self, video: Video, start: float, end: float) -> int:
        """Send one span through the Flow; a failure that may pass is tried again, a refusal is not.

        Returns: how many of its frames were encoded.
        """
        span = VideoSpan(
            video_id=video.video_id,
            start_seconds=start,
            end_seconds=end,
            frames_per_second=video.frames_per_second,
            sampling=video.sampling,
            picture_width=video.picture_width,
            picture_height=video.picture_height,
            picture_fit=video.picture_fit,
            picture_fill=video.picture_fill,
        )
        for left in reversed(range(_SPAN_TRIES)):
            try:
                answer = await self._send_one("/index", span)
                if answer.stored:
                    return answer.frames_encoded
            except ServerFailed:
                if not left:
                    raise
        raise ServerFailed(
            f"The span [{start:.1f}, {end:.1f}) of '{video.title}' came back unstored {_SPAN_TRIES} times."
        )


def choose_video(videos: Iterable[Video], name: str) -> Video:
    """The one video that `name` means: its id, its title, or a prefix of its id that no other has.

    Raises:
        VideoNotFound, AmbiguousVideo.
    """
    known = list(videos)
    tests: tuple[Callable[[Video], bool], ...] = (
        lambda video: video.video_id == name,
        lambda video: video.title == name,
        lambda video: len(name) >= _LEAST_PREFIX and video.video_id.startswith(name.lower()),
    )
    for fits in tests:
        found = [video for video in known if fits(video)]
        if len(found) > 1:
            several = ", ".join(f"{video.video_id[:12]} ({video.title})" for video in found[:5])
            more = ", ..." if len(found) > 5 else ""
            raise AmbiguousVideo(f"'{name}' means {len(found)} videos: {several}{more}. Name one by its id.")
        if found:
            return found[0]
    raise VideoNotFound(
        f"There is no video '{name}'. `clipseek videos` lists those there are; the start of an id is enough, from "
        f"{_LEAST_PREFIX} characters on."
    )


async def _at_most(count: int, works: Iterable[Any]) -> None:
    """Await all coroutines, `count` at a time, in order. The first error stops the rest."""
    waiting = iter(works)

    async def work() -> None:
        for each in waiting:
            await each

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, ClipSeekError | OSError):
            raise first from None
        raise


def _clip_target(path: Path) -> Path:
    """Where a clip goes, links followed: only a new file or one that may be replaced.

    Raises:
        FileMissing, OutputRefused.
    """
    if not path.name:
        raise OutputRefused("The clip needs the name of a file to be written to, e.g. clip.mp4.")
    target = path.resolve() if path.is_symlink() else path
    if not target.parent.is_dir():
        raise FileMissing(f"The folder '{target.parent}' for the clip does not exist. Create it first.")
    if target.exists() and not target.is_file():
        raise OutputRefused(f"'{path}' is no ordinary file, so the clip is not written to it. Name a new file.")
    return target
