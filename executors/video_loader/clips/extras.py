"""What a video has beside its pictures and its main sound: more sounds with their languages, subtitles, chapters."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from executors.video_loader.clips.sound import read_packets_from
from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.tracks import find_audio_streams
from executors.video_loader.decode.packets import read_packets
from executors.video_loader.decode.source import VideoSource

MOST_SOUNDS = 16  # each is decoded from a file of its own
MOST_SUBTITLES = 32  # each is read from a file of its own
_LONGEST_MOV_TEXT = 0xFFFF  # bytes
_KEPT_TAGS = ("language", "title")
_MILLISECOND = Fraction(1, 1000)
_LONGEST_CUE_SECONDS = 30  # a line that is shown already when a clip begins, began this much earlier at most
_LATEST_SECONDS = 2  # behind the pictures of its time a line may be stored
_TEXT_CODECS = frozenset({"subrip", "srt", "text", "webvtt", "mov_text", "ass", "ssa"})
_ASS_FIELDS = 8  # before the text
_TIMECODE = re.compile(r"\d\d?:\d\d?:\d\d?[:;.,]\d{1,3}")
_ASS_STYLE = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Cue:
    """A line of subtitles, in seconds of the clip or of the video."""

    start: Fraction
    end: Fraction
    text: str


def list_sounds(source: VideoSource, *, extras: bool) -> list[Stream]:
    """The sounds that a clip keeps, the main one first: all, or that one only."""
    sounds = find_audio_streams(source.container, source.stream, source.opened)
    return list(sounds[: MOST_SOUNDS if extras else 1])


def list_subtitles(source: VideoSource) -> list[Stream]:
    """The subtitles that are text, and that a clip keeps."""
    texts: list[Stream] = [s for s in source.container.streams.subtitles if _codec_of(s) in _TEXT_CODECS]
    return texts[:MOST_SUBTITLES]


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
    """Give a clip's pictures the source timecode that they have in the video, if it has one; `begin` in seconds."""
    places = [source.stream.metadata, source.container.metadata, *(s.metadata for s in source.container.streams.data)]
    timecode = next((place["timecode"] for place in places if "timecode" in place), "")
    if _TIMECODE.fullmatch(timecode) and set(timecode) - set("0:;.,"):  # one that starts at 0 says no more than times
        track.metadata["timecode"] = shift_timecode(timecode, begin - source.first_seconds, 1 / source.frame_seconds)


def shift_timecode(timecode: str, seconds: Fraction, fps: Fraction) -> str:
    """A timecode (SMPTE ST 12) so much later. `;` before its frames marks one that drops numbers: 29.97 a second."""
    hours, minutes, whole, frame = map(int, re.split("[:;.,]", timecode))
    rate = max(1, round(fps))
    dropped = rate // 15 if re.search("[;.,]", timecode) else 0  # each minute, but not each tenth
    minutes += 60 * hours
    number = (60 * minutes + whole) * rate + frame - dropped * (minutes - minutes // 10)
    number += math.floor(seconds * fps)
    tens, rest = divmod(number, 600 * rate - 9 * dropped)
    number += 9 * dropped * tens
    if dropped and rest >= 60 * rate:
        number += dropped * ((rest - 60 * rate) // (60 * rate - dropped) + 1)
    whole, frame = divmod(number, rate)
    clock = f"{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{clock}{';' if dropped else ':'}{frame:02d}"


class SubtitleTrack:
    """A track of a clip with the lines of one of the video's, in seconds from `begin` to `end` of the video."""

    def __init__(self, clip: OutputContainer, codec: str, source: VideoSource, like: Stream) -> None:
        self._clip, self._codec, self._source, self._like = clip, codec, source, like
        self._track = clip.add_mux_stream(codec)
        self._track.time_base = _MILLISECOND
        copy_tags(like, self._track)

    def packets(self, begin: Fraction, end: Fraction) -> Iterator[Packet[Stream]]:
        """The lines as packets, in order."""
        for cue in self._cues(begin, end):
            packet = Packet(_as_mov_text(cue.text) if self._codec == "mov_text" else cue.text.encode())
            packet.pts = packet.dts = math.floor(cue.start / _MILLISECOND)
            packet.duration = math.floor((cue.end - cue.start) / _MILLISECOND)
            packet.time_base, packet.stream, packet.is_keyframe = _MILLISECOND, self._track, True
            yield packet

    def _cues(self, begin: Fraction, end: Fraction) -> Iterator[Cue]:
        for _, cue in read_cues(self._source, [self._like], begin, end):
            yield Cue(max(cue.start, begin) - begin, min(cue.end, end) - begin, cue.text)


def read_cues(
    source: VideoSource, tracks: Sequence[Stream], begin: Fraction, end: Fraction
) -> Iterator[tuple[int, Cue]]:
    """The lines of text tracks that a player shows in `[begin, end)`, with their times in seconds of the video.

    Yields: the index of the line's track in the file, and the line; in the order in which the file has them.
    """
    codecs, origin = {track.index: _codec_of(track) for track in tracks}, source.first_pts * source.time_base
    with open_container(source.file, source.title) as container:
        pictures = container.streams[source.stream.index]
        read_packets_from(container, pictures, origin + begin - _LONGEST_CUE_SECONDS)
        for packet in read_packets(container, *(container.streams[index] for index in codecs), pictures):
            if packet.pts is None:
                continue
            start = packet.pts * packet.time_base - origin
            if packet.stream_index == pictures.index:
                if start > end + _LATEST_SECONDS:  # the next line may be an hour away
                    return
                continue
            until = start + (packet.duration or 0) * packet.time_base
            text = _read_text(bytes(packet), codecs[packet.stream_index])
            if start < end and until > begin and text:
                yield packet.stream_index, Cue(start, until, text)


def _as_mov_text(text: str) -> bytes:
    """Two bytes of length, and the text, cut between characters to what these can count."""
    data = text.encode()[:_LONGEST_MOV_TEXT].decode(errors="ignore").encode()
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
