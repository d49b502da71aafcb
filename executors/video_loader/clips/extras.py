"""What a video has beside its pictures and its main sound: more sounds with their languages, subtitles, chapters."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from executors.video_loader.clips.formats import MKV, ClipFormat
from executors.video_loader.clips.sound import read_packets_from
from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.tracks import find_audio_streams
from executors.video_loader.decode.packets import read_packets
from executors.video_loader.decode.source import VideoSource
from executors.video_loader.decode.source_timecode import read_timecode

MOST_SOUNDS = 16  # each is decoded from a file of its own
MOST_SUBTITLES = 32  # each is read from a file of its own
_LONGEST_MOV_TEXT = 0xFFFF  # bytes
_KEPT_TAGS = ("language", "title")
_MILLISECOND = Fraction(1, 1000)
_LONGEST_CUE_SECONDS = 30  # a line that is shown already when a clip begins, began this much earlier at most
_LATEST_SECONDS = 2  # behind the pictures of its time a line may be stored
_TEXT_CODECS = frozenset({"subrip", "srt", "text", "webvtt", "mov_text", "ass", "ssa"})
# Of DVDs, discs and broadcasts. Only Matroska takes them all.
_PICTURE_CODECS = frozenset({"dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle"})
_PGS_BEGIN = 0x16  # the first byte of a picture of PGS, whose parts are packets of their own in MPEG-TS
_ASS_FIELDS = 8  # before the text
_EARLY_FRAMES = Fraction(1, 20)  # by which files that count milliseconds show a picture
_ASS_STYLE = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Cue:
    """A line or picture of subtitles as its packet holds it, in seconds of the clip."""

    start: Fraction
    end: Fraction
    data: bytes


def list_sounds(source: VideoSource, *, extras: bool) -> list[Stream]:
    """The sounds that a clip keeps, the main one first: all, or that one only."""
    sounds = find_audio_streams(source.container, source.stream, source.opened)
    return list(sounds[: MOST_SOUNDS if extras else 1])


def add_subtitles(
    clip: OutputContainer, form: ClipFormat, source: VideoSource, start: Fraction, end: Fraction
) -> list[Packet[Stream]]:
    """Give a clip the video's subtitles, as far as its format takes them. Returns: their packets, in order of time."""
    fitting = _TEXT_CODECS | _PICTURE_CODECS if form is MKV else _TEXT_CODECS
    streams = [s for s in source.container.streams.subtitles if _codec_of(s) in fitting][:MOST_SUBTITLES]
    tracks = [_SubtitleTrack(clip, form.subtitles, source, stream) for stream in streams]
    packets = [packet for track in tracks for packet in track.packets(start, end)]
    return sorted(packets, key=lambda packet: packet.pts or 0)


def list_subtitles(source: VideoSource) -> list[Stream]:
    """The subtitles that are text."""
    return [s for s in source.container.streams.subtitles if _codec_of(s) in _TEXT_CODECS]


def copy_tags(source: Stream, track: Stream) -> None:
    """Give a clip's track the language, title and purpose of the video's."""
    track.metadata.update({name: source.metadata[name] for name in _KEPT_TAGS if name in source.metadata})
    if track.metadata.get("language") == "fre":  # FFmpeg writes it into MOV under its other name only
        track.metadata["language"] = "fra"
    track.disposition = Disposition(source.disposition)


def copy_chapters(source: VideoSource, clip: OutputContainer, begin: Fraction, end: Fraction) -> None:
    """Give a clip the chapters of `[begin, end)`, in seconds of the video."""
    origin = source.first_pts * source.time_base
    chapters: list[dict[str, object]] = []
    for chapter in source.container.chapters():
        time_base = chapter["time_base"] or Fraction(1)
        since = max(chapter["start"] * time_base - origin, begin) - begin
        until = min(chapter["end"] * time_base - origin, end) - begin
        if since < until:
            span = {"start": math.floor(since / _MILLISECOND), "end": math.floor(until / _MILLISECOND)}
            times = {"id": len(chapters), **span, "time_base": _MILLISECOND}
            chapters.append({**times, "metadata": dict(chapter["metadata"])})
    if chapters:
        clip.set_chapters(chapters)  # type: ignore[arg-type]


def copy_timecode(source: VideoSource, track: Stream, begin: Fraction) -> None:
    """Give a clip's pictures the source timecode that they have in the video, if it has one; `begin` in seconds.

    One that starts at 0 says no more than the times.
    """
    timecode = read_timecode(source)
    if timecode and timecode.frame:
        since = math.floor((begin - source.first_seconds) * timecode.rate + _EARLY_FRAMES)
        track.metadata["timecode"] = str(timecode.add(since))


class _SubtitleTrack:
    """A track of a clip with the lines of one of the video's, in seconds from `begin` to `end` of the video."""

    def __init__(self, clip: OutputContainer, codec: str, source: VideoSource, like: Stream) -> None:
        self._source, self._like = source, like
        self._codec = _codec_of(like)
        self._writes_length = codec == "mov_text"
        is_picture = self._codec in _PICTURE_CODECS
        self._track = clip.add_stream_from_template(like) if is_picture else clip.add_mux_stream(codec)
        self._track.time_base = _MILLISECOND
        copy_tags(like, self._track)

    def packets(self, begin: Fraction, end: Fraction) -> Iterator[Packet[Stream]]:
        """The lines as packets, in order."""
        for cue in self._cues(begin, end):
            packet = Packet(_as_mov_text(cue.data) if self._writes_length else cue.data)
            packet.pts = packet.dts = math.floor(cue.start / _MILLISECOND)
            packet.duration = math.floor((cue.end - cue.start) / _MILLISECOND)
            packet.time_base, packet.stream, packet.is_keyframe = _MILLISECOND, self._track, True
            yield packet

    def _cues(self, begin: Fraction, end: Fraction) -> Iterator[Cue]:
        for cue in self._read_cues(begin, end):
            if cue.start < end and cue.end > begin and cue.data:
                yield Cue(max(cue.start, begin) - begin, min(cue.end, end) - begin, cue.data)

    def _read_cues(self, begin: Fraction, end: Fraction) -> Iterator[Cue]:
        """What is shown near `[begin, end)`, in seconds of the video. A picture without an end stays until the next."""
        last: Cue | None = None
        for _, cue in _read(self._source, [self._like], begin, end):
            if self._codec not in _PICTURE_CODECS:
                yield replace(cue, data=_read_text(cue.data, self._codec).encode())
            elif self._codec == "hdmv_pgs_subtitle" and cue.data[:1] != bytes([_PGS_BEGIN]):
                last = last and replace(last, data=last.data + cue.data)
            else:
                if last:
                    yield last if last.end > last.start else replace(last, end=cue.start)
                last = cue
        if last:
            yield last if last.end > last.start else replace(last, end=max(end, last.start))


def read_cues(
    source: VideoSource, tracks: Sequence[Stream], begin: Fraction, end: Fraction
) -> Iterator[tuple[int, Fraction, Fraction, str]]:
    """The lines of text tracks that a player shows in `[begin, end)`, in the order in which the file has them.

    Yields: the index of the line's track in the file, its start and end in seconds of the video, and its text.
    """
    codecs = {track.index: _codec_of(track) for track in tracks}
    for index, cue in _read(source, tracks, begin, end):
        text = _read_text(cue.data, codecs[index])
        if cue.start < end and cue.end > begin and text:
            yield index, cue.start, cue.end, text


def _read(source: VideoSource, tracks: Sequence[Stream], begin: Fraction, end: Fraction) -> Iterator[tuple[int, Cue]]:
    """What the packets of some tracks hold near `[begin, end)`, in seconds of the video."""
    origin = source.first_pts * source.time_base
    with open_container(source.file, source.title) as container:
        streams = [container.streams[track.index] for track in tracks]
        pictures = container.streams[source.stream.index]
        read_packets_from(container, pictures, origin + begin - _LONGEST_CUE_SECONDS)
        for packet in read_packets(container, *streams, pictures):
            if packet.pts is None:
                continue
            start = packet.pts * packet.time_base - origin
            if packet.stream_index != pictures.index:
                until = start + (packet.duration or 0) * packet.time_base
                yield packet.stream_index, Cue(start, until, bytes(packet))
            elif start > end + _LATEST_SECONDS:  # the next line may be an hour away
                return


def _as_mov_text(text: bytes) -> bytes:
    """Two bytes of length, and the text, cut between characters to what these can count."""
    data = text[:_LONGEST_MOV_TEXT].decode(errors="ignore").encode()
    return len(data).to_bytes(2) + data


def _codec_of(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else ""


def _read_text(data: bytes, codec: str) -> str:
    if codec == "mov_text":
        data = data[2 : 2 + int.from_bytes(data[:2])]
    text = data.decode("utf-8", "replace").strip("\r\n\0")
    if codec in ("ass", "ssa"):
        text = _ASS_STYLE.sub("", text.split(",", _ASS_FIELDS)[-1]).replace(r"\N", "\n").replace(r"\n", "\n")
    return text.strip()
