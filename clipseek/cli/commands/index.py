"""`clipseek index`: add videos to the library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import ClipSeekError, ServerError, ServerUnreachable
from clipseek.api.formats import counted, duration, plain_title, sendable, timestamp
from clipseek.cli.options import fps_option, json_option, language_option, sampling_option, with_client, words_option
from clipseek.cli.terminal import print_json, progress_bar
from clipseek.machine.talk import say
from clipseek.watch.folder_scan import videos_below

if TYPE_CHECKING:
    from clipseek.api.documents import Job
    from clipseek.client import Client, Indexed


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--title", help="Title of the video, in place of its file name. Only with one video.")
@fps_option
@sampling_option
@click.option(
    "--stream",
    type=click.IntRange(1),
    help="Which video track to look at, if a video has several: 1 is the first. [default: the largest]",
)
@words_option
@language_option
@click.option(
    "--on-server",
    is_flag=True,
    help="PATH is a file on the server, below a folder its operator allowed. Nothing is copied.",
)
@click.option(
    "--detach",
    is_flag=True,
    help="Return once the videos are sent: the service indexes them by itself. `clipseek jobs` shows how far it is.",
)
@json_option
@with_client
def index(
    client: "Client",
    paths: tuple[str, ...],
    title: str | None,
    stream: int | None,
    detach: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Add videos to the library.

    PATH is a video, or a folder with all the videos below it. A video that is in the library already is neither sent
    nor analysed again. An interrupted one continues where it stopped.

    The service indexes a video by itself, as a job. It continues when this command loses its connection or is killed.
    Ctrl-C cancels the job. What is said and written in the video is read after that, in the background. Files of
    subtitles beside it, such as holiday.en.srt, are sent with it.

    \b
      clipseek index holiday.mp4 ~/Videos
      clipseek index ~/Videos --detach
      clipseek index match.mp4 --title "Cup final" --sampling adaptive
      clipseek index /srv/videos/archive.mkv --on-server
    """
    options["stream"] = stream or 0
    rows: list[dict[str, Any]] = []
    errors: list[ClipSeekError] = []

    def fail(path: str, error: ClipSeekError) -> None:
        hint = " Repeat the command: it continues where it stopped." if isinstance(error, ServerError) else ""
        name = "" if path in str(error) else f"{path}: "
        say(f"clipseek: {name}{error}{hint}", style="red")
        rows.append({"title": Path(path).name, "status": "failed", "error": str(error)})
        errors.append(error)

    files: list[str] = []
    for path in paths:
        try:
            files += [path] if options["on_server"] else [str(video) for video in videos_below(Path(path))]
        except ClipSeekError as error:
            fail(path, error)
    if title and len(files) > 1:
        raise click.UsageError(f"--title works with one video, but PATH holds {len(files)}.")
    for file in files:
        try:
            with progress_bar(Path(file).name) as progress:
                if detach:
                    row, sentence = _filed(client.index(file, title=title, progress=progress, wait=False, **options))
                else:
                    indexed = client.index(file, title=title, progress=progress, **options)
                    row, sentence = indexed_data(indexed), indexed_sentence(indexed, title or Path(file).name)
        except ClipSeekError as error:
            fail(file, error)
            if isinstance(error, ServerUnreachable):
                break  # the other files would fail in the same way
        else:
            rows.append(row)
            if not as_json:
                say(sentence)
    _end(rows, as_json)
    if errors:
        sys.exit(errors[0].exit_code if len(rows) == 1 else 1)


def _end(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif any(row.get("words") == "reading" for row in rows):
        say("What is said and written is read in the background: `clipseek jobs` shows how far.", style="dim")


def _filed(job: "Job") -> tuple[dict[str, Any], str]:
    """A job as JSON, and as a sentence."""
    row = {"job_id": job.job_id, "video_id": job.video_id, "title": job.title, "status": job.state}
    how = f"will be indexed: job {job.job_id}." if job.is_unfinished else "is indexed."
    sentence = "\n  ".join([f"{job.title} ({job.video_id[:12]}) {how}", *job.notes])
    return row | {"notes": job.notes}, sentence


def indexed_data(indexed: "Indexed") -> dict[str, Any]:
    return {
        "video_id": indexed.video.video_id,
        "title": indexed.video.title,
        "status": indexed.video.status,
        "frames": indexed.video.frames,
        "frames_added": indexed.frames_added,
        "frames_encoded": indexed.frames_encoded,
        "seconds_of_video": round(indexed.video.duration_seconds, 3),
        "elapsed_seconds": round(indexed.elapsed_seconds, 3),
        "words": indexed.video.words,
        "notes": list(indexed.notes),
    }


def indexed_sentence(indexed: "Indexed", name: str) -> str:
    return "\n  ".join([_result_sentence(indexed, name), *indexed.notes])


def _result_sentence(indexed: "Indexed", name: str) -> str:
    video, short_id = indexed.video, indexed.video.video_id[:12]
    is_named_so = plain_title(sendable(name)) == video.title
    if not indexed.frames_added:
        if not is_named_so:
            return f"{name} has the same content as '{video.title}' ({short_id}): nothing to do."
        return f"{name} ({short_id}) is already indexed, {counted(video.frames, 'frame')}: nothing to do."
    speed = video.duration_seconds / max(indexed.elapsed_seconds, 1e-9)
    took = f"{timestamp(video.duration_seconds)} of video in {duration(indexed.elapsed_seconds)}"
    also = "" if is_named_so else f" is '{video.title}'"
    return f"{name}{also} ({short_id}): {counted(indexed.frames_added, 'frame')}, {took} ({speed:.1f} x real time)."
