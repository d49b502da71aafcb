"""What the commands print: data for scripts on stdout, tables and sentences for people."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clipseek.settings import Settings
from clipseek.terminal import duration, say, show_table, timestamp

if TYPE_CHECKING:
    from clipseek.client import Indexed
    from clipseek.schema import Component, Match, Query, Video


def show_ready(settings: Settings, components: "list[Component]") -> None:
    """Tell on stderr where the service listens and which model answers."""
    facts = {c.name: c.facts for c in components}
    encoder, store = facts.get("image_encoder", {}), facts.get("indexer", {})
    say(f"ClipSeek listens on grpc://{settings.bind}:{settings.port}", style="bold green")
    say(f"  model  {encoder.get('model', '?')} on {encoder.get('device', '?')}: {encoder.get('reason', '')}")
    say(f"  store  {settings.home} ({store.get('videos', '?')} videos, {store.get('frames', '?')} frames)")
    for warning in dict.fromkeys(warning for c in components for warning in c.warnings):
        say(f"  note   {warning}", style="yellow")
    say("Ctrl-C stops it.", style="dim")


def show_matches(answer: "Query") -> None:
    """Print matches as a table."""
    show_table(
        ("#", "Video", "Moment", ">Length", ">Score", "ID"),
        [
            (
                str(place),
                match.title,
                f"{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}",
                duration(match.end_seconds - match.start_seconds),
                f"{match.score:.3f}",
                match.video_id[:12],
            )
            for place, match in enumerate(answer.matches, 1)
        ],
    )


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
    """Print the films of the library as a table."""
    if not known:
        say("The library is empty. Put films in: clipseek index FILE")
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
    took = f"{timestamp(done.video.duration_seconds)} of film in {duration(done.elapsed_seconds)}"
    return f"{name}: {done.frames_added} frames, {took} ({speed:.1f} x real time)."


def match_data(match: "Match") -> dict[str, Any]:
    names = ("video_id", "title", "start_seconds", "end_seconds", "score", "peak_seconds")
    return {name: getattr(match, name) for name in names}


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
