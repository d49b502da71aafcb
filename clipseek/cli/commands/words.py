"""`clipseek words` and `transcript`: have the words of videos read, and print them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import OutputRefused
from clipseek.api.formats import counted, escape_hidden
from clipseek.api.limits import HEARD, REASON_OF, WRITTEN
from clipseek.cli.options import json_option, language_option, with_client
from clipseek.cli.terminal import print_json, progress_bar
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Video
    from clipseek.client import Client

_FORMATS = ("txt", "srt", "vtt", "json")


@click.command()
@click.argument("names", metavar="VIDEO...", nargs=-1)
@click.option(
    "--all", "every", is_flag=True, help="Read all videos whose words are not complete, e.g. after an update."
)
@click.option("--again", is_flag=True, help="Read all words again. Lines that somebody corrected stay as they are.")
@language_option
@click.option(
    "--detach", is_flag=True, help="Return at once: the service works by itself, and `clipseek jobs` follows it."
)
@json_option
@with_client
def words(
    client: "Client", names: tuple[str, ...], every: bool, again: bool, language: str, detach: bool, as_json: bool
) -> None:
    """Read what is said, subtitled and written on screen in videos.

    The service does so by itself once a video is indexed. This command is for videos that were indexed without words or
    by an earlier version, or whose language was taken for another. VIDEO is the video's title, its id or the start of
    its id. Videos that still have to be indexed go first. Ctrl-C cancels the job; what is read is kept.

    \b
      clipseek words talk.mp4
      clipseek words talk.mp4 --again --language zh
      clipseek words --all --detach
    """
    if bool(names) == every:
        raise click.UsageError("Name the videos to read, or add --all.")
    videos = list(filter(_lacks_words, client.videos())) if every else [*map(client.video, names)]
    options: dict[str, Any] = {"again": again, "language": language}
    rows: list[dict[str, Any]] = []
    for video in videos:
        if detach:
            job = client.read_words(video.video_id, wait=False, **options)
            rows.append({"video_id": video.video_id, "title": video.title, "job_id": job.job_id, "state": job.state})
            sentence = f"{video.title} ({video.video_id[:12]}): job {job.job_id}." if job.job_id else _sentence(video)
        else:
            with progress_bar(video.title) as progress:
                read = client.read_words(video.video_id, progress=progress, **options)
            rows.append(words_data(read))
            sentence = _sentence(read)
        if not as_json:
            say(sentence)
    if as_json:
        print_json(rows)
    elif not videos:
        say("The words of all videos are read.")


def _lacks_words(video: "Video") -> bool:
    """Whether some words are missing that nobody left out on purpose."""
    return video.words != "read" and not video.no_words


def words_data(video: "Video") -> dict[str, Any]:
    """What is known of a video's words, for scripts."""
    names = ("video_id", "title", "words", "cues", "word_languages", "word_sources", "word_notes")
    return {name: list(value) if isinstance(value := getattr(video, name), list) else value for name in names}


def _sentence(video: "Video") -> str:
    reasons = {REASON_OF.get(source) for source in video.word_sources}
    kinds = " and ".join(reason for reason in (HEARD, WRITTEN) if reason in reasons)
    languages = f"({', '.join(video.word_languages)})" if video.word_languages else ""
    found = " ".join(filter(None, (counted(video.cues, "line"), kinds, languages))) if video.cues else "no words"
    return "\n  ".join([f"{video.title} ({video.video_id[:12]}): {found}.", *video.word_notes])


@click.command()
@click.argument("name", metavar="VIDEO")
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="txt is to read, srt and vtt are subtitles, json has all fields. [default: by the name of FILE, else txt]",
)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write to FILE instead of printing."
)
@click.option(
    "--in",
    "look_in",
    metavar="KIND",
    multiple=True,
    help="Only what is heard (said or subtitled) or written on screen. [default: heard for srt and vtt, else both]",
)
@click.option("--language", default="", metavar="CODE", help="Only lines in this language, such as en or zh.")
@with_client
def transcript(
    client: "Client", name: str, format_: str | None, output: str | None, look_in: tuple[str, ...], language: str
) -> None:
    """Print the words of a video with their times.

    VIDEO is the video's title, its id or the start of its id.

    \b
      clipseek transcript talk.mp4
      clipseek transcript talk.mp4 -o talk.zh.srt --language zh
      clipseek transcript talk.mp4 --format json --in written
    """
    from clipseek.client.transcript import DEFAULT_REASONS, select_cues, write_transcript

    suffix = Path(output or "").suffix.lower().removeprefix(".")
    chosen = format_ or (suffix if suffix in _FORMATS else "txt")
    answer = client.transcript(name)
    text = write_transcript(
        answer, select_cues(answer.cues, look_in or DEFAULT_REASONS.get(chosen, ()), language), chosen
    )
    if not answer.complete:
        say("note: Not all of this video is read yet. `clipseek words` reads the rest.", style="yellow")
    if output:
        _write(Path(output), text)
    elif text:
        click.echo(escape_hidden(text, keep="\n"), nl=False)
    else:
        say("There are no such words in this video.")


def _write(path: Path, text: str) -> None:
    """Raises: OutputRefused."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputRefused(f"'{path}' cannot be written ({error.strerror}). Choose another place.") from error
