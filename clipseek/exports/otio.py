"""OpenTimelineIO files. Their package comes with the extra `editors`, and is imported when a file is written."""

import importlib.util
from typing import TYPE_CHECKING

from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import one_line
from clipseek.exports.edit_list import Edit, EditList
from clipseek.exports.media_paths import file_url

if TYPE_CHECKING:
    from fractions import Fraction

    from opentimelineio.opentime import TimeRange
    from opentimelineio.schema import Clip, Gap, Track


def can_write_otio() -> bool:
    return importlib.util.find_spec("opentimelineio") is not None


def write_otio(edits: EditList) -> str:
    """A timeline with a track of pictures and one of sound, in the frames and rates of the sources.

    Raises: InvalidRequest: OpenTimelineIO is not installed.
    """
    if not can_write_otio():
        raise InvalidRequest(
            "OTIO files need OpenTimelineIO, which is not installed. Install ClipSeek with its extra `editors` (in a "
            "clone: pip install '.[editors]'), or choose fcp7, fcpxml or edl."
        )
    from opentimelineio.opentime import RationalTime
    from opentimelineio.schema import Timeline, TrackKind

    timeline = Timeline(one_line(edits.title), global_start_time=RationalTime(0, float(edits.rate)))
    for kind in (TrackKind.Video, TrackKind.Audio):
        timeline.tracks.append(_track(edits, kind))
    return str(timeline.to_json_string(indent=2)) + "\n"


def _track(edits: EditList, kind: str) -> "Track":
    from opentimelineio.schema import Track, TrackKind

    track = Track(kind, kind=kind)
    for edit in edits.edits:
        track.append(_clip(edit) if kind == TrackKind.Video or edit.source.has_audio else _gap(edit))
    return track


def _clip(edit: Edit) -> "Clip":
    from opentimelineio.schema import Clip, ExternalReference

    source, moment = edit.source, edit.moment
    available = _range(source.first.frame, source.frames or edit.end, source.rate)
    facts = {"query": moment.query, "score": moment.score, "reasons": list(moment.reasons), "line": moment.line}
    return Clip(
        one_line(source.title),
        ExternalReference(file_url(source.path), available),
        _range(edit.source_in.frame, edit.end - edit.start, source.rate),
        {"clipseek": {"video_id": source.video_id, **facts}},
    )


def _gap(edit: Edit) -> "Gap":
    from opentimelineio.schema import Gap

    return Gap(source_range=_range(0, edit.end - edit.start, edit.source.rate))


def _range(start: int, frames: int, rate: "Fraction") -> "TimeRange":
    from opentimelineio.opentime import RationalTime, TimeRange

    return TimeRange(RationalTime(start, float(rate)), RationalTime(frames, float(rate)))
