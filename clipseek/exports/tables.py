"""Lists without a timeline: CSV for spreadsheets, JSON for scripts, SRT for players."""

import csv
import io
import json
import re
from typing import Any

from clipseek.api.formats import escape_hidden, one_line, subtitle_time, without_markup
from clipseek.exports.edit_list import Edit, EditList

_TIMES = ("start_seconds", "end_seconds", "length_seconds")
_WHY = ("query", "score", "reasons", "line")
_FIELDS = ("place", "video_id", "title", *_TIMES, *_WHY, "source_in", "source_out", "source_rate")
_TEXTS = ("video_id", "title", "query", "line")
# A cell that begins so is a formula, also in full width. Some countries split cells at ; and so inside a title.
_FORMULA = re.compile("(^|;)( *)(?=[=+\\-@＝＋－＠])")


def write_csv(edits: EditList) -> str:
    """A row for each moment. Spreadsheets run cells that start with =, +, - or @: such texts get an apostrophe."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS)
    writer.writeheader()
    for row in _rows(edits):
        texts = {name: _FORMULA.sub(r"\1\2'", one_line(row[name])) for name in _TEXTS}
        writer.writerow(row | texts | {"reasons": ", ".join(row["reasons"])})
    return file.getvalue()


def write_json(edits: EditList) -> str:
    """An object for each moment, which `read_moments` reads."""
    return escape_hidden(json.dumps(_rows(edits), ensure_ascii=False, indent=2), keep="\n") + "\n"


def write_srt(edits: EditList) -> str:
    """Title, query, score, reasons and line as subtitles of the moments joined to one video."""
    blocks, at = [], 0.0
    for place, edit in enumerate(edits.edits, 1):
        end = at + edit.moment.length_seconds
        blocks.append(f"{place}\n{subtitle_time(at)} --> {subtitle_time(end)}\n{_subtitle(edit)}\n")
        at = end
    return "\n".join(blocks)


def _rows(edits: EditList) -> list[dict[str, Any]]:
    return [_row(place, edit) for place, edit in enumerate(edits.edits, 1)]


def _row(place: int, edit: Edit) -> dict[str, Any]:
    moment, source = edit.moment, edit.source
    return {
        **{"place": place, "video_id": moment.video_id, "title": moment.title},
        **{name: round(getattr(moment, name), 3) for name in _TIMES},
        **{"query": moment.query, "score": moment.score, "reasons": list(moment.reasons), "line": moment.line},
        **{"source_in": str(edit.source_in), "source_out": str(edit.source_out), "source_rate": str(source.rate)},
    }


def _subtitle(edit: Edit) -> str:
    moment = edit.moment
    lines = [f"{one_line(moment.title)} [{subtitle_time(moment.start_seconds)[:8]}]".strip(), ", ".join(moment.facts)]
    return "\n".join(without_markup(line) for line in lines if line)
