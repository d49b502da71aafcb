"""Joins clips of one format into one video without encoding them again."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

_LENGTH_BYTES = 4  # precede each unit of H.264 and HEVC in an MP4 that FFmpeg wrote
# Codec -> whether a unit with this first byte belongs to an IDR picture. With other codecs, every keyframe starts over.
_IS_IDR: dict[str, Callable[[int], bool]] = {
    "h264": lambda head: head & 0x1F == 5,
    "hevc": lambda head: head >> 1 & 0x3F in (19, 20),
}


def have_one_format(clips: Sequence[Path]) -> bool:
    """Whether clips can follow one another in one MP4 track: same codecs, sizes, rotation and codec headers.

    Each must begin with a picture after which the decoder forgets the earlier ones. Videos with open GOPs do not, and
    their pictures would come out of order.
    """
    if any(clip.suffix != ".mp4" for clip in clips):
        return False
    formats = {_read_format(clip) for clip in clips}
    return len(formats) == 1 and None not in formats and all(map(_resets_decoder, clips))


def remux_clips(clips: Sequence[Path], destination: Path) -> Fraction:
    """Write the packets of clips one after another into an MP4, its index in front. The clips have one format.

    Returns: the length in seconds.
    """
    with av.open(str(destination), "w", format="mp4", options={"movflags": "+faststart"}) as joined:
        with av.open(str(clips[0])) as first:
            tracks = [_Track(joined, stream) for stream in _streams(first)]
        for clip in clips:
            begin = tracks[0].end
            packets = [track.shift_packets(clip, place, begin) for place, track in enumerate(tracks)]
            for _, track, packet in heapq.merge(*packets, key=lambda timed: timed[0]):
                track.write(joined, packet)
    return tracks[0].end


def _streams(video: InputContainer) -> list[Stream]:
    return [video.streams.video[0], *video.streams.audio[:1]]


def _read_format(clip: Path) -> tuple[object, ...] | None:
    """The clip's format; None if FFmpeg finds no pictures, as in some copies of damaged videos."""
    with av.open(str(clip)) as container:
        if not container.streams.video:
            return None
        video = container.streams.video[0]
        shape = (video.width, video.height, video.pix_fmt, video.sample_aspect_ratio, video.time_base)
        turn = next(container.decode(video=0)).rotation
        sound = tuple((stream.rate, stream.layout.name) for stream in container.streams.audio[:1])
        codecs = tuple((stream.codec_context.name, stream.codec_context.extradata) for stream in _streams(container))
        return codecs, shape, turn, sound


def _resets_decoder(clip: Path) -> bool:
    with av.open(str(clip)) as video:
        is_idr = _IS_IDR.get(video.streams.video[0].codec_context.name)
        data = bytes(next(video.demux(video=0)))
    if is_idr is None:
        return True
    place = 0
    while place + _LENGTH_BYTES < len(data):
        if is_idr(data[place + _LENGTH_BYTES]):
            return True
        place += _LENGTH_BYTES + int.from_bytes(data[place : place + _LENGTH_BYTES])
    return False


class _Track:
    def __init__(self, joined: OutputContainer, like: Stream) -> None:
        self._stream = joined.add_stream_from_template(like)
        self._last: int | None = None  # the last packet's decoding time, in ticks of the clips
        self.end = Fraction(0)  # of the last packet, in seconds

    def shift_packets(
        self, clip: Path, place: int, begin: Fraction
    ) -> Iterator[tuple[Fraction, _Track, Packet[Stream]]]:
        """The packets of the clip's track number `place`, moved to `begin`, each with its decoding time in seconds."""
        with av.open(str(clip)) as container:  # opened once per track, so that tracks can be merged
            for packet in container.demux(_streams(container)[place]):
                if packet.pts is not None and packet.dts is not None:
                    shift = round(begin / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    yield packet.dts * packet.time_base, self, packet

    def write(self, joined: OutputContainer, packet: Packet[Stream]) -> None:
        """Write a packet. Where clips overlap in decoding time, sound is dropped and pictures move a tick later."""
        pts, dts = packet.pts or 0, packet.dts or 0
        if self._last is not None and dts <= self._last:
            if self._stream.type == "audio":
                return
            packet.dts = dts = self._last + 1
        self._last = dts
        self.end = max(self.end, (pts + (packet.duration or 0)) * packet.time_base)
        packet.stream = self._stream
        joined.mux(packet)
