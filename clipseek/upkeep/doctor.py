"""`clipseek doctor`: what is there, whether it fits together, and what to do about what does not."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clipseek import __version__
from clipseek.api.errors import ClipSeekError, ServerUnreachable
from clipseek.api.formats import counted, size
from clipseek.config.distribution import is_installed_twice, is_whole_install
from clipseek.config.libraries import libraries_below, library_folder, media_folder
from clipseek.config.settings import LEAST_RECALL, Settings
from clipseek.config.shards import divisions, out_of_use, store_folders
from clipseek.machine.module_call import PYTHON
from clipseek.upkeep.finding import Check, read_checks

_PACKAGES = ("jina", "docarray")
_SERVER_PACKAGES = ("torch", "torchvision", "open_clip_torch", "faiss-cpu", "av", "opencv-python-headless")
_LEAST_FREE_BYTES = 2_000_000_000
_RECALL_SECONDS = 600.0


def examine(settings: Settings, host: str | None) -> list[Check]:
    """Look at everything that a service on this machine, or a client of another, needs."""
    if not is_whole_install():
        return [*_installation(_PACKAGES), *_server(settings, host)]
    return [
        *_installation((*_PACKAGES, *_SERVER_PACKAGES)),
        _torch(),
        *_store(settings),
        *_server(settings, host),
    ]


def check_store(settings: Settings) -> list[Check]:
    """Read all of the store: the database, every span, every video, the index cache. Changes nothing.

    With a server at work, what it changes meanwhile may be reported as it was or as it is.
    """
    libraries = _libraries(settings)
    if not libraries:
        return [Check("store", "error", f"{settings.home}: there is no store", "Set CLIPSEEK_HOME to the server's.")]
    return [check for library in libraries for check in _read_through(settings, library)]


def repair_store(settings: Settings) -> list[Check]:
    """Mend what can be mended without losing anything that is right. Returns: what was done, then `check_store`.

    Raises:
        StoreError: a server is using the store.
    """
    if not _libraries(settings):
        return check_store(settings)
    with out_of_use(settings.home, [0]):
        done = [check for library in _libraries(settings) for check in _read_through(settings, library, "--repair")]
    return [*done, *check_store(settings)]


def check_recall(host: str | None) -> Check:
    """Have the server compare what its index finds with all frames.

    Raises:
        ServerUnreachable, ServerError: what the client raises.
    """
    from clipseek.client import Client

    with Client(host, timeout_seconds=_RECALL_SECONDS) as client:
        facts = client.recall().facts
    before, share = float(facts["recall_before"]), float(facts["recall"])
    found = f"{share:.4f} of the 10 nearest frames, {facts['recall_queries']} queries ({facts['index']})"
    if share < LEAST_RECALL:
        return Check(
            "recall", "warning", found, "CLIPSEEK_EXACT_FRAMES=inf has every frame compared, at the cost of time."
        )
    return Check(
        "recall", "ok", found if before == share else f"{found}; it was {before:.4f}, so more is looked at now"
    )


def _libraries(settings: Settings) -> list[str]:
    """The libraries that have a store: databases, videos, or both."""
    return [
        name
        for name in libraries_below(settings.home)
        if divisions(library_folder(settings.home, name)) or media_folder(settings, name).exists()
    ]


def _read_through(settings: Settings, library: str, *options: str) -> Iterator[Check]:
    """The executors' own checks of what they keep of a library."""
    folder = library_folder(settings.home, library)
    stores = store_folders(folder) or [folder]
    for store in stores:
        if not options:
            yield Check("store", "ok", str(store))
        yield from _told_by("executors.faiss_indexer.store.check", settings, str(store), *options)
    if len(divisions(folder)) > 1:
        yield Check("shards", "error", f"`clipseek reshard` was broken off in {folder}", "Run it again.")
    titles = {video_id: title for store in stores for video_id, title in _titles(store).items()}
    yield from _told_by(
        "executors.video_loader.media.checks.library_check", settings, library, *options, told=json.dumps(titles)
    )


def _told_by(module: str, settings: Settings, what: str, *options: str, told: str = "") -> list[Check]:
    done = subprocess.run(
        [*PYTHON, "-m", module, what, *options],
        env=os.environ | settings.to_env(),
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        fix = "Something there breaks the program that reads it: restore it from a backup, or move it away."
        return [Check("store", "error", f"{what}: the check ended with exit code {done.returncode}: {last}", fix)]
    return read_checks(done.stdout)


def _titles(folder: Path) -> dict[str, str]:
    """The titles of the store's videos by their ids; none where it cannot be read, which is a finding of its own."""
    try:
        with closing(sqlite3.connect(f"{(folder / 'index.db').as_uri()}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT video_id, title FROM videos"))
    except sqlite3.Error:
        return {}


def _installation(packages: Sequence[str]) -> Iterator[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    right = sys.version_info[:2] == (3, 11)
    yield Check("Python", "ok" if right else "error", python, "" if right else "ClipSeek needs Python 3.11.")
    found = __version__ if is_whole_install() else f"{__version__}, the client alone"
    twice = "The same files belong to both: pip uninstall both, then install one." if is_installed_twice() else ""
    yield Check("ClipSeek", "warning" if twice else "ok", found, twice)
    for package in packages:
        try:
            yield Check(package, "ok", version(package))
        except PackageNotFoundError:
            yield Check(package, "error", "not installed", "Install everything: make install, or pip install .")


def _torch() -> Check:
    tried = subprocess.run(
        [*PYTHON, "-W", "ignore", "-c", "import torch, torchvision; print(torch.cuda.is_available())"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        last = (tried.stderr.strip().splitlines() or ["no message"])[-1]
        return Check("torch with torchvision", "error", last, "They must be builds of one release: make install")
    return Check("CUDA", "ok", "a GPU is used" if tried.stdout.strip() == "True" else "no GPU: the CPU is used")


def _store(settings: Settings) -> Iterator[Check]:
    stores = store_folders(settings.home)
    if not stores:
        yield Check("store", "ok", f"{settings.home}: empty, made at the first start")
    yield from (_database(store / "index.db") for store in stores)
    folder = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    little = free < _LEAST_FREE_BYTES
    fix = "Free some space, or set CLIPSEEK_HOME to a folder on another disk." if little else ""
    yield Check("free disk", "warning" if little else "ok", f"{size(free)} at {folder}", fix)


def _database(path: Path) -> Check:
    try:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
            healthy = db.execute("PRAGMA quick_check").fetchone()[0]
            videos, frames = db.execute(
                "SELECT (SELECT COUNT(*) FROM videos), (SELECT COALESCE(SUM(frames), 0) FROM spans)"
            ).fetchone()
            model = dict(db.execute("SELECT key, value FROM meta")).get("model_id", "none yet")
    except sqlite3.Error as error:
        return Check("store", "error", f"{path}: {error}", "Restore it from a backup, or move it away and index again.")
    if healthy != "ok":
        return Check(
            "store", "error", f"{path}: {healthy}", "Restore it from a backup, or move it away and index again."
        )
    return Check("store", "ok", f"{path}: {counted(videos, 'video')}, {counted(frames, 'frame')} of model {model}")


def _server(settings: Settings, host: str | None) -> Iterator[Check]:
    from clipseek.client import Client

    try:
        with Client(host, timeout_seconds=10) as client:
            components = client.health()
            address = client.address
    except ServerUnreachable as error:
        fix = "Start one with `clipseek serve`." if is_whole_install() else "Name one with --host or CLIPSEEK_HOST."
        yield Check("server", "warning", str(error).split(". ", maxsplit=1)[0], fix)
        if is_whole_install() and not (host or settings.host):
            yield _port(settings)
        return
    except ClipSeekError as error:
        yield Check("server", "error", str(error), "Restart it, and look at what it prints.")
        return
    down = ", ".join(component.name for component in components if not component.ok)
    if down:
        yield Check(
            "server", "warning", f"{address} is degraded: {down} does not answer", "It is started again by itself."
        )
    else:
        yield Check("server", "ok", f"{address} is ready")
    told: set[str] = set()
    for component in components:
        facts = ", ".join(f"{name} {value}" for name, value in component.facts.items() if value)
        new = [each for each in component.warnings if each not in told]  # both encoders warn of their model
        told.update(new)
        if component.ok:
            yield Check(component.name, "warning" if new else "ok", facts, "\n".join(new))
        else:
            yield Check(component.name, "error", facts, "\n".join(component.warnings))


def _port(settings: Settings) -> Check:
    from clipseek.machine.ports import is_port_free

    if is_port_free(settings.bind, settings.port):
        return Check("port", "ok", f"{settings.port} on {settings.bind} is free")
    fix = "Choose another with CLIPSEEK_PORT, or stop the program that holds it."
    return Check("port", "error", f"{settings.port} on {settings.bind} is held by another program", fix)
