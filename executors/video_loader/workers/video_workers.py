"""Runs all work on videos in worker processes. Each kind of work has its own processes: a clip never waits for a span
that is being indexed, nor a thumbnail for a clip."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import av

from clipseek.api.errors import LimitExceeded, UnreadableVideo
from clipseek.config.settings import SOFTWARE, Settings, variable_of
from executors.machine.processors import processor_count
from executors.machine.worker import WorkerOptions, WorkerPool
from executors.video_loader.clips.cut import ClipFile, cut_clip
from executors.video_loader.clips.join import ReelPiece, cut_and_join
from executors.video_loader.clips.thumbnails import JpegPicture, make_thumbnail
from executors.video_loader.containers.container import check_readable, stat_video
from executors.video_loader.containers.parts import VideoFile, path_of
from executors.video_loader.decode.hardware import choose_decoder
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import VideoInfo, probe_video
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut
from executors.video_loader.words.span_words import SpanWords, WordOptions, gather_span_words

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

# FFmpeg's threads keep about 5 of 16 processors busy with one 1080p video; the rest is for other spans. More than 3 at
# once would wait for spans: a client has 4 under way.
_PROCESSORS_PER_SPAN, _MOST_SPANS = 5, 3
# People wait for clips, pictures and searches, not for spans; and for spans rather than for words.
_NICENESS = {"index": 10, "clip": 0, "look": 0, "words": 15}
# A span or a clip times out after this many times its length. Sampling 1080p took 0.06 times.
MOST_TIMES_LENGTH = 10
# A process that sees a file of MPEG-TS, MPEG-PS or FLV for the first time reads all of it, see `restarts.py`.
_LEAST_BYTES_PER_SECOND = 50e6  # a slow disk, shared with others
_EARLY_SECONDS = 5.0  # pictures that end so long before a span does, stay, or a disk failed
MOST_PICTURE_BYTES = 1_000_000_000  # of one span: they travel in one message


@dataclass(frozen=True)
class SampledSpan:
    """The N frames of a span: pictures, uint8 [N, height, width, 3] as bytes; their times and blanks; and the cuts."""

    pictures: bytes
    pts_seconds: list[float]
    blank: list[bool]
    cut_seconds: list[float]


@dataclass(frozen=True)
class SpanOptions:
    """The span to sample, `[start_seconds, end_seconds)`, how often, and the pictures' shape; see `VideoReader`."""

    start_seconds: float
    end_seconds: float
    frames_per_second: float
    sampling: str
    shape: PictureShape
    max_frames: float


@dataclass(frozen=True)
class CutOptions:
    """How a clip is cut: see `cut_clip`."""

    mode: str
    suffix: str = ""
    extras: bool = False


class VideoWorkers:
    """The loader's worker processes. Any thread may call any method, which waits for its result.

    Each method also raises the errors of `WorkerPool.run`.

    Attributes:
        counts: number of processes for each kind of work.
        decoder: what decodes spans.

    Raises: InvalidSetting: see `choose_decoder`.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.decode_timeout_seconds
        spans = min(max(1, processor_count() // _PROCESSORS_PER_SPAN), _MOST_SPANS)
        self.counts = {"index": spans, "clip": 1, "look": 2, "words": 1}
        self._pools = {
            kind: WorkerPool(
                count,
                WorkerOptions(
                    module=__name__,
                    memory_bytes=settings.max_worker_gb * 1e9,
                    explain=explain_error,
                    crash_advice="Convert the video to H.264 in MP4, or leave out this range",
                    log_level=settings.log_level,
                    log_format=settings.log_format,
                    niceness=_NICENESS[kind],
                    when_idle=close_open_video,
                ),
            )
            for kind, count in self.counts.items()
        }
        self.decoder = settings.decoder
        if settings.decoder != SOFTWARE:  # tried in the process that will use it: a driver may need memory, or crash
            try:
                self.decoder = self._run(
                    "index", "opening a hardware decoder", (), 0.0, choose_decoder, settings.decoder
                )
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """End the processes at once."""
        for pool in self._pools.values():
            pool.close()

    def probe(self, file: VideoFile, title: str) -> VideoInfo:
        return self._run("look", f"'{title}'", [file], 0.0, probe_video, file, title)

    def make_thumbnail(self, file: VideoFile, at_seconds: float, width: int, title: str) -> JpegPicture:
        what = f"the picture at {at_seconds:g} s of '{title}'"
        return self._run("look", what, [file], 0.0, make_thumbnail, file, at_seconds, width, title)

    def sample(self, file: VideoFile, title: str, options: SpanOptions) -> SampledSpan:
        start, end = options.start_seconds, options.end_seconds
        what = f"the span [{start:g}, {end:g}) s of '{title}'"
        return self._run("index", what, [file], end - start, sample_span, file, title, options, self.decoder)

    def gather_words(self, file: VideoFile, title: str, options: WordOptions) -> SpanWords:
        start, end = options.start_seconds, options.end_seconds
        what = f"the words of [{start:g}, {end:g}) s of '{title}'"
        return self._run("words", what, [file], end - start, gather_span_words, file, title, options)

    def cut(
        self,
        file: VideoFile,
        start_seconds: float,
        end_seconds: float,
        how: CutOptions,
        title: str,
        destination: Path,
    ) -> ClipFile:
        what = f"the clip [{start_seconds:g}, {end_seconds:g}) s of '{title}'"
        length = end_seconds - start_seconds
        return self._run(
            "clip",
            what,
            [file],
            length,
            cut_clip,
            file,
            start_seconds,
            end_seconds,
            how.mode,
            destination,
            title,
            suffix=how.suffix,
            extras=how.extras,
        )

    def join(self, pieces: Sequence[ReelPiece], mode: str, destination: Path) -> ClipFile:
        length = sum(piece.end_seconds - piece.start_seconds for piece in pieces)
        # Every piece is encoded twice: by itself and in the joined video.
        what = f"the video of {len(pieces)} clips"
        return self._run(
            "clip", what, [piece.file for piece in pieces], 2 * length, cut_and_join, pieces, destination, mode
        )

    def _run(
        self,
        kind: str,
        what: str,
        files: Sequence[VideoFile],
        video_seconds: float,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        read_seconds = sum(map(_measure, set(map(path_of, files)))) / _LEAST_BYTES_PER_SECOND
        deadline_seconds = self._timeout_seconds + MOST_TIMES_LENGTH * max(0.0, video_seconds) + read_seconds
        return self._pools[kind].run(what, deadline_seconds, function, *args, **kwargs)


def _measure(path: Path) -> int:
    """The bytes of a file; 0 if it is not there, which the work on it will say."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def explain_error(what: str, error: Exception) -> Exception:
    """Name an error that a video provoked: UnreadableVideo, or an error of the system as it is."""
    if isinstance(error, av.FFmpegError):
        return UnreadableVideo(f"{what} cannot be decoded (FFmpeg: {error.strerror})")
    if isinstance(error, OSError):
        return error
    logger.error("%s failed", what, exc_info=error)
    return UnreadableVideo(f"{what} cannot be decoded ({type(error).__name__}: {error})")


class OpenReader:
    """Keeps the video of the last sampled span open, so that the next span can continue there."""

    def __init__(self) -> None:
        self._reader: VideoReader | None = None
        self._opened_for: object = None

    def open(self, file: VideoFile, title: str, options: SpanOptions, decoder: str) -> VideoReader:
        """The open reader if video and sampling are the same, else a new one. Raises: the errors of `VideoReader`."""
        how = (file, options.frames_per_second, options.shape, title, options.sampling, decoder)
        state = stat_video(path_of(file), title)
        # Another video may have replaced the file, while the open one could still be read.
        wanted = (how, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        if self._reader is None or self._opened_for != wanted:
            self.close()
            self._reader = VideoReader(*how)
            self._opened_for = wanted
        return self._reader

    def close(self) -> None:
        """Close the video, if one is open."""
        reader, self._reader = self._reader, None  # first: if closing fails, the next video must not get this reader
        if reader is not None:
            reader.close()


_open_reader = OpenReader()  # one per process, which runs one task at a time


def close_open_video() -> None:
    """Close the video that this process keeps open, so that a deleted one frees its disk space."""
    _open_reader.close()


def sample_span(file: VideoFile, title: str, options: SpanOptions, decoder: str = SOFTWARE) -> SampledSpan:
    """All that `VideoReader.read` gives. The video stays open unless that failed, or the span was its last.

    Raises: LimitExceeded: more frames than `options.max_frames`, or more bytes of pictures than fit a message.
    MediaMissing: the disk fails in the middle of the file.
    """
    try:
        reader = _open_reader.open(file, title, options, decoder)
        sampled = _read_span(reader, title, options)
        if reader.ends_before(options.end_seconds - _EARLY_SECONDS):
            check_readable(path_of(file), title)
    except BaseException:
        close_open_video()
        raise
    if reader.is_at_end:
        close_open_video()
    return sampled


def _read_span(reader: VideoReader, title: str, options: SpanOptions) -> SampledSpan:
    pictures, pts_seconds, blank, cut_seconds = bytearray(), [], [], []
    start, end = options.start_seconds, options.end_seconds
    for item in reader.read(start, end):
        if isinstance(item, Cut):
            cut_seconds.append(item.pts_seconds)
            continue
        pictures += item.picture.tobytes()
        pts_seconds.append(item.pts_seconds)
        blank.append(item.is_blank)
        if len(pts_seconds) > options.max_frames or len(pictures) > MOST_PICTURE_BYTES:
            raise LimitExceeded(
                f"[{start:g}, {end:g}) s of '{title}' has more than {len(pts_seconds) - 1} frames, the limit of one "
                f"span ({variable_of('max_span_frames')}). Index it with fewer frames per second"
            )
    return SampledSpan(bytes(pictures), pts_seconds, blank, cut_seconds)
