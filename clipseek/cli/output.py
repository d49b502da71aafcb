"""What the commands print: data for scripts on stdout, tables and sentences for people."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from clipseek.api.formats import counted, duration, timestamp
from clipseek.cli.sparkline import Mark, characters_for, draw
from clipseek.cli.terminal import say, show_table
from clipseek.config.settings import Settings

if TYPE_CHECKING:
    from clipseek.api.documents import Component, Match, Query, Video
    from clipseek.client import Indexed


def show_ready(settings: Settings, components: "list[Component]") -> None:
    """Tell on stderr where the service listens and which model answers."""
    facts = {c.name: c.facts for c in components}
    encoder, store = facts.get("image_encoder", {}), facts.get("indexer", {})
    scheme = "grpcs" if settings.tls_cert else "grpc"
    videos, frames = (counted(store.get(f"{noun}s", "?"), noun) for noun in ("video", "frame"))
    say(f"ClipSeek listens on {scheme}://{settings.bind}:{settings.port}", style="bold green")
    say(f"  model  {encoder.get('model', '?')} on {encoder.get('device', '?')}: {encoder.get('reason', '')}")
    say(f"  store  {settings.home} ({videos}, {frames})")
    for warning in dict.fromkeys(warning for c in components for warning in c.warnings):
        say(f"  note   {warning}", style="yellow")


def say_about(answer: "Query") -> None:
    """Tell on stderr what the search warns of, and why there are no matches if there are none."""
    for warning in answer.warnings:
        say(f"note: {warning}", style="yellow")
    if not answer.matches:
        say(no_match_sentence(answer))


def no_match_sentence(answer: "Query") -> str:
    """Why an answer has no matches, and what may be done."""
    if not answer.videos_searched and answer.start_seconds > 0:
        return f"Nothing matches: there is no video that goes on after {timestamp(answer.start_seconds)}."
    if not answer.videos_searched:
        return "The library is empty. Put videos in: clipseek index FILE"
    if not answer.nothing_matches:
        return "There are no matches on this page: those there are come before it."
    if not answer.withheld:
        return "Nothing matches."
    one = answer.withheld == 1
    weaker = "One moment fits" if one else f"{answer.withheld} moments fit"
    how = f"a lower --min-score shows {'it' if one else 'them'}"
    if not answer.least_score:
        how = f"--all shows {'it' if one else 'them'}"
    return f"Nothing matches. {weaker} less than that, with scores below {answer.cut_off:.3f}: {how}."


def show_matches(answer: "Query") -> None:
    """Print matches as a table; where they are grouped, each video is named and counted once."""
    rows = []
    place, before = answer.offset, ""
    for match in answer.matches:
        is_next = not answer.group_by_video or match.video_id != before
        place, before = place + is_next, match.video_id
        rows.append(
            (
                str(place) if is_next else "",
                match.title if is_next else "",
                *_moment_cells(match),
                match.video_id[:12] if is_next else "",
            )
        )
    show_table(("#", "Video", "Moment", ">Length", ">Score", "ID"), rows)


def _moment_cells(match: "Match") -> tuple[str, str, str]:
    moment = f"{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}"
    return moment, duration(match.end_seconds - match.start_seconds), f"{match.score:.3f}"


def show_timeline(video: "Video", answer: "Query") -> None:
    """Draw the score curve of a video as wide as the terminal, with its matches below."""
    end = min(answer.end_seconds or video.duration_seconds, video.duration_seconds)
    lines = draw(
        answer.curve_pts_seconds,
        answer.curve_scores,
        (answer.start_seconds, end),
        answer.cut_off,
        [Mark(match.start_seconds, match.end_seconds, match.peak_seconds) for match in answer.matches],
        Console().width,
        characters_for(sys.stdout.encoding),
    )
    click.echo("\n".join(lines))
    if answer.cut_off > 0:
        say(f"Matches score {answer.cut_off:.3f} or more.", style="dim")
    if answer.matches:
        rows = [(str(place), *_moment_cells(match)) for place, match in enumerate(answer.matches, 1)]
        show_table(("#", "Moment", ">Length", ">Score"), rows)


def show_shots(shots: list[tuple[float, float]], as_json: bool) -> None:
    if as_json:
        print_json([{"start_seconds": start, "end_seconds": end} for start, end in shots])
        return
    rows = [
        (str(place), f"{timestamp(start)} - {timestamp(end)}", f"{start:.3f}", f"{end:.3f}", duration(end - start))
        for place, (start, end) in enumerate(shots, 1)
    ]
    show_table((">#", "Shot", ">Start s", ">End s", ">Length"), rows)


def show_videos(known: "Sequence[Video]") -> None:
    """Print the videos of the library as a table."""
    if not known:
        say("The library is empty. Put videos in: clipseek index FILE")
        return
    show_table(
        ("ID", "Title", ">Length", ">Size", ">Frames", "Status"),
        [
            (
                video.video_id[:12],
                video.title,
                timestamp(video.duration_seconds),
                f"{video.width}x{video.height}",
                str(video.frames),
                video.status,
            )
            for video in known
        ],
    )


def indexed_data(done: "Indexed") -> dict[str, Any]:
    return {
        "video_id": done.video.video_id,
        "title": done.video.title,
        "status": done.video.status,
        "frames": done.video.frames,
        "frames_added": done.frames_added,
        "frames_encoded": done.frames_encoded,
        "seconds_of_video": round(done.video.duration_seconds, 3),
        "elapsed_seconds": round(done.elapsed_seconds, 3),
    }


def indexed_sentence(done: "Indexed") -> str:
    name = f"{done.video.title} ({done.video.video_id[:12]})"
    if not done.frames_added:
        return f"{name}: was indexed already, {done.video.frames} frames."
    speed = done.video.duration_seconds / max(done.elapsed_seconds, 1e-9)
    took = f"{timestamp(done.video.duration_seconds)} of video in {duration(done.elapsed_seconds)}"
    return f"{name}: {done.frames_added} frames, {took} ({speed:.1f} x real time)."


def match_data(match: "Match") -> dict[str, Any]:
    names = ("video_id", "title", "start_seconds", "end_seconds", "score", "peak_seconds")
    return {name: getattr(match, name) for name in names}


def answer_data(answer: "Query") -> dict[str, Any]:
    """A search's whole answer for scripts."""
    names = ("nothing_matches", "cut_off", "withheld", "more", "videos_searched", "frames_searched")
    return {
        "matches": [match_data(match) for match in answer.matches],
        **{name: getattr(answer, name) for name in names},
        "warnings": list(answer.warnings),
    }


def timeline_data(video: "Video", answer: "Query") -> dict[str, Any]:
    """A timeline for scripts."""
    return {
        "video_id": video.video_id,
        "title": video.title,
        "duration_seconds": video.duration_seconds,
        "pts_seconds": answer.curve_pts_seconds,
        "scores": answer.curve_scores,
        "shot_start_seconds": answer.shot_start_seconds,
    } | answer_data(answer)


def video_data(video: "Video") -> dict[str, Any]:
    names = [
        "video_id",
        "title",
        "status",
        "duration_seconds",
        "width",
        "height",
        "fps",
        "frames",
        "frames_per_second",
        "sampling",
        "size_bytes",
        "codec",
        "container",
        "rotation_degrees",
        "has_audio",
    ]
    return {name: getattr(video, name) for name in names}


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
