"""Files of queries and their true moments: ClipSeek's own format, and those of three data sets.

`clipseek`: JSON lines, one query per line:

    {"video": "holiday.mp4", "query": "a dog jumps into a lake", "moments": [[12.0, 17.5], [40.2, 44.0]]}
    {"video": "holiday.mp4", "query": "a camel", "moments": []}
    {"video": null, "query": "a submarine under the ice", "moments": []}

`video` is the title or id of a video in the library, or null for the whole library. `query` is a description.
`moments` are all `[start, end)` for which it is true, in seconds, without overlaps. No moments: nothing should match.
If `video` is null there must be none. Other fields are ignored.

`qvhighlights`: JSON lines with qid, query, vid, duration and relevant_windows, as J. Lei et al. 2021 publish them.
`didemo`: a JSON list with description, video and times, as L. A. Hendricks et al. 2017 publish it. Each annotator gives
one time: the first and the last 5-second piece of the moment. The true moment is the one that agrees best with all, by
mean IoU.
`charades-sta`: lines `VIDEO start end##sentence`, as J. Gao et al. 2017 publish them.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from clipseek.api.errors import FileMissing, InvalidGroundTruth
from clipseek.evaluation.measures import Moment, iou

_DIDEMO_PIECE_SECONDS = 5.0
_CHARADES_LINE = re.compile(r"(?P<video>\S+)\s+(?P<start>\S+)\s+(?P<end>\S+?)\s*##(?P<query>.*)")
_SPACES = re.compile(r"\s*")
_SHOWN_CHARACTERS = 60  # of a line in an error message


@dataclass(frozen=True)
class TrueQuery:
    """A query and its true moments. `video` is None for the whole library. No moments: nothing should match."""

    line: int  # of the file, from 1
    video: str | None
    query: str
    moments: tuple[Moment, ...]


class _WrongError(Exception):
    """What is wrong with one entry; `read_ground_truth` adds the place."""


@dataclass(frozen=True)
class _Entry:
    line: int
    place: str
    content: str


def read_ground_truth(path: Path, form: str | None = None) -> list[TrueQuery]:
    """Read a file of queries.

    Args:
        form: one of FORMATS; None recognises it from the content.

    Returns: the queries in the order of the file, at least one.

    Raises:
        FileMissing: the file does not exist.
        InvalidGroundTruth: the format is wrong; the message names file, line and fault.
    """
    text = _text(path)
    form = form or recognise_format(path, text)
    queries = []
    for entry in (_json_list if form == "didemo" else _lines)(path, text):
        try:
            queries.append(FORMATS[form](entry))
        except _WrongError as wrong:
            raise InvalidGroundTruth(f"{path}, {entry.place}: {wrong}.") from None
    if not queries:
        raise InvalidGroundTruth(f"{path} holds no queries.")
    return queries


def recognise_format(path: Path, text: str) -> str:
    """The format of a file, from its first line.

    Raises:
        InvalidGroundTruth: it has no known format.
    """
    start = text.lstrip()
    first = start.split("\n", 1)[0]
    if start.startswith("["):
        return "didemo"
    if start.startswith("{"):
        return "qvhighlights" if re.search(r'"(relevant_windows|vid|qid)"\s*:', first) else "clipseek"
    if "##" in first:
        return "charades-sta"
    if not first:
        raise InvalidGroundTruth(f"{path} is empty. It must hold at least one query.")
    line = text[: len(text) - len(start)].count("\n") + 1
    raise InvalidGroundTruth(
        f"{path}, line {line}: {_shown(first)} has none of the formats {', '.join(FORMATS)}. "
        'A line of `clipseek` is, for example, {"video": "a.mp4", "query": "a dog", "moments": [[1.0, 2.5]]}.'
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidGroundTruth(f"{path}, line {line}: not UTF-8 text ({error.reason}).") from error
    except OSError as error:
        raise FileMissing(f"The file '{path}' cannot be read ({error.strerror}).") from error


def _lines(_: Path, text: str) -> Iterator[_Entry]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _Entry(number, f"line {number}", line)


def _json_list(path: Path, text: str) -> Iterator[_Entry]:
    decoder = json.JSONDecoder()
    at, number = _after_spaces(text, 0), 0
    separator = "["
    while True:
        line = text.count("\n", 0, at) + 1
        character = text[at : at + 1]
        if number and character == "]":
            return
        if character != separator:
            wanted = "a list, '['" if not number else f"'{separator}' or ']' after entry {number}"
            raise InvalidGroundTruth(f"{path}, line {line}: {wanted} is missing.")
        at = _after_spaces(text, at + 1)
        if not number and text[at : at + 1] == "]":
            return
        number, line, separator = number + 1, text.count("\n", 0, at) + 1, ","
        try:
            _, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise InvalidGroundTruth(
                f"{path}, line {error.lineno}, entry {number}: this is not JSON: {error.msg}."
            ) from error
        yield _Entry(line, f"line {line}, entry {number}", text[at:end])
        at = _after_spaces(text, end)


def _after_spaces(text: str, at: int) -> int:
    match = _SPACES.match(text, at)
    return match.end() if match else at


def _clipseek(entry: _Entry) -> TrueQuery:
    row = _object(entry.content)
    video = _field(row, "video")
    if not (video is None or (isinstance(video, str) and video.strip())):
        raise _WrongError(f"'video' must be a title, an id or null, but is {_shown(video)}")
    moments = _moments(row, "moments")
    if moments and video is None:
        raise _WrongError("'video' is null, which means that nothing should match: name the video of the moments")
    for before, after in pairwise(moments):
        if after[0] < before[1]:
            raise _WrongError(f"the moments {list(before)} and {list(after)} overlap: join them")
    return TrueQuery(entry.line, video, _query(row, "query"), moments)


def _qvhighlights(entry: _Entry) -> TrueQuery:
    row = _object(entry.content)
    if "relevant_windows" not in row:
        raise _WrongError("there is no 'relevant_windows': the test split is published without it, use val")
    moments = _moments(row, "relevant_windows")
    return TrueQuery(entry.line, _name(row, "vid"), _query(row, "query"), moments)


def _didemo(entry: _Entry) -> TrueQuery:
    row = _object(entry.content)
    times = _field(row, "times")
    if not isinstance(times, list) or not times:
        raise _WrongError(f"'times' must be a list of pairs of pieces, but is {_shown(times)}")
    moments = [_didemo_moment(time) for time in times]
    agreed = max(moments, key=lambda moment: sum(iou(moment, other) for other in moments))
    return TrueQuery(entry.line, _name(row, "video"), _query(row, "description"), (agreed,))


def _charades(entry: _Entry) -> TrueQuery:
    match = _CHARADES_LINE.fullmatch(entry.content.strip())
    if not match:
        raise _WrongError(f"the line must be VIDEO start end##sentence, but is {_shown(entry.content)}")
    ends = []
    for name in ("start", "end"):
        try:
            ends.append(float(match[name]))
        except ValueError:
            raise _WrongError(f"the {name} must be a number of seconds, but is {_shown(match[name])}") from None
    moment = _moment(ends)
    if not match["query"].strip():
        raise _WrongError("there is no sentence after '##'")
    return TrueQuery(entry.line, match["video"], match["query"].strip(), (moment,))


def _object(content: str) -> dict[str, object]:
    try:
        row = json.loads(content)
    except json.JSONDecodeError as error:
        raise _WrongError(f"this is not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise _WrongError("this JSON cannot be read: it is nested too deeply") from error
    if not isinstance(row, dict):
        raise _WrongError(f"this must be an object with fields, but is {_shown(row)}")
    return row


def _field(row: dict[str, object], name: str) -> object:
    if name not in row:
        raise _WrongError(f"there is no '{name}'")
    return row[name]


def _name(row: dict[str, object], name: str, what: str = "the name of a video") -> str:
    value = _field(row, name)
    if not isinstance(value, str) or not value.strip():
        raise _WrongError(f"'{name}' must be {what}, but is {_shown(value)}")
    return value


def _query(row: dict[str, object], name: str) -> str:
    return _name(row, name, "a description").strip()


def _moments(row: dict[str, object], name: str) -> tuple[Moment, ...]:
    values = _field(row, name)
    if not isinstance(values, list):
        raise _WrongError(f"'{name}' must be a list of [start, end], but is {_shown(values)}")
    return tuple(sorted(_moment(value) for value in values))


def _moment(value: object) -> Moment:
    start, end = _pair(value)
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
        raise _WrongError(f"a moment must be [start, end] in seconds with 0 <= start < end, but is {_shown(value)}")
    return start, end


def _didemo_moment(value: object) -> Moment:
    first, last = _pair(value)
    if not (0 <= first <= last < math.inf and first == int(first) and last == int(last)):
        raise _WrongError(f"a time must be two whole numbers, the first and the last piece, but is {_shown(value)}")
    return first * _DIDEMO_PIECE_SECONDS, (last + 1) * _DIDEMO_PIECE_SECONDS


def _pair(value: object) -> Moment:
    if not isinstance(value, list) or len(value) != 2 or not all(type(end) in (int, float) for end in value):
        raise _WrongError(f"a moment must be a pair of numbers, but is {_shown(value)}")
    try:
        return float(value[0]), float(value[1])
    except OverflowError:
        raise _WrongError(f"a moment must be a pair of numbers of seconds, but is {_shown(value)}") from None


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
    return repr(short) if isinstance(value, str) else short


FORMATS: Mapping[str, Callable[[_Entry], TrueQuery]] = MappingProxyType(
    {"clipseek": _clipseek, "qvhighlights": _qvhighlights, "didemo": _didemo, "charades-sta": _charades}
)
"""What reads an entry of a file, by the name of the format."""
