"""Chooses the tracks of a video: its pictures, and the sounds that belong to them."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import functools
from collections import Counter
from itertools import islice

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from clipseek.api.errors import InvalidRequest, NoVideoStream, UnreadableVideo
from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.parts import VideoFile, VideoView, path_of
from executors.video_loader.containers.programmes import read_programmes

_STILL = Disposition.attached_pic | Disposition.timed_thumbnails
# A track with one picture so far is a preview. Matroska does not say how many pictures a track has.
_SEARCHED_PACKETS = 2000
_FILES_REMEMBERED = 256


def find_video_stream(container: InputContainer, file: VideoFile, title: str) -> VideoStream:
    """The track to look at: the chosen one, else that with the most pixels, then the default one; no single picture.

    Raises: NoVideoStream: the file has none. UnreadableVideo: no decoder can read it. InvalidRequest: there is no track
    of the chosen number.
    """
    tracks = _video_tracks(container, file, title)
    if isinstance(file, VideoView) and file.track:
        if file.track > len(tracks):
            raise InvalidRequest(f"'{title}' has no video track {file.track}, but {_describe(tracks)}")
        return tracks[file.track - 1]
    return max(tracks, key=lambda s: (s.width * s.height, bool(s.disposition & Disposition.default), -s.index))


def describe_choice(container: InputContainer, stream: VideoStream, file: VideoFile, title: str) -> list[str]:
    """A note about a video with several tracks; nothing for others."""
    tracks = _video_tracks(container, file, title)
    number = 1 + [track.index for track in tracks].index(stream.index)
    if len(tracks) == 1:
        return []
    return [f"The file has {_describe(tracks)}. Track {number} is used: --stream chooses another."]


def _describe(tracks: list[VideoStream]) -> str:
    names = (f"{number}: {track.width}x{track.height}" for number, track in enumerate(tracks, 1))
    return f"{len(tracks)} video track{'s'[: len(tracks) - 1]} ({', '.join(names)})"


def _video_tracks(container: InputContainer, file: VideoFile, title: str) -> list[VideoStream]:
    videos = [s for s in container.streams.video if not s.disposition & _STILL]
    readable = [s for s in videos if s.codec_context is not None]
    if len(readable) > 1:
        moving = _find_moving_tracks(file, title)
        readable = [s for s in readable if s.index in moving] or readable
    if readable:
        return readable
    if videos:
        raise UnreadableVideo(f"'{title}' uses a codec that no decoder here can read. Convert it to H.264 in MP4")
    what = "only a cover picture" if container.streams.video else "sound only" if container.streams.audio else "nothing"
    raise NoVideoStream(f"'{title}' has no video: {what}. Choose a file with moving pictures")


def _find_moving_tracks(file: VideoFile, title: str) -> frozenset[int]:
    state = path_of(file).stat()
    return _find_moving(file, title, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


@functools.lru_cache(_FILES_REMEMBERED)
def _find_moving(file: VideoFile, title: str, *_: int) -> frozenset[int]:
    """Indices of the tracks with two pictures or more."""
    with open_container(file, title) as container:
        tracks = list(container.streams.video)
        counts = Counter({track.index: track.frames for track in tracks})
        if all(counts.values()):
            return frozenset(index for index, count in counts.items() if count > 1)
        counts.clear()
        try:
            for packet in islice(container.demux(*tracks), _SEARCHED_PACKETS):
                counts[packet.stream_index] += bool(packet.size)
                if min(counts[track.index] for track in tracks) > 1:
                    break
        except (av.FFmpegError, IndexError):  # a damaged place, or a track that begins later
            pass
        return frozenset(index for index, count in counts.items() if count > 1)


def find_audio_streams(container: InputContainer, video: VideoStream, file: VideoFile) -> list[AudioStream]:
    """The sounds that belong to the pictures, the one to hear first: the default track, else the first."""
    readable = [s for s in container.streams.audio if s.codec_context is not None]
    if len(readable) > 1 and container.format.name == "mpegts":
        own = next((pids for pids in read_programmes(file) if video.id in pids), None)
        readable = [s for s in readable if own is None or s.id in own]
    return sorted(readable, key=lambda s: (not s.disposition & Disposition.default, s.index))


def find_audio_stream(container: InputContainer, video: VideoStream, file: VideoFile) -> AudioStream | None:
    """The sound to hear; None if there is none that can be decoded."""
    return next(iter(find_audio_streams(container, video, file)), None)


def discard_other_streams(container: InputContainer, stream: Stream) -> None:
    """Have the demuxer skip all streams but this one."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
