"""Clips joined to one video as they are: nothing is encoded anew, so they must be of one format."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

_LENGTH_BYTES = 4  # before each unit of H.264 and HEVC in an MP4 that FFmpeg wrote
# Codec -> whether a unit with this first byte belongs to an IDR picture; the keyframes of other codecs all begin anew.
_FRESH: dict[str, Callable[[int], bool]] = {
    "h264": lambda head: head & 0x1F == 5,
    "hevc": lambda head: head >> 1 & 0x3F in (19, 20),
}


def is_one_format(clips: Sequence[Path]) -> bool:
    """Whether clips can follow one another in one MP4 track: same codecs, sizes, rotation and codec headers.

    Each must begin with a picture after which a decoder forgets the former ones: not so in videos of open GOPs, whose
    pictures would come out of order.
    """
    if any(clip.suffix != ".mp4" for clip in clips):
        return False
    formats = {_format(clip) for clip in clips}
    return len(formats) == 1 and None not in formats and all(map(_begins_anew, clips))


def remux(clips: Sequence[Path], destination: Path) -> Fraction:
    """Write the packets of clips of one format one after another into an MP4, its index in front.

    Returns: the length in seconds.
    """
    with av.open(str(destination), "w", format="mp4", options={"movflags": "+faststart"}) as joined:
        with av.open(str(clips[0])) as first:
            tracks = [_Track(joined, stream) for stream in _streams(first)]
        for clip in clips:
            begin = tracks[0].end
            packets = [track.moved(clip, place, begin) for place, track in enumerate(tracks)]
            for _, track, packet in heapq.merge(*packets, key=lambda each: each[0]):
                track.write(joined, packet)
    return tracks[0].end


def _streams(video: InputContainer) -> list[Stream]:
    """The pictures, and the sound if there is some."""
    return [video.streams.video[0], *video.streams.audio[:1]]


def _format(clip: Path) -> tuple[object, ...] | None:
    """None where FFmpeg finds no pictures: a damaged video may be copied into such a clip."""
    with av.open(str(clip)) as container:
        if not container.streams.video:
            return None
        video = container.streams.video[0]
        shape = (video.width, video.height, video.pix_fmt, video.sample_aspect_ratio, video.time_base)
        turn = next(container.decode(video=0)).rotation
        sound = tuple((each.rate, each.layout.name) for each in container.streams.audio[:1])
        codecs = tuple((each.codec_context.name, each.codec_context.extradata) for each in _streams(container))
        return codecs, shape, turn, sound


def _begins_anew(clip: Path) -> bool:
    with av.open(str(clip)) as video:
        is_fresh = _FRESH.get(video.streams.video[0].codec_context.name)
        data = bytes(next(video.demux(video=0)))
    if is_fresh is None:
        return True
    place, fresh = 0, False
    while place + _LENGTH_BYTES < len(data) and not fresh:
        fresh = is_fresh(data[place + _LENGTH_BYTES])
        place += _LENGTH_BYTES + int.from_bytes(data[place : place + _LENGTH_BYTES])
    return fresh


class _Track:
    """One track of the joined video; `end` is when its last packet has been shown or heard, in seconds."""

    def __init__(self, joined: OutputContainer, like: Stream) -> None:
        self._stream = joined.add_stream_from_template(like)
        self._last: int | None = None  # when the packet before is decoded, in ticks of the clips
        self.end = Fraction(0)

    def moved(self, clip: Path, place: int, begin: Fraction) -> Iterator[tuple[Fraction, _Track, Packet[Stream]]]:
        """The packets of a clip's track at this place, each with the time at which it is decoded. The clip begins at
        `begin`."""
        with av.open(str(clip)) as tape:  # a reader of its own, so that the tracks can be merged
            for packet in tape.demux(_streams(tape)[place]):
                if packet.pts is not None and packet.dts is not None:
                    shift = round(begin / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    yield packet.dts * packet.time_base, self, packet

    def write(self, joined: OutputContainer, packet: Packet[Stream]) -> None:
        """Write a packet. Where clips overlap in decoding, sound is left out and pictures are decoded a tick later."""
        pts, dts = packet.pts or 0, packet.dts or 0
        if self._last is not None and dts <= self._last:
            if self._stream.type == "audio":
                return
            packet.dts = dts = self._last + 1
        self._last = dts
        self.end = max(self.end, (pts + (packet.duration or 0)) * packet.time_base)
        packet.stream = self._stream
        joined.mux(packet)
