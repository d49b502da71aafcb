"""`clipseek model`: what is made of the model on the server's machine."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from clipseek.api.errors import ModelError
from clipseek.api.model_ids import settings_for
from clipseek.cli.output import print_json
from clipseek.cli.terminal import say, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.watch.video_files import videos_below

BAR = 0.99
FRAMES = 300


@click.group()
def model() -> None:
    """Make something of the model that the server of this machine runs."""


@model.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "name", metavar="NAME", help="As CLIPSEEK_MODEL. [default: the server's]")
@click.option(
    "--frames",
    type=click.IntRange(min=64),
    default=FRAMES,
    show_default=True,
    help="How many to take: half of them to make it, half of them to compare it with the model on.",
)
@click.option(
    "--bar",
    type=click.FloatRange(0.9, 1.0),
    default=BAR,
    show_default=True,
    help="Cosine to the model's own vector that each frame must reach.",
)
@click.option("--again", is_flag=True, help="Make another in place of one that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
def optimise(paths: tuple[Path, ...], name: str | None, frames: int, bar: float, again: bool, as_json: bool) -> None:
    """Make the model's image half smaller and faster, in 8-bit integers, and say whether that does harm.

    It is made and judged with frames of the videos at PATH, files or folders, or else of the library on this machine. It
    is kept if it is accepted, and used where CLIPSEEK_ENGINE=int8: its vectors differ, so it counts as another model
    and needs a store of its own. On processors with VNNI or AMX it gains most. See docs/models.md.
    """
    check_whole_install("model optimise")
    settings = Settings.from_env()
    settings = replace(settings, model=name or settings.model)
    told = _answer("executors.clip_encoder.int8.optimise", settings)
    made = told["made"]
    if made and not again:
        say("It is there already. --again makes another, and what is stored by this one must then be indexed anew.")
    else:
        videos = [str(video.absolute()) for path in paths for video in videos_below(path)]
        asked = {"videos": videos, "frames": frames, "picture": told["picture"]}
        with tempfile.TemporaryDirectory(prefix="clipseek-frames-") as folder:
            file = str(Path(folder) / "frames.npz")
            say(f"Taking frames of {'the videos' if videos else 'the library'}.")
            _answer("executors.video_loader.workers.library_frames", settings, file, given=json.dumps(asked))
            say("Making it, and comparing it with the model: some minutes.")
            made = _answer("executors.clip_encoder.int8.optimise", settings, file, str(bar))
    if as_json:
        print_json(made)
    else:
        _show(made, bar)
    if made["why_refused"]:
        say(f"Refused, and not kept: {made['why_refused']}.", style="red")
        sys.exit(1)
    runs_it = settings_for(made["model_id"])  # with its name: in a new store `auto` may choose another model
    say(f"Accepted. Start the server with {runs_it}, and a store of its own (CLIPSEEK_HOME).")


def _answer(module: str, settings: Settings, *arguments: str, given: str = "") -> Any:
    def failure(why: str) -> ModelError:
        return ModelError(f"The model could not be optimised: {why}. Nothing was changed.")

    return call_module(module, *arguments, failure=failure, environ=settings.to_env(), stdin=given)


def _show(made: dict[str, Any], bar: float) -> None:
    show_table(
        ("What", "Found"),
        [
            ("Model", made["model_id"]),
            ("Frames", f"{made['calibration_frames']} to make it, {made['check_frames']} others to compare"),
            (
                "Cosine",
                f"{made['least_cosine']:.4f} at least ({bar:g} wanted), {made['median_cosine']:.4f} in the median",
            ),
            ("Nearest ten", f"{made['neighbours_kept']:.3f} stay so"),
            (
                "Pictures a second",
                f"{made['float_pictures_per_second']:.1f} by OpenVINO in float32, "
                f"{made['int8_pictures_per_second']:.1f} in int8",
            ),
        ],
    )
