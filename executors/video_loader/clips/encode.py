"""Encodes a clip that is exact to the frame: pictures and sound of `[start, end)`, in a format every browser plays."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clipseek.api.errors import InvalidRequest
from clipseek.api.picture_fit import size_inside
from executors.machine.processors import processor_count
from executors.video_loader.clips.extras import add_subtitles, copy_chapters, copy_tags, copy_timecode, list_sounds
from executors.video_loader.clips.formats import MP4, ClipFormat
from executors.video_loader.clips.sound import Sound
from executors.video_loader.decode.interlace import deinterlace
from executors.video_loader.decode.picture import SCALING, FrameRenderer, Orientation, add_grey_chroma
from executors.video_loader.decode.source import VideoSource
from executors.video_loader.decode.tone_map import ToneMapper, is_hdr

TICKS_PER_SECOND = 90_000  # of the clip's timestamps: no rounding at 24, 25, 30 and 29.97 frames per second
ENCODER_OPTIONS = {
    "crf": "18",  # viewers see no difference to the source
    "preset": "veryfast",  # about real time for 1080p on two cores; slower presets only make the file smaller
    "bf": "0",  # MP4 stores frame durations in decoding order: they are right only without B-frames
}
# Like the above, as far as VP9 goes: twice as slow as H.264.
VP9_OPTIONS = {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1", "lag-in-frames": "0"}
# The same on every machine, because x264's output depends on it: loaders on different machines send chunks of one clip.
ENCODER_THREADS = 4
AUDIO_BITS_PER_SECOND = 160_000
MAX_FPS = 240  # announced to the encoder; timestamps stay as they are
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_BT709 = 1  # in FFmpeg's enums of matrices, primaries and transfers
_UNSEEN_SECONDS = Fraction(1, 2000)  # files and callers round to milliseconds
_BLACK, _NO_COLOUR = 16, 128  # levels of limited range
_UNSPECIFIED = (0, 2)  # reserved or unspecified, in FFmpeg's colour enums


def encode_clip(
    source: VideoSource,
    start: Fraction,
    end: Fraction,
    destination: Path,
    form: ClipFormat = MP4,
    *,
    extras: bool = False,
) -> None:
    """Write `[start, end)` of a video: as H.264 and AAC in MP4, its index in front, or in another format.

    The first picture is the one on screen at `start`, every frame keeps its own time, and the last one lasts until
    `end`. Memory does not grow with the length. The clip is upright and has square pixels.

    Args:
        extras: also write all other sounds, subtitles of text, and chapters.
    """
    with ExitStack() as opened:
        clip = opened.enter_context(av.open(str(destination), "w", format=form.muxer, options=form.options))
        pictures = _PictureTrack(clip, source, form.pictures)
        sounds = []
        for stream in list_sounds(source, extras=extras):
            sound = opened.enter_context(Sound(source, start, end, stream.index, form.rates))
            sounds.append(_SoundTrack(clip, sound, form.sound, stream))
        lines = []
        if extras:
            copy_chapters(source, clip, start, end)
            copy_timecode(source, pictures.stream, start)
            lines = add_subtitles(clip, form, source, start, end)
        for frame, since, until in deinterlace(show_frames(source, start, end)):
            pictures.add(frame, since - start, until - start)
            for sound_track in sounds:
                sound_track.add_until(until - start)
            while lines and (lines[0].pts or 0) * lines[0].time_base < until - start:
                clip.mux(lines.pop(0))
        pictures.close()
        for sound_track in sounds:
            sound_track.close()


def encode_sound(source: VideoSource, start: Fraction, end: Fraction, destination: Path, form: ClipFormat) -> None:
    """Write the main sound of `[start, end)` by itself. Raises: InvalidRequest: the video has none."""
    streams = list_sounds(source, extras=False)
    if not streams:
        raise InvalidRequest(f"'{source.title}' has no sound: a '{form.suffix}' clip would be empty. Choose .mp4")
    with (
        av.open(str(destination), "w", format=form.muxer) as clip,
        Sound(source, start, end, streams[0].index, form.rates) as sound,
    ):
        _SoundTrack(clip, sound, form.sound, streams[0]).close()


def show_frames(source: VideoSource, start: Fraction, end: Fraction) -> Iterator[tuple[VideoFrame, Fraction, Fraction]]:
    """The pictures on screen, each with the time from and until which it is. The first one may come too early.

    One that is on screen for half a millisecond, at either end, is left out.
    """
    last: VideoFrame | None = None
    since = start
    for timed in source.frames(start):
        if timed.time > end - _UNSEEN_SECONDS and last is not None:
            break
        if last is not None and timed.time > start + _UNSEEN_SECONDS:
            yield last, since, timed.time
            since = timed.time
        last = timed.frame
        if timed.time >= end:
            break
    if last is not None:
        yield last, since, end


def add_picture_track(
    clip: OutputContainer, rate: Fraction, width: int, height: int, encoder: str = "libx264"
) -> VideoStream:
    options = ENCODER_OPTIONS if encoder == "libx264" else VP9_OPTIONS
    track = cast(VideoStream, clip.add_stream(encoder, rate=rate, options=options))
    track.width, track.height, track.pix_fmt = width, height, "yuv420p"
    track.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
    track.thread_count = ENCODER_THREADS
    return track


class _PictureTrack:
    def __init__(self, clip: OutputContainer, source: VideoSource, encoder: str) -> None:
        self._clip = clip
        self._scaler, self._tone_mapper = VideoReformatter(), ToneMapper()
        self._renderer = FrameRenderer(source.first_frame, source.stream.sample_aspect_ratio)
        self._shown = width, height = self._renderer.measure(source.first_frame)
        self._size = (_round_to_even(width), _round_to_even(height))
        rate = min(1 / source.frame_seconds, Fraction(MAX_FPS)).limit_denominator(1001)
        self.stream = add_picture_track(clip, rate, *self._size, encoder)
        self._durations: dict[int, int] = {}
        self._last = -1
        self._copy_colours(self._to_yuv420p(source.first_frame))

    def _copy_colours(self, frame: VideoFrame) -> None:
        for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
            if getattr(frame, name) not in _UNSPECIFIED or name == "color_range":
                setattr(self.stream.codec_context, name, int(getattr(frame, name)))

    def add(self, frame: VideoFrame, since: Fraction, until: Fraction) -> None:
        pts, end = round(since * TICKS_PER_SECOND), round(until * TICKS_PER_SECOND)
        if pts <= self._last:  # two frames within one tick
            return
        self._last = pts
        picture = self._to_yuv420p(frame)
        picture.pts, picture.time_base, picture.pict_type = pts, Fraction(1, TICKS_PER_SECOND), 0
        self._durations[pts] = end - pts
        self._mux(picture)

    def close(self) -> None:
        self._mux(None)

    def _to_yuv420p(self, frame: VideoFrame) -> VideoFrame:
        """Convert to the clip's size, upright, in 8-bit 4:2:0 and the narrow range that browsers expect.

        A picture of another shape than the first one is fitted, with black beside it.
        """
        inner = self._fit(frame)
        size = self._renderer.stored_size(*inner)
        frame = add_grey_chroma(frame)
        is_mapped = is_hdr(frame)
        if is_mapped:
            frame = self._tone_mapper.convert(frame, *size, SCALING)
        is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj") or frame.format.is_rgb
        flat = self._scaler.reformat(
            frame,
            *size,
            "yuv420p",
            interpolation=SCALING,
            dst_colorspace=Colorspace.ITU709 if frame.format.is_rgb else None,
            dst_color_range="MPEG" if is_full else None,
            threads=processor_count(),  # not those of the machine, which a container may not use
        )
        if is_mapped:
            flat.colorspace, flat.color_primaries, flat.color_trc = _BT709, _BT709, _BT709
        turn = self._renderer.orientation
        upright = flat if turn == Orientation() else _turn(flat, turn)
        return upright if inner == self._size else _pad(upright, *self._size)

    def _fit(self, frame: VideoFrame) -> tuple[int, int]:
        shown = self._renderer.measure(frame)
        if shown == self._shown:
            return self._size
        width, height = size_inside(shown, self._size)
        return min(_round_to_even(width), self._size[0]), min(_round_to_even(height), self._size[1])

    def _mux(self, picture: VideoFrame | None) -> None:
        for packet in self.stream.encode(picture):
            packet.duration = self._durations.pop(packet.pts or 0, 0)
            self._clip.mux(packet)


class _SoundTrack:
    def __init__(self, clip: OutputContainer, sound: Sound, encoder: str, like: Stream) -> None:
        self._clip, self._rate = clip, sound.rate
        self._stream = cast(AudioStream, clip.add_stream(encoder, rate=sound.rate, layout=sound.layout))
        self._stream.bit_rate = AUDIO_BITS_PER_SECOND
        copy_tags(like, self._stream)
        self._frames = sound.frames()
        self._until = 0

    def add_until(self, seconds: Fraction) -> None:
        """Encode the sound up to `seconds` of the clip, which interleaves the file."""
        while self._until < seconds * self._rate and (frame := next(self._frames, None)) is not None:
            self._until += frame.samples
            self._clip.mux(self._stream.encode(frame))

    def close(self) -> None:
        for frame in self._frames:
            self._clip.mux(self._stream.encode(frame))
        self._clip.mux(self._stream.encode(None))


def _round_to_even(pixels: int) -> int:
    return max(2, pixels + pixels % 2)


def _pad(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The frame, in 8-bit 4:2:0 and of even sizes, in the middle of a black one."""
    planes = frame.to_ndarray()
    left, top = (width - frame.width) // 4 * 2, (height - frame.height) // 4 * 2
    luma = np.full((height, width), _BLACK, np.uint8)
    luma[top : top + frame.height, left : left + frame.width] = planes[: frame.height]
    chroma = np.full((2, height // 2, width // 2), _NO_COLOUR, np.uint8)
    inside = planes[frame.height :].reshape(2, frame.height // 2, frame.width // 2)
    chroma[:, top // 2 : (top + frame.height) // 2, left // 2 : (left + frame.width) // 2] = inside
    return _like(np.concatenate([luma.reshape(-1), chroma.reshape(-1)]).reshape(-1, width), frame)


def _turn(frame: VideoFrame, turn: Orientation) -> VideoFrame:
    planes = frame.to_ndarray()
    luma, chroma = planes[: frame.height], planes[frame.height :].reshape(2, frame.height // 2, frame.width // 2)
    upright = turn.apply(luma)  # type: ignore[arg-type]  # the format is 8-bit
    halves = [turn.apply(plane).reshape(-1) for plane in chroma]  # type: ignore[arg-type]
    packed = np.concatenate([upright.reshape(-1), *halves]).reshape(-1, upright.shape[1])
    return _like(packed, frame)


def _like(planes: NDArray[np.uint8], frame: VideoFrame) -> VideoFrame:
    """A frame with the colours of another one."""
    made = VideoFrame.from_ndarray(planes, format="yuv420p")
    for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
        setattr(made, name, getattr(frame, name))
    return made
