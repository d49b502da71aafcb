"""`Client`: the way into ClipSeek for the page, the command line and scripts."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from clipseek.api.base_document import DocList
from clipseek.api.documents import (
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
)
from clipseek.api.endpoints import EXECUTORS, INDEXER, LOADER, WITHOUT_IMAGES
from clipseek.api.errors import AmbiguousVideo, InvalidRequest, InvalidTopK, ServerFailed, VideoNotFound
from clipseek.api.limits import MAX_RATE, MAX_TOP_K, MIN_RATE, SAMPLINGS
from clipseek.api.query_parts import Image, Moment, check_query, image_part, images_of, moments_of, sendable
from clipseek.client import indexing
from clipseek.client.download import SavedClip, clip_target, save_clip
from clipseek.client.health import ask_health
from clipseek.client.indexing import Indexed, OnProgress, Progress
from clipseek.client.transport import D, Transport, run
from clipseek.client.upload_source import upload_source
from clipseek.config.addresses import is_tls, parse_host
from clipseek.config.libraries import check_library
from clipseek.config.settings import Settings

__all__ = ["EXECUTORS", "Client", "Indexed", "OnProgress", "Progress", "SavedClip", "choose_video"]

_HEALTH_SECONDS = 10.0  # a busy executor answers sooner: its work is done in other threads
_LEAST_PREFIX = 4  # characters of an id that may stand for the whole of it


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
        self._transport = Transport(
            *parse_host(host),
            timeout_seconds=timeout_seconds,
            retry_seconds=retry_seconds,
            token=settings.token if token is None else token,
            library=check_library(library) if library else "",
            tls=is_tls(host),
            tls_ca=settings.tls_ca,
            own_certificate=settings.tls_cert if host == settings.local_host else "",
        )
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection to the server. A later request makes it anew."""
        run(self._transport.close())

    @property
    def address(self) -> str:
        """The server this client talks to, as grpc://HOST:PORT."""
        return self._transport.address

    # Ingest

    def index(
        self,
        video: str | Path | BinaryIO,
        *,
        title: str | None = None,
        frames_per_second: float | None = None,
        sampling: str | None = None,
        on_server: bool = False,
        content_sha256: str = "",
        progress: OnProgress = indexing.silent,
    ) -> Indexed:
        """Upload a video and index it; what the server has already is neither sent nor encoded again.

        Args:
            video: its path, or an open binary file; with `on_server` a path on the server, under a folder that its
                operator allowed.
            title: shown in answers; by default the file's name.
            frames_per_second: how often to look at it; by default the server's setting. Another rate than the one a
                known video was indexed with indexes it anew.
            sampling: "even"; "adaptive" looks up to four times as often where the picture moves; "keyframes" looks only
                at frames that decode by themselves, which is fast and coarse. By default as the video was indexed
                before, else even. Another way than before indexes a known video anew.
            content_sha256: the hash of the video's content in lower-case hex, where it is known: the video is not read
                for it then. The server checks it.
            progress: called from a background thread with each step; it may raise `Cancelled` to stop here. What is
                done by then is kept, and the next `index` or `resume` goes on from it.

        Raises:
            FileMissing, EmptyFile, UnreadableVideo, NoVideoStream, StoreFull, ModelMismatch, PathNotAllowed,
            UploadCorrupted: the video has another content than `content_sha256` says, or changed on its way.
        """
        if frames_per_second is not None and not MIN_RATE <= frames_per_second <= MAX_RATE:
            raise InvalidRequest(
                f"frames_per_second is {frames_per_second:g}, but must be from {MIN_RATE:g} to {MAX_RATE:g}"
            )
        if sampling is not None and sampling not in SAMPLINGS:
            raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
        started = time.monotonic()
        if on_server:
            path = str(video)
            upload = Upload(server_path=sendable(path), title=sendable(title or Path(path).name))
            video_id = self._one("/upload", upload, LOADER).video_id
        else:
            video_id = indexing.upload(self._transport, upload_source(video), title, content_sha256, progress)
        ask = Video(video_id=video_id, title=sendable(title or ""), frames_per_second=frames_per_second or 0.0)
        ask.sampling = sampling or ""
        return indexing.index(self._transport, ask, progress, started)

    def resume(self, name: str, *, progress: OnProgress = indexing.silent) -> Indexed:
        """Index what is missing of a video (id, unique prefix or title) whose file is on the server already.

        Raises:
            VideoNotFound, AmbiguousVideo, MediaMissing, ModelMismatch, StoreFull.
        """
        ask, started = Video(video_id=self._video_id(name)), time.monotonic()
        return indexing.index(self._transport, ask, progress, started)

    def server_videos(self, folder: str) -> list[Upload]:
        """The videos below a folder of the server that its operator allowed; each one's `server_path` goes to `index`.

        Raises:
            PathNotAllowed, FileMissing, NoVideosFound.
        """
        return list(self._post("/server_videos", Upload(server_path=sendable(folder)), LOADER))

    def add_samples(self, progress: OnProgress = indexing.silent) -> list[Indexed]:
        """Index the sample library that the server builds from videos and photographs of installed packages."""
        started = time.monotonic()
        videos = self._post("/samples", Video(), LOADER)
        return [indexing.index(self._transport, Video(video_id=video.video_id), progress, started) for video in videos]

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

        Worth it after a change of the model, or once a library has its usual videos and "nothing matches" is said too
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
        if _is_id(name):  # one video is answered sooner than all
            return self._one("/videos", Video(video_id=name), INDEXER)
        return choose_video(self.videos(), name)

    def shots(self, name: str) -> list[tuple[float, float]]:
        """The `[start, end)` in seconds of every shot of a video (id, unique prefix or title), in order of time.

        A video that an earlier ClipSeek indexed is one shot, until it is deleted and indexed again.

        Raises:
            VideoNotFound, AmbiguousVideo.
        """
        video = self.video(self._video_id(name))
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
        target = clip_target(Path(output))
        ask = Clip(video_id=self._video_id(name), start_seconds=start_seconds, end_seconds=end_seconds, mode=mode)
        first = self._one("/clip", ask, LOADER)
        if first.suffix and first.suffix != target.suffix.lower() and mode == "copy":
            target = target.with_suffix(first.suffix)
        save_clip(first, target, lambda offset: self._one("/clip", ask.model_copy(update={"offset": offset}), LOADER))
        return SavedClip(target, first.start_seconds, first.end_seconds, first.size_bytes)

    def join(
        self, moments: Sequence[tuple[str, float, float]], output: str | Path, *, mode: str = "exact"
    ) -> SavedClip:
        """Cut moments and join them, in their order, to one video in MP4.

        Args:
            moments: (video, start, end) each, the video as `clip` takes it, times in seconds.
            mode: as of `clip`; "copy" is for moments out of videos of one format, others are cut exactly all the same.

        Returns: the video, in its own time: it starts at 0.

        Raises: as `clip`; InvalidRequest: there are no moments.
        """
        target = clip_target(Path(output))
        ask = Reel(
            video_ids=[self._video_id(name) for name, _, _ in moments],
            start_seconds=[start for _, start, _ in moments],
            end_seconds=[end for _, _, end in moments],
            mode=mode,
        )
        first = self._one("/join", ask, LOADER)
        save_clip(first, target, lambda offset: self._one("/join", ask.model_copy(update={"offset": offset}), LOADER))
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
        return run(ask_health(self._transport, min(_HEALTH_SECONDS, self._timeout_seconds)))

    def recall(self) -> Component:
        """Have the indexer compare what its index finds with all frames of the library, as `clipseek doctor --recall`.

        It takes seconds: all of the library is read. An index that finds too little is mended.

        Returns: the indexer's line, with the facts `recall_before`, `recall` (shares in [0, 1]), `recall_queries` and
            `index` (how frames are compared).
        """
        doc = Health(check_recall=True)
        return self._one("/health", doc, INDEXER).components[0]

    # Below

    def _video_id(self, name: str) -> str:
        """A whole id is taken as it is: the server knows whether there is such a video."""
        return name if _is_id(name) else self.video(name).video_id

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
        answer = self._one(endpoint, query, None if any(part.image for part in query.parts) else WITHOUT_IMAGES)
        if not answer.answered:
            raise ServerFailed(f"The server at {self.address} sent the query back unanswered. Its log has the details.")
        return answer

    def _post(self, endpoint: str, doc: D, executor: str | None = None) -> DocList[D]:
        return run(self._transport.post(endpoint, doc, executor=executor))

    def _one(self, endpoint: str, doc: D, executor: str | None = None) -> D:
        return run(self._transport.post_one(endpoint, doc, executor=executor))


def _is_id(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", name) is not None


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
