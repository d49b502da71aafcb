"""A transcript as a file: a text to read, subtitles (SRT, WebVTT), or JSON with all fields."""

import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from clipseek.api.documents import Cue, Transcript
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import escape_hidden, one_line, subtitle_time, timestamp, without_markup
from clipseek.api.limits import HEARD, REASON_OF, REASONS, SEEN, WRITTEN
from clipseek.api.search_options import list_reasons

_SHORTEST_SECONDS = 0.0011  # of a subtitle, a millisecond once it is rounded: players drop those without a length
_JSON_FIELDS = ("cue_id", "start_seconds", "end_seconds", "text", "source", "language", "confidence", "edited")


def select_cues(cues: Iterable[Cue], look_in: str | Sequence[str] = (), language: str = "") -> list[Cue]:
    """The cues that are heard or written, as `look_in` names them, and in one language; by default all.

    Raises: InvalidRequest: `look_in` names something else.
    """
    reasons = list_reasons(look_in)
    if SEEN in reasons:
        others = " or ".join(reason for reason in REASONS if reason != SEEN)
        raise InvalidRequest(f"A transcript has words, and no pictures: look_in must be {others}, not {SEEN}.")
    return [
        cue for cue in cues if (not reasons or REASON_OF.get(cue.source) in reasons) and language in ("", cue.language)
    ]


def write_transcript(transcript: Transcript, cues: Sequence[Cue], format_: str) -> str:
    """The cues of a transcript in one of `FORMATS`, as the content of a text file."""
    if format_ == "json":
        data = {
            "video_id": transcript.video_id,
            "title": transcript.title,
            "complete": transcript.complete,
            "cues": [{name: getattr(cue, name) for name in _JSON_FIELDS} for cue in cues],
        }
        return escape_hidden(json.dumps(data, ensure_ascii=False, indent=2), keep="\n") + "\n"
    return _WRITERS[format_]([cue for cue in cues if one_line(cue.text)])


def _as_text(cues: Sequence[Cue]) -> str:
    return "".join(f"{timestamp(cue.start_seconds)}  {_mark(cue)}{one_line(cue.text)}\n" for cue in cues)


def _mark(cue: Cue) -> str:
    return f"[{WRITTEN}] " if REASON_OF.get(cue.source) == WRITTEN else ""


def _as_srt(cues: Sequence[Cue]) -> str:
    return "\n".join(
        f"{place}\n{_times(cue, ',')}\n{without_markup(one_line(cue.text))}\n" for place, cue in enumerate(cues, 1)
    )


def _as_vtt(cues: Sequence[Cue]) -> str:
    blocks = [f"{_times(cue, '.')}\n{html.escape(one_line(cue.text), quote=False)}\n" for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def _times(cue: Cue, point: str) -> str:
    end = max(cue.end_seconds, cue.start_seconds + _SHORTEST_SECONDS)
    return f"{subtitle_time(cue.start_seconds, point)} --> {subtitle_time(end, point)}"


_WRITERS: Mapping[str, Callable[[Sequence[Cue]], str]] = {"txt": _as_text, "srt": _as_srt, "vtt": _as_vtt}
FORMATS = (*_WRITERS, "json")
DEFAULT_REASONS: Mapping[str, str] = {"srt": HEARD, "vtt": HEARD}  # subtitles have what is heard; others have all
