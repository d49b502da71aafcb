"""Joins clips into one video in the size of the first clip, with black bars beside clips of another shape."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from executors.machine.disk import report_full_disk
from executors.video_loader.clips.cut import ClipFile, cut_clip
from executors.video_loader.clips.encode import AUDIO_BITS_PER_SECOND, TICKS_PER_SECOND, add_picture_track
from executors.video_loader.clips.remux import have_one_format, remux_clips
from executors.video_loader.clips.sound import Samples
from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.quirks import make_graph

logger = logging.getLogger(__name__)

RATE = 48000  # sound samples per second of the joined video, whatever the clips have


@dataclass(frozen=True)
class ReelPiece:
    """A piece of the joined video: `[start_seconds, end_seconds)` of a video."""

    file: VideoFile
    start_seconds: float
    end_seconds: float
    title: str


def cut_and_join(pieces: Sequence[ReelPiece], destination: Path, mode: str = "exact") -> ClipFile:
    """Cut the pieces and join them in their order.

    Args:
        mode: see `cut_clip`. `copy` encodes nothing again if all pieces have one format, else they are cut exactly.
        destination: the video's path without its suffix, `.mp4`.

    Raises: the errors of `cut_clip`.
    """
    with TemporaryDirectory(dir=destination.parent, prefix="joining-") as folder:
        clips = _cut_all(pieces, mode, Path(folder))
        write = remux_clips if mode == "copy" and have_one_format(clips) else join_clips
        if mode == "copy" and write is join_clips:
            logger.info("joining %d clips exactly: their formats differ", len(pieces))
            clips = _cut_all(pieces, "exact", Path(folder))
        with report_full_disk(destination.parent, f"the video of {len(pieces)} clips"):
            draft = Path(folder) / "joined.mp4"
            length = write(clips, draft)
            final = draft.replace(destination.with_name(f"{destination.name}.mp4"))
    return ClipFile(0.0, float(length), final)


def _cut_all(pieces: Sequence[ReelPiece], mode: str, folder: Path) -> list[Path]:
    return [
        cut_clip(piece.file, piece.start_seconds, piece.end_seconds, mode, folder / f"{place}-{mode}", piece.title).path
        for place, piece in enumerate(pieces)
    ]


def join_clips(clips: Sequence[Path], destination: Path) -> Fraction:
    """Write the clips one after another as H.264 and AAC in MP4, its index in front.

    Args:
        clips: made by `encode_clip`: H.264, upright, with square pixels, and AAC or no sound.

    Returns: the length in seconds. If only some clips have sound, the others are silent.
    """
    has_sound = any(map(_has_sound, clips))
    with av.open(str(destination), "w", format="mp4", options={"movflags": "+faststart"}) as joined:
        with av.open(str(clips[0])) as first:
            like = first.streams.video[0]
            pictures = add_picture_track(joined, like.average_rate or Fraction(25), like.width, like.height)
        sound = _SoundTrack(joined) if has_sound else None
        begin = Fraction(0)
        for clip in clips:
            begin = _add_clip(clip, begin, joined, pictures, sound)

        joined.mux(pictures.encode(None))
        if sound:
            sound.close()
    return begin


def _has_sound(clip: Path) -> bool:
    with av.open(str(clip)) as video:
        return bool(video.streams.audio)


def _add_clip(
    clip: Path, begin: Fraction, joined: OutputContainer, pictures: VideoStream, sound: "_SoundTrack | None"
) -> Fraction:
    with av.open(str(clip)) as video:
        stream = video.streams.video[0]
        stream.thread_count = 1  # its pictures have one slice each: more threads only add memory
        for frame in _fit_pictures(video, pictures.width, pictures.height):
            shown_at = begin + (frame.pts or 0) * (frame.time_base or Fraction(0))
            frame.pts, frame.time_base = round(shown_at * TICKS_PER_SECOND), Fraction(1, TICKS_PER_SECOND)
            frame.pict_type = 0
            joined.mux(pictures.encode(frame))
        end = begin + (stream.duration or 0) * (stream.time_base or Fraction(0))
        if sound:
            sound.add(video, until=end)
    return end


def _fit_pictures(video: InputContainer, width: int, height: int) -> Iterator[VideoFrame]:
    graph = make_graph()
    steps = [
        graph.add_buffer(template=video.streams.video[0]),
        graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2"),
        graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
        graph.add("setsar", "1"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*steps).configure()
    video.seek(0)
    for frame in video.decode(video=0):
        graph.vpush(frame)
        yield graph.vpull()


class _SoundTrack:
    def __init__(self, joined: OutputContainer) -> None:
        self._joined = joined
        self._stream: AudioStream = joined.add_stream("aac", rate=RATE, layout="stereo")
        self._stream.bit_rate = AUDIO_BITS_PER_SECOND
        self._written = 0

    def add(self, video: InputContainer, until: Fraction) -> None:
        """Add a clip's sound up to `until` seconds, and silence if it has none or too little."""
        end = round(until * RATE)
        if video.streams.audio:
            video.seek(0)
            for samples in _resample(video):
                self._write(samples[:, : end - self._written])
        while self._written < end:
            self._write(np.zeros((2, min(RATE, end - self._written)), np.float32))

    def close(self) -> None:
        self._joined.mux(self._stream.encode(None))

    def _write(self, samples: Samples) -> None:
        if not samples.shape[1]:
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
        self._written += samples.shape[1]
        self._joined.mux(self._stream.encode(frame))


def _resample(video: InputContainer) -> Iterator[Samples]:
    """A clip's sound from its beginning, without the samples that the codec needs before it."""
    resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE)
    early = 0
    for frame in video.decode(audio=0):
        if frame.pts is not None and frame.time_base and frame.pts < 0:
            early = max(early, round(-frame.pts * frame.time_base * RATE))
        for out in resampler.resample(frame):
            samples = out.to_ndarray().astype(np.float32, copy=False)
            yield samples[:, early:]
            early = max(0, early - samples.shape[1])
    for out in resampler.resample(None):
        yield out.to_ndarray().astype(np.float32, copy=False)
