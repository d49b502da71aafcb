"""Copies packets into a clip: nothing is encoded again, and the clip starts at a keyframe."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import heapq
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, takewhile
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipseek.api.errors import InvalidRequest
from executors.video_loader.clips.extras import add_subtitles, copy_chapters, copy_tags, copy_timecode, list_sounds
from executors.video_loader.clips.formats import MKV, MP4, ClipFormat
from executors.video_loader.clips.sound import read_packets_from
from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.tracks import find_video_stream
from executors.video_loader.decode.packets import has_presentation_times, read_packets, seek_keyframe
from executors.video_loader.decode.source import VideoSource

_LONG_SECONDS = Fraction(1, 2)  # no frame of a usual rate is shown for so long


class NotCopyable(Exception):
    """These packets cannot be copied into a clip."""


def choose_format(source: VideoSource, form: ClipFormat | None, *, extras: bool) -> ClipFormat:
    """The format to copy into: the wanted one, or else MP4 if everything fits, and Matroska if not.

    Raises: InvalidRequest: the video does not fit into the wanted one.
    """
    streams = [source.stream, *list_sounds(source, extras=extras)]
    if form is None:
        return MP4 if _find_misfit(streams, MP4) is None else MKV
    misfit = _find_misfit(streams, form)
    if misfit is not None:
        raise InvalidRequest(
            f"'{source.title}' has {misfit}, which cannot be copied into a '{form.suffix}' file. Leave out --copy, or "
            "choose .mkv"
        )
    return form


def _find_misfit(streams: Sequence[Stream], form: ClipFormat) -> str | None:
    names = [stream.codec_context.codec.canonical_name for stream in streams]
    fitting = [form.copied_pictures, *[form.copied_sounds] * (len(names) - 1)]
    if form is MKV:
        return None
    return next((name for name, fits in zip(names, fitting, strict=True) if name not in fits), None)


def copy_clip(
    source: VideoSource, start: Fraction, end: Fraction, destination: Path, form: ClipFormat, *, extras: bool
) -> tuple[Fraction, Fraction]:
    """Write a clip from the keyframe at or before `start`.

    Returns: start and end of what was copied, in seconds of the video.

    Raises: NotCopyable: a packet lacks what a clip needs. FFmpegError, ValueError: FFmpeg's.
    """
    if not has_presentation_times(source.container):
        raise NotCopyable("no presentation times")
    origin = source.first_pts * source.time_base
    with ExitStack() as opened:
        picture_file = opened.enter_context(open_container(source.file, source.title))
        video = find_video_stream(picture_file, source.file, source.title)
        key, pictures = _read_from_keyframe(source, picture_file, video, start)
        if key.pts is None:
            raise NotCopyable("a keyframe without a time")
        begin = (key.pts - source.first_pts) * source.time_base
        clip = opened.enter_context(av.open(str(destination), "w", format=form.muxer, options=form.options))
        copier = _Copier(clip, origin + begin, origin + end)
        streams = [copier.add_track(video, _until(pictures, origin + end))]
        for like in list_sounds(source, extras=extras):
            file = opened.enter_context(open_container(source.file, source.title))
            sound = file.streams[like.index]
            packets = read_packets_from(file, sound, origin + begin)
            inside = (p for p in packets if _decoded_at(p) >= origin + begin)
            streams.append(copier.add_track(sound, _until(inside, origin + end)))
        lines = []
        if extras:
            copy_chapters(source, clip, begin, end)
            copy_timecode(source, clip.streams.video[0], begin)
            lines = add_subtitles(clip, form, source, begin, end)
        for packet, track in heapq.merge(*streams, key=lambda pair: _decoded_at(pair[0])):
            copier.write(packet, track)
        for line in lines:
            clip.mux(line)
    return max(begin, Fraction(0)), copier.end - origin


def _read_from_keyframe(
    source: VideoSource, container: InputContainer, video: VideoStream, start: Fraction
) -> tuple[Packet[Stream], Iterator[Packet[Stream]]]:
    """The keyframe at or before `start`, and all packets from it on except those shown before it."""
    first = source.first_picture_pts
    target = max(first, source.first_pts + math.floor(start / source.time_base))
    packets = seek_keyframe(container, video, target, first) if start > 0 else None
    if packets is None:
        if start > 0:  # the search moved the file's position
            container.seek(first, stream=video)
        packets = (p for p in read_packets(container, video) if not p.is_discard)
    key = next((p for p in packets if p.is_keyframe), None)
    if key is None:
        raise NotCopyable("no keyframe")
    since = key.pts
    return key, chain([key], (p for p in packets if p.pts is None or since is None or p.pts >= since))


def _until(packets: Iterator[Packet[Stream]], container_seconds: Fraction) -> Iterator[Packet[Stream]]:
    return takewhile(lambda packet: _decoded_at(packet) < container_seconds, packets)


def _decoded_at(packet: Packet[Stream]) -> Fraction:
    """The decoding time in seconds on the container's clock, which gives the packet's place in the file."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    if ticks is None or packet.pts is None:
        raise NotCopyable("packets without times")
    return ticks * packet.time_base


class _Copier:
    """Writes packets to a clip that begins at `zero`, on the container's clock.

    A picture that stays long ends with the clip, at `wanted_end`, and so does sound that outlasts the pictures.
    """

    def __init__(self, clip: OutputContainer, zero: Fraction, wanted_end: Fraction) -> None:
        self._clip, self._zero, self._wanted_end = clip, zero, wanted_end
        self._last = (zero, zero)
        self._sound_end = zero

    @property
    def end(self) -> Fraction:
        pictures_end = self._last[1]
        return self._sound_end if self._sound_end > pictures_end + _LONG_SECONDS else pictures_end

    def add_track(self, stream: Stream, packets: Iterator[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], Stream]]:
        track = self._clip.add_stream_from_template(stream)
        if stream.codec_context.codec.canonical_name == "hevc" and self._clip.format.name in ("mp4", "mov"):
            track.codec_context.codec_tag = "hvc1"  # Apple's players play no other
        if stream.type == "audio":
            copy_tags(stream, track)
        return ((packet, track) for packet in packets)

    def write(self, packet: Packet[Stream], track: Stream) -> None:
        if packet.pts is None:
            raise NotCopyable("packets without times")
        shown = packet.pts * packet.time_base
        end = shown + (packet.duration or 0) * packet.time_base
        if shown < self._wanted_end < end - _LONG_SECONDS:
            packet.duration = max(1, math.floor((self._wanted_end - shown) / packet.time_base))
            end = shown + packet.duration * packet.time_base
        if track.type == "video":
            self._last = max(self._last, (shown, end))
        else:
            self._sound_end = max(self._sound_end, end)
        shift = round(self._zero / packet.time_base)
        packet.pts -= shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = track
        self._clip.mux(packet)
