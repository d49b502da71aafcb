"""`clipseek model`: what can be made of the model on the server's machine."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from clipseek.api.errors import ClientOnly, ModelError
from clipseek.api.model_ids import settings_for
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.machine.talk import say
from clipseek.watch.folder_scan import videos_below

_LEAST_COSINE = 0.99
_FRAMES = 300
_INT8 = "executors.clip_encoder.int8.optimise"


@click.group()
def model() -> None:
    """Work on the model that the server of this machine runs."""


@model.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "name", metavar="NAME", help="The model, as in CLIPSEEK_MODEL. [default: the server's]")
@click.option(
    "--frames",
    type=click.IntRange(min=64),
    default=_FRAMES,
    show_default=True,
    help="How many frames to use: half to make the new form, half to compare it with the model.",
)
@click.option(
    "--bar",
    type=click.FloatRange(0.9, 1.0),
    default=_LEAST_COSINE,
    show_default=True,
    help="Cosine to the model's own embedding that each frame must reach.",
)
@click.option("--again", is_flag=True, help="Make a new one if there is one already.")
@json_option
def optimise(paths: tuple[Path, ...], name: str | None, frames: int, bar: float, again: bool, as_json: bool) -> None:
    """Make the model's image half smaller and faster.

    It gets 8-bit integers, made and checked with frames of the videos at PATH (files or folders), or of the library on
    this machine. If it passes, it is kept, and runs with CLIPSEEK_ENGINE=int8. Its embeddings differ, so it counts as
    another model and needs a store of its own. Processors with VNNI or AMX gain most. See docs/models.md.

    \b
      clipseek model optimise
      clipseek model optimise ~/Videos --frames 500
    """
    _check_installed()
    settings = Settings.from_env()
    settings = replace(settings, model=name or settings.model)
    state = _answer(_INT8, settings)
    result = state["made"]
    if result and not again:
        say("There is one already. --again makes another; then index again what was indexed with this one.")
    else:
        result = _make(settings, paths, frames, bar, state["picture"])
    if as_json:
        print_json(result)
    else:
        _show(result, bar)
    if result["why_refused"]:
        say(f"Refused, and not kept: {result['why_refused']}.", style="red")
        sys.exit(1)
    needed = settings_for(result["model_id"])  # with the model's name: in a new store `auto` may choose another one
    say(f"Accepted. Start the server with {needed}, and a store of its own (CLIPSEEK_HOME).")


def _check_installed() -> None:
    """Raises: ClientOnly: the server or the room of int8 is not installed."""
    from importlib.util import find_spec

    check_whole_install("model optimise")
    if find_spec(_INT8.rpartition(".")[0]) is None:
        raise ClientOnly(
            "`clipseek model optimise` needs the extra `int8`, which is not installed. Install it: "
            "pip install 'clipseek[int8]'"
        )


def _make(settings: Settings, paths: Sequence[Path], frames: int, bar: float, picture: Any) -> Any:
    videos = [str(video.absolute()) for path in paths for video in videos_below(path)]
    request = {"videos": videos, "frames": frames, "picture": picture}
    with tempfile.TemporaryDirectory(prefix="clipseek-frames-") as folder:
        file = str(Path(folder) / "frames.npz")
        say(f"Taking frames of {'the videos' if videos else 'the library'}.")
        _answer("executors.video_loader.workers.library_frames", settings, file, given=json.dumps(request))
        say("Making it and comparing it with the model: this takes some minutes.")
        return _answer(_INT8, settings, file, str(bar))


def _answer(module: str, settings: Settings, *arguments: str, given: str = "") -> Any:
    def failure(reason: str) -> ModelError:
        return ModelError(f"The model could not be optimised: {reason}. Nothing was changed.")

    return call_module(module, *arguments, failure=failure, environ=settings.to_env(), stdin=given)


def _show(result: dict[str, Any], bar: float) -> None:
    cosines = f"{result['least_cosine']:.4f} at least ({bar:g} needed), {result['median_cosine']:.4f} in the median"
    speeds = (
        f"{result['float_pictures_per_second']:.1f} by OpenVINO in float32, "
        f"{result['int8_pictures_per_second']:.1f} in int8"
    )
    show_table(
        ("What", "Found"),
        [
            ("Model", result["model_id"]),
            ("Frames", f"{result['calibration_frames']} to make it, {result['check_frames']} others to compare"),
            ("Cosine", cosines),
            ("Nearest ten", f"{result['neighbours_kept']:.3f} of them stay the same"),
            ("Pictures a second", speeds),
        ],
    )
