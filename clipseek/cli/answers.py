"""How an answer to a query is printed: its matches as a table, its messages, and all of it as data for scripts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clipseek.api.formats import counted, duration, timestamp
from clipseek.cli.terminal import show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Match, Query


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
    rows = []
    place, previous_id = answer.offset, ""
    for match in answer.matches:
        is_next = not answer.group_by_video or match.video_id != previous_id
        place, previous_id = place + is_next, match.video_id
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
    weaker = [("-", match.title, *match_cells(match), match.video_id[:12]) for match in answer.weaker_matches]
    show_weaker(answer, heads, weaker)


def match_cells(match: "Match") -> tuple[str, str, str, str]:
    """The cells Start, End, Length and Score of a match; `clipseek clip` takes the times as they are."""
    length = duration(match.end_seconds - match.start_seconds)
    score = f"{match.score:.3f}" + (" weak" if match.is_weak else "")
    return timestamp(match.start_seconds), timestamp(match.end_seconds), length, score


def match_data(match: "Match") -> dict[str, Any]:
    names = ("video_id", "title", "start_seconds", "end_seconds", "score", "peak_seconds")
    return {name: getattr(match, name) for name in names}


def answer_data(answer: "Query") -> dict[str, Any]:
    """A search's whole answer for scripts."""
    names = ("nothing_matches", "cut_off", "withheld", "more", "videos_searched", "frames_searched")
    return {
        "matches": [match_data(match) for match in answer.matches],
        "weaker_matches": [match_data(match) for match in answer.weaker_matches],
        **{name: getattr(answer, name) for name in names},
        "warnings": list(answer.warnings),
    }
