"""How an answer to a query is printed: its matches as a table, its messages, and all of it as data for scripts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.formats import counted, duration, marked_parts, spaced, timestamp
from clipseek.api.limits import SEEN
from clipseek.cli.terminal import Cell, show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Match, Query


_WORDS = ("reasons", "line", "line_start_seconds", "line_language", "line_marks", "by_meaning")
WEAKER = 5  # candidates shown below the matches where these do not fill the first page


def say_notes(answer: "Query") -> None:
    """Print on stderr what the search warns of, and why there are no matches if there are none."""
    for warning in answer.warnings:
        say(f"note: {warning}", style="yellow")
    if not answer.matches:
        say(no_match_sentence(answer))


def no_match_sentence(answer: "Query") -> str:
    """Why an answer has no matches, and what to do about it."""
    if not answer.videos_searched and answer.start_seconds > 0:
        return f"No match. No video is longer than {timestamp(answer.start_seconds)}: lower --from."
    if not answer.videos_searched:
        return "The library is empty. Add videos: clipseek index FILE"
    if answer.weaker_matches:
        return "No moment clearly matches. Nearest:"
    if not answer.nothing_matches:
        return "This page is past the last match. Lower --page."
    if not answer.withheld:
        return "No match."
    remedy = f"lower --min-score (now {answer.least_score:g})" if answer.least_score else "add --all"
    return f"No match. {counted(answer.withheld, 'weaker candidate')}, below {answer.cut_off:.3f}: {remedy}."


def show_weaker(answer: "Query", heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the weaker candidates below the matches, and how to see the others."""
    if not rows:
        return
    if answer.matches:
        say("Weaker candidates:")
    show_table(heads, rows)
    if answer.withheld > len(rows):
        say("More weaker candidates: --all", style="dim")


def show_matches(answer: "Query") -> None:
    """Print matches as a table; where they are grouped, each video is named and counted once. Weaker ones follow."""
    rows, numbered = [], []
    place, previous_id = answer.offset, ""
    for match in answer.matches:
        is_next = not answer.group_by_video or match.video_id != previous_id
        place, previous_id = place + is_next, match.video_id
        numbered.append((str(place), match))
        rows.append(
            (
                str(place) if is_next else "",
                match.title if is_next else "",
                *match_cells(match),
                match.video_id[:12] if is_next else "",
            )
        )
    heads = ("#", "Video", "Start", "End", ">Length", ">Score", "ID")
    if rows:
        show_table(heads, rows)
    show_lines(numbered)
    weaker = [("-", match.title, *match_cells(match), match.video_id[:12]) for match in answer.weaker_matches]
    show_weaker(answer, heads, weaker)
    show_lines([("-", match) for match in answer.weaker_matches])


def show_lines(numbered: "Sequence[tuple[str, Match]]") -> None:
    """Print why matches are ones, each under its number, with the line that was heard or read; not if all are seen."""
    told = [(number, match) for number, match in numbered if match.line or set(match.reasons) - {SEEN}]
    if told:
        click.echo()
        show_table(("#", "Why", ">At", "Line"), [(number, *line_cells(match)) for number, match in told])


def line_cells(match: "Match") -> tuple[Cell, Cell, Cell]:
    """The cells Why, At and Line of a match by words; the found words are marked."""
    why = ", ".join(match.reasons) + (", by meaning" if match.by_meaning else "")
    if not match.line:
        return why, "", ""
    parts = marked_parts(match.line, match.line_marks)
    shown = [(spaced(text), is_found) for text, is_found in parts]
    return why, timestamp(match.line_start_seconds), [('"', False), *shown, ('"', False)]


def match_cells(match: "Match") -> tuple[str, str, str, str]:
    """The cells Start, End, Length and Score of a match; `clipseek clip` takes the times as they are."""
    length = duration(match.end_seconds - match.start_seconds)
    score = f"{match.score:.3f}" + (" weak" if match.is_weak else "")
    return timestamp(match.start_seconds), timestamp(match.end_seconds), length, score


def match_data(match: "Match") -> dict[str, Any]:
    names = ("video_id", "title", "start_seconds", "end_seconds", "score", "peak_seconds", *_WORDS)
    return {name: list(value) if isinstance(value := getattr(match, name), list) else value for name in names}


def answer_data(answer: "Query") -> dict[str, Any]:
    """A search's whole answer for scripts."""
    names = ("nothing_matches", "cut_off", "withheld", "more", "videos_searched", "frames_searched")
    return {
        "matches": [match_data(match) for match in answer.matches],
        "weaker_matches": [match_data(match) for match in answer.weaker_matches],
        **{name: getattr(answer, name) for name in names},
        "warnings": list(answer.warnings),
    }
