"""`clipseek model`: which models there are, how others come, which one answers, and what can be made of them."""

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import ClientOnly, ClipSeekError, ModelError
from clipseek.api.limits import ANSWERS, AVAILABLE
from clipseek.api.model_ids import settings_for
from clipseek.cli.options import host_option, json_option, with_client
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.profiles import (
    AUTO,
    MODEL_NAMES,
    PROFILES,
    STARTER,
    STARTER_LANGUAGES,
    STARTER_LICENCE,
    is_folder,
    is_same_model,
)
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.machine.talk import say
from clipseek.watch.folder_scan import videos_below

if TYPE_CHECKING:
    from clipseek.api.documents import Model
    from clipseek.client import Client

_LIBRARY_SECONDS = 10.0  # for the server, which need not run
_LEAST_COSINE = 0.99
_FRAMES = 300
_INVENTORY = "executors.clip_encoder.model.inventory"
_INT8 = "executors.clip_encoder.int8.optimise"


@click.group()
def model() -> None:
    """List, get, use, forget and optimise models."""


@model.command("list")
@json_option
@host_option
def list_models(as_json: bool, host: str | None) -> None:
    """List the models that are on this machine, and those you can get.

    Recall is published: of Chinese and English queries on Crossmodal-3600, in percent. Your videos may differ: measure
    them with `clipseek eval`. Library says which model answers on the server, and of which it keeps vectors.

    \b
      clipseek model list
    """
    check_whole_install("model list")
    here = call_module(_INVENTORY, failure=_listing_failed, environ=Settings.from_env().to_env())
    rows = _describe_models(here)
    _add_library(rows, host)
    if as_json:
        print_json(rows)
        return
    heads = ("Name", "Model", "Here", ">MB", "Languages", "Licence", "Recall zh / en", "Library")
    show_table(heads, [tuple(map(str, row.values())) for row in rows])
    say("Get one: clipseek model get NAME. Let it answer: clipseek model use NAME.")


@model.command()
@click.argument("name")
@json_option
def get(name: str, as_json: bool) -> None:
    """Download the model NAME: a short name, or NAME/TAG of open_clip.

    Ctrl-C keeps what has arrived, and the next run goes on from there. The checksum is verified.

    \b
      clipseek model get multilingual
      clipseek model get ViT-B-16-SigLIP2/webli
    """
    check_whole_install("model get")
    if name.strip().lower() in ("", AUTO):
        raise click.UsageError("Name a model: `clipseek model list` shows them.")
    try:
        result = call_module(
            _INVENTORY, name, failure=_getting_failed, environ=Settings.from_env().to_env(), shows_progress=True
        )
    except KeyboardInterrupt:
        say("\nStopped. What has arrived is kept: run the same command to go on.")
        sys.exit(130)
    if as_json:
        print_json(result)
    else:
        say(f"{result['model']} is here: {result['weights']}", style="green")
        say(f"Let it answer: clipseek model use {name}. In a new store: clipseek serve --model {name}.")


def _listing_failed(reason: str) -> ModelError:
    return ModelError(f"The models could not be listed: {reason}.")


def _getting_failed(reason: str) -> ModelError:
    return ModelError(f"The model could not be fetched: {reason}. Try again: what has arrived is kept.")


def _describe_models(here: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each short name, then for each other model that is here."""

    def row(
        name: str, model_name: str, megabytes: int | str = "", languages: str = "", licence: str = "", recall: str = ""
    ) -> dict[str, Any]:
        return {
            "name": name,
            "model": model_name,
            "here": "yes" if name in here else "no",
            "megabytes": megabytes,
            "languages": languages,
            "licence": licence,
            "recall": recall,
            "library": "",
        }

    profiles = [
        row(name, p.open_clip_name, p.megabytes, p.languages, p.licence, p.recall) for name, p in PROFILES.items()
    ]
    others = [row(name, name) for name in here if name not in MODEL_NAMES]
    return [*profiles, row(STARTER, "built here", "", STARTER_LANGUAGES, STARTER_LICENCE), *others]


def _add_library(rows: list[dict[str, Any]], host: str | None) -> None:
    """Add what the library has of each model; nothing where no server answers."""
    from clipseek.client import Client

    try:
        with Client(host, timeout_seconds=_LIBRARY_SECONDS, retry_seconds=0.0) as client:
            models = [model for model in client.models() if model.state != AVAILABLE]
    except ClipSeekError:
        return
    for stored in models:
        row = next((row for row in rows if is_same_model(row["name"], stored.name)), None)
        if row is None:
            row = dict.fromkeys(rows[0], "") | {"name": stored.name, "model": stored.name, "here": "on the server"}
            rows.append(row)
        row["library"] = _describe_state(stored)


def _describe_state(stored: "Model") -> str:
    share = 100 * stored.covered_seconds / stored.total_seconds if stored.total_seconds else 100
    return ANSWERS if stored.state == ANSWERS else f"{stored.state}, {math.floor(share)} %"


@model.command()
@click.argument("name")
@click.option("--detach", is_flag=True, help="File the job and return. `clipseek jobs --follow` shows its progress.")
@with_client
def use(client: "Client", name: str, detach: bool) -> None:
    """Let the model NAME answer in the library.

    The service embeds each video again, from the file that it keeps. Until it has all of them, the present model
    answers. Its vectors are kept: going back only embeds what was added since. NAME must be on the server: a short
    name, NAME/TAG of open_clip, or a folder. Ctrl-C cancels; the same command later continues.

    \b
      clipseek model get multilingual
      clipseek model use multilingual
    """
    if name.lower() not in MODEL_NAMES and is_folder(name):
        name = str(Path(name).absolute())
    with progress_bar(f"with {name}") as progress:
        used = client.use_model(name, progress=progress, wait=not detach)
    if used.state == ANSWERS:
        say(f"{used.name} answers in the library.", style="green")
    else:
        say(f"The library changes to {used.name}: job {used.job_id}. Until it is done, the present model answers.")


@model.command()
@click.argument("name")
@with_client
def forget(client: "Client", name: str) -> None:
    """Remove the vectors of the model NAME from the library, and free their space. It must not be the one that answers.

    The model itself stays on the machine.

    \b
      clipseek model forget starter
    """
    stored = next((model.name for model in client.models() if is_same_model(model.name, name)), name)
    client.forget_model(stored)
    say(f"The library has no vectors of {stored} any more.")


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
