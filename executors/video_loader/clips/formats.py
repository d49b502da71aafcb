"""What a clip may be written as: the suffix decides."""

from dataclasses import dataclass

from clipseek.api.errors import InvalidRequest

_USUAL_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_OPUS_RATES = (48000, 24000, 16000, 12000, 8000)


@dataclass(frozen=True)
class ClipFormat:
    """A container, FFmpeg's encoders for its pictures and sounds ("" for none), and its codec for subtitles."""

    suffix: str
    muxer: str
    pictures: str = "libx264"
    sound: str = "aac"
    rates: tuple[int, ...] = (96000, 88200, 64000, *_USUAL_RATES, 7350)  # of sound, in samples a second
    subtitles: str = ""
    # Codecs that may be copied into it; none: nothing may.
    copied_pictures: frozenset[str] = frozenset()
    copied_sounds: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, str]:
        """Of the muxer."""
        return {"movflags": "+faststart"} if self.muxer in ("mp4", "mov") else {}


_MP4_PICTURES = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
_MP4_SOUNDS = frozenset({"aac", "mp3", "opus", "ac3"})
_MOV_SOUNDS = frozenset({"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"})
MP4 = ClipFormat(".mp4", "mp4", subtitles="mov_text", copied_pictures=_MP4_PICTURES, copied_sounds=_MP4_SOUNDS)
MKV = ClipFormat(".mkv", "matroska", subtitles="subrip")  # takes everything
_FORMATS = {
    form.suffix: form
    for form in (
        MP4,
        MKV,
        ClipFormat(
            ".mov",
            "mov",
            subtitles="mov_text",
            copied_pictures=frozenset({"h264", "hevc", "mpeg4", "prores", "mjpeg", "dvvideo", "dnxhd"}),
            copied_sounds=_MOV_SOUNDS,
        ),
        ClipFormat(
            ".webm",
            "webm",
            "libvpx-vp9",
            "libopus",
            _OPUS_RATES,
            "webvtt",
            frozenset({"vp8", "vp9", "av1"}),
            frozenset({"opus", "vorbis"}),
        ),
        ClipFormat(".gif", "gif", "gif", ""),
        ClipFormat(".mp3", "mp3", "", "libmp3lame", _USUAL_RATES),
        ClipFormat(".wav", "wav", "", "pcm_s16le"),
    )
}


def find_format(suffix: str) -> ClipFormat:
    """The format of a suffix such as `.mp4`. Raises: InvalidRequest: there is none."""
    form = _FORMATS.get(suffix.lower())
    if form is None:
        raise InvalidRequest(
            f"A clip cannot be written as '{suffix[:20]}'. Choose a name that ends in {', '.join(list(_FORMATS)[:-1])} "
            f"or {list(_FORMATS)[-1]}"
        )
    return form
