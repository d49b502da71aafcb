"""All that is done with the bytes of videos, in worker processes: each kind of work has its own, so that a clip does not
wait for a span that is indexed, nor a thumbnail for a clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from clipseek.api.errors import LimitExceeded
from clipseek.config.settings import SOFTWARE, Settings, variable_of
from executors.machine.processors import processor_count
from executors.video_loader.clips.cut import ClipFile, cut
from executors.video_loader.clips.join import Part, cut_joined
from executors.video_loader.clips.thumbnails import JpegPicture, thumbnail
from executors.video_loader.decode.hardware import choose_decoder
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import VideoInfo, probe
from executors.video_loader.decode.source import state_of
from executors.video_loader.media import sample_videos
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut
from executors.video_loader.workers.worker import WorkerOptions, Workers

P = ParamSpec("P")
T = TypeVar("T")

# FFmpeg's threads keep some 5 of 16 processors busy with one video of 1080p: the rest is for other spans. More at once
# than 3 would wait for spans, of which a client has 4 under way.
_PROCESSORS_PER_SPAN, _MOST_SPANS = 5, 3
_NICENESS = {"index": 10, "clip": 0, "look": 0}  # somebody waits for a clip, a picture or a search, not for a span
# A span or a clip that takes longer than this many times its length is given up. Sampling 1080p took 0.06 times.
MOST_TIMES_LENGTH = 10
_SAMPLES_SECONDS = len(sample_videos.PHOTOGRAPHS) * sample_videos.SECONDS_PER_PHOTOGRAPH
MOST_PICTURE_BYTES = 1_000_000_000  # of one span: they travel in one message


@dataclass(frozen=True)
class SampledSpan:
    """The frames of a span: pictures uint8 [N, height, width, 3] as bytes, N times and N times blank or not; cuts."""

    pictures: bytes
    pts_seconds: list[float]
    blank: list[bool]
    cut_seconds: list[float]


@dataclass(frozen=True)
class SpanOptions:
    """What to sample of a video: `[start_seconds, end_seconds)`, how often, in pictures of which shape; see
    `read_span`."""

    start_seconds: float
    end_seconds: float
    frames_per_second: float
    sampling: str
    shape: PictureShape
    max_frames: float


class VideoJobs:
    """The loader's worker processes. Every method waits for its own work, may be called from any thread, and raises
    what `Workers.run` says beside its own errors.

    Attributes:
        counts: how many processes there are for each kind of work.
        decoder: what spans are decoded by.

    Raises:
        InvalidSetting: see `choose_decoder`.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.decode_timeout_seconds
        spans = min(max(1, processor_count() // _PROCESSORS_PER_SPAN), _MOST_SPANS)
        self.counts = {"index": spans, "clip": 1, "look": 2}
        self._workers = {
            kind: Workers(
                count,
                WorkerOptions(
                    module=__name__,
                    memory_bytes=settings.max_worker_gb * 1e9,
                    log_level=settings.log_level,
                    log_format=settings.log_format,
                    niceness=_NICENESS[kind],
                    when_idle=close_open_video,
                ),
            )
            for kind, count in self.counts.items()
        }
        self.decoder = settings.decoder
        if settings.decoder != SOFTWARE:  # to be tried where it is to be used: a driver may need memory, or crash
            try:
                self.decoder = self._run("index", "opening a hardware decoder", 0.0, choose_decoder, settings.decoder)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for workers in self._workers.values():
            workers.close()

    def probe(self, path: Path, title: str) -> VideoInfo:
        """See `probing.probe`."""
        return self._run("look", f"'{title}'", 0.0, probe, path, title)

    def thumbnail(self, path: Path, at_seconds: float, width: int, title: str) -> JpegPicture:
        """See `thumbnails.thumbnail`."""
        what = f"the picture at {at_seconds:g} s of '{title}'"
        return self._run("look", what, 0.0, thumbnail, path, at_seconds, width, title)

    def sample(self, path: Path, title: str, options: SpanOptions) -> SampledSpan:
        """Sample a span. Raises also: LimitExceeded: it has more frames than may be."""
        start, end = options.start_seconds, options.end_seconds
        what = f"the span [{start:g}, {end:g}) s of '{title}'"
        return self._run("index", what, end - start, sample_span, path, title, options, self.decoder)

    def cut(
        self, path: Path, start_seconds: float, end_seconds: float, mode: str, title: str, destination: Path
    ) -> ClipFile:
        """See `cutting.cut`."""
        what = f"the clip [{start_seconds:g}, {end_seconds:g}) s of '{title}'"
        length = end_seconds - start_seconds
        return self._run("clip", what, length, cut, path, start_seconds, end_seconds, mode, destination, title)

    def join(self, parts: Sequence[Part], mode: str, destination: Path) -> ClipFile:
        """See `joining.cut_joined`."""
        length = sum(part.end_seconds - part.start_seconds for part in parts)
        # Every part is encoded once by itself and once in the whole.
        return self._run("clip", f"the video of {len(parts)} clips", 2 * length, cut_joined, parts, destination, mode)

    def build_samples(self, folder: Path) -> list[Path]:
        """See `samples.build`."""
        return self._run("clip", "the sample videos", _SAMPLES_SECONDS, sample_videos.build, folder)

    def _run(
        self,
        kind: str,
        what: str,
        video_seconds: float,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        deadline_seconds = self._timeout_seconds + MOST_TIMES_LENGTH * max(0.0, video_seconds)
        return self._workers[kind].run(what, deadline_seconds, function, *args, **kwargs)


class OpenVideo:
    """Keeps the video open of which the last span was sampled, for the next one to go on from there."""

    def __init__(self) -> None:
        self._reader: VideoReader | None = None
        self._made_for: object = None

    def reader(self, path: Path, title: str, options: SpanOptions, decoder: str) -> VideoReader:
        """The kept video, if it is this one, sampled in the same way; else it is opened. Raises as `VideoReader`."""
        how = (path, options.frames_per_second, options.shape, title, options.sampling, decoder)
        state = state_of(path, title)
        # Another video may have taken the file's place, while the one that is open is still there to be read.
        wanted = (how, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        if self._reader is None or self._made_for != wanted:
            self.close()
            self._reader = VideoReader(*how)
            self._made_for = wanted
        return self._reader

    def close(self) -> None:
        """Close the video, if one is kept."""
        reader, self._reader = self._reader, None  # first: what cannot be closed is not to be met by the next video
        if reader is not None:
            reader.close()


_kept = OpenVideo()  # of this process, which does one job at a time


def close_open_video() -> None:
    """Close the video that this process keeps: what is deleted meanwhile takes no disk space any more."""
    _kept.close()


def sample_span(path: Path, title: str, options: SpanOptions, decoder: str = SOFTWARE) -> SampledSpan:
    """All that `VideoReader.read` finds. The video stays open unless that failed, or it has come to its end.

    Raises:
        LimitExceeded: more frames than `options.max_frames`, or more bytes of pictures than fit a message.
    """
    try:
        reader = _kept.reader(path, title, options, decoder)
        sampled = _sampled(reader, title, options)
    except BaseException:
        _kept.close()
        raise
    if reader.is_at_end:
        _kept.close()
    return sampled


def _sampled(reader: VideoReader, title: str, options: SpanOptions) -> SampledSpan:
    pictures, pts_seconds, blank, cut_seconds = bytearray(), [], [], []
    start, end = options.start_seconds, options.end_seconds
    for found in reader.read(start, end):
        if isinstance(found, Cut):
            cut_seconds.append(found.pts_seconds)
            continue
        pictures += found.picture.tobytes()
        pts_seconds.append(found.pts_seconds)
        blank.append(found.is_blank)
        if len(pts_seconds) > options.max_frames or len(pictures) > MOST_PICTURE_BYTES:
            raise LimitExceeded(
                f"[{start:g}, {end:g}) s of '{title}' has more than {len(pts_seconds) - 1} frames, the most of one "
                f"span ({variable_of('max_span_frames')}). Index it with fewer frames per second"
            )
    return SampledSpan(bytes(pictures), pts_seconds, blank, cut_seconds)
