"""`clipseek export`: moments as a file for editors, spreadsheets and players."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import OutputRefused
from clipseek.api.formats import counted, duration
from clipseek.api.search_options import SearchOptions
from clipseek.cli.answers import say_notes
from clipseek.cli.commands.clip import check_overwriting, free_path
from clipseek.cli.options import query_options, with_client
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Video
    from clipseek.client import Client
    from clipseek.exports.edit_list import EditList
    from clipseek.exports.moments import Moment

FORMATS = ("otio", "edl", "fcp7", "fcpxml", "csv", "json", "srt")
_XML_SUFFIX = "xml"  # of fcp7


@click.command()
@query_options(SearchOptions)
@click.option(
    "--basket",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Export the moments of this JSON file instead of a search: saved from the page's basket, or with `clipseek "
    "search --json`.",
)
@click.option("--top-k", "-k", default=5, show_default=True, help="How many matches at most, 1 to 1000.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="otio is for Resolve and others, edl for every editor, fcp7 for Premiere, fcpxml for Final Cut and Resolve. "
    "[default: by the name of FILE, else fcp7]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write. [default: named after TEXT, in the current folder]",
)
@click.option("--force", "-f", is_flag=True, help="Overwrite the file if it exists.")
@click.option(
    "--media-root",
    metavar="DIR",
    help="Folder of the videos on the editor's machine. If this machine has it, the files are looked for in it. "
    "[default: where the server uses them in place, else beside FILE]",
)
@click.option(
    "--rate", type=float, default=0.0, metavar="FPS", help="Frames a second of the list. [default: of the first video]"
)
@with_client
def export(
    client: "Client",
    query: dict[str, Any],
    basket: Path | None,
    top_k: int,
    format_: str | None,
    output: Path | None,
    force: bool,
    media_root: str | None,
    rate: float,
) -> None:
    """Write the matches for TEXT as a file for editors.

    It says which frames of which videos come one after another; the videos themselves are not copied. Times are whole
    frames at the exact rate of each video, by its timecode: those that `clipseek clip` shows. CSV, JSON and SRT list
    the moments with query, score, reasons and line.

    \b
      clipseek export "a dog jumps into a lake" --format fcp7 --media-root ~/Videos
      clipseek export "a dog" --video holiday.mp4 -o dog.edl --rate 25
      clipseek export --basket clipseek.json -o rough-cut.fcpxml
    """
    from clipseek.exports.formats import EXPORT_FORMATS

    form = EXPORT_FORMATS[format_ or _format_of(output)]
    if output and not force:
        check_overwriting([output])
    moments, name = _choose_moments(client, query, basket, top_k)
    output = output or free_path(Path(name + form.suffix), [form.suffix])
    edits = _make_edit_list(client, moments, output, media_root, rate, tell_paths=form.for_editors)
    _write(output, form.write(edits))
    _say_rates(edits)
    length = duration(float(edits.length / edits.rate))
    say(f"Wrote {output} ({counted(len(edits.edits), 'moment')}, {length}, {_shown(edits.rate)} frames a second).")


def _choose_moments(
    client: "Client", query: dict[str, Any], basket: Path | None, top_k: int
) -> "tuple[list[Moment], str]":
    """The moments, and a name for their file. Raises: UsageError, InvalidRequest. Exit: nothing matches."""
    from clipseek.client.download import file_stem
    from clipseek.exports.moments import Moment, query_text, read_moments

    if basket:
        if any(query.values()):
            raise click.UsageError("Give --basket, or TEXT and the options of a search, not both.")
        return read_moments(basket.read_bytes(), str(basket)), basket.stem
    answer = client.search(top_k=top_k, **query)
    say_notes(answer)
    if not answer.matches:
        raise click.exceptions.Exit(1)
    text = query_text("", query["parts"])
    return [Moment.of(match, text) for match in answer.matches], file_stem(text) or "clipseek"


def _format_of(output: Path | None) -> str:
    suffix = output.suffix.lower().removeprefix(".") if output else _XML_SUFFIX
    if suffix not in (*FORMATS, _XML_SUFFIX):
        raise click.UsageError(f"The name '{output}' says no format. Add --format, one of {', '.join(FORMATS)}.")
    return "fcp7" if suffix == _XML_SUFFIX else suffix


def _make_edit_list(
    client: "Client", moments: "list[Moment]", output: Path, media_root: str | None, rate: float, *, tell_paths: bool
) -> "EditList":
    from clipseek.exports.edit_list import make_edit_list

    named = {name: client.video(name) for name in dict.fromkeys(moment.video_id for moment in moments)}
    moments = [replace(moment, video_id=named[moment.video_id].video_id) for moment in moments]
    videos = {video.video_id: video for video in named.values()}
    paths = _locate(client, videos, output, media_root, tell=tell_paths)
    return make_edit_list(moments, videos, paths, output.stem, rate)


def _locate(
    client: "Client", videos: "Mapping[str, Video]", output: Path, media_root: str | None, *, tell: bool
) -> dict[str, PurePath]:
    """The file of each video for the editor. Notes on stderr name those that are not there."""
    from clipseek.exports.media_paths import find_media, media_path, reader_path

    server_paths = {id_: client.server_path(id_) for id_ in videos} if tell else {}
    here = Path(media_root).expanduser().absolute() if media_root else output.absolute().parent
    found = find_media(here, videos.values(), server_paths) if media_root and tell else {}
    paths: dict[str, PurePath] = {}
    for id_, video in videos.items():
        server_path = server_paths.get(id_, "")
        is_known_here = here.is_dir() and not (server_path and not media_root)
        root = here if is_known_here else reader_path(media_root) if media_root else None
        paths[id_] = found.get(id_) or media_path(video, server_path, root)
        if tell and is_known_here and not Path(paths[id_]).is_file():
            say(f"note: There is no file {paths[id_]}. The editor will ask for it; --media-root says where it is.")
    return paths


def _say_rates(edits: "EditList") -> None:
    for source in edits.other_rates:
        say(
            f"note: '{source.title}' has {_shown(source.rate)} frames a second, the list {_shown(edits.rate)}. The "
            "editor shows the nearest frames; --rate chooses the rate of the list.",
            style="yellow",
        )
    for source in edits.variable_rates:
        say(
            f"note: '{source.title}' has no constant frame rate. Its frames are counted at {_shown(source.rate)}, and "
            "may be off in the editor. To be exact, cut them out with `clipseek clip`.",
            style="yellow",
        )


def _shown(rate: Any) -> str:
    return f"{float(rate):.5g}"


def _write(path: Path, text: str) -> None:
    """Raises: OutputRefused."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OutputRefused(f"'{path}' cannot be written ({error.strerror}). Choose another place.") from error
