"""The lines of a transcript as the page's list draws them."""

import json
import math
from collections.abc import Sequence

from clipseek.api.documents import Cue
from clipseek.api.formats import one_line, timestamp
from clipseek.api.limits import HEARD, REASON_OF, WRITTEN
from frontend.texts import Texts

_TEXTS = ("find", "none", "play", "correct", "text", "save", "cancel")
_ROUNDING = 1e-6
_LONGEST_CLIP_SECONDS = 30.0  # subtitles may stay for minutes


def transcript_data(cues: Sequence[Cue], playing_seconds: float, t: Texts) -> str:
    """What `transcript.js` draws, as JSON.

    Args:
        playing_seconds: when in the video the player's clip begins.
    """
    lines = [
        {
            "cue_id": cue.cue_id,
            "start": cue.start_seconds,
            "end": cue.end_seconds,
            "time": timestamp(play_from(cue.start_seconds)),
            "text": one_line(cue.text),
            "note": _note(cue, t),
        }
        for cue in cues
    ]
    texts = {name: t.sentences[f"transcript.{name}"] for name in _TEXTS}
    return json.dumps({"lines": lines, "texts": texts, "playing": playing_seconds})


def play_from(seconds: float) -> float:
    """The time in tenths of seconds, as boxes hold it, that is not after the first sound of a line."""
    return math.floor(seconds * 10 + _ROUNDING) / 10


def clip_end(start_seconds: float, least_seconds: float, cues: Sequence[Cue]) -> float:
    """When a clip ends that plays from a time: not before what is said there has ended."""
    ends = [
        cue.end_seconds
        for cue in cues
        if REASON_OF.get(cue.source) == HEARD and play_from(cue.start_seconds) <= start_seconds < cue.end_seconds
    ]
    return min(max([start_seconds + least_seconds, *ends]), start_seconds + _LONGEST_CLIP_SECONDS)


def _note(cue: Cue, t: Texts) -> str:
    """What is special about a line: it is written on screen, or was corrected."""
    is_written = REASON_OF.get(cue.source) == WRITTEN
    return ", ".join([t("reason.written")] * is_written + [t("transcript.edited")] * cue.edited)
