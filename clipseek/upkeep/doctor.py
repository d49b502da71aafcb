"""`clipseek doctor`: what is installed and stored, whether it fits together, and what to do if it does not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version

from clipseek import __version__
from clipseek.api.documents import Component
from clipseek.api.errors import ClipSeekError, ServerUnreachable, StoreError
from clipseek.api.formats import counted, size
from clipseek.config.distribution import is_installed_twice, is_whole_install
from clipseek.config.libraries import MAIN, libraries_below, library_folder, media_folder
from clipseek.config.settings import LEAST_RECALL, Settings, rename_warnings
from clipseek.config.store_files import has_store, list_parts, out_of_use
from clipseek.machine.module_call import PYTHON, call_module
from clipseek.machine.ports import is_port_free
from clipseek.machine.versions import find_misfits
from clipseek.upkeep.finding import ERROR, OK, WARNING, Finding

_PACKAGES = ("jina", "docarray")
_SERVER_PACKAGES = ("torch", "torchvision", "open_clip_torch", "faiss-cpu", "av", "opencv-python-headless")
_LEAST_FREE_BYTES = 2_000_000_000
_RECALL_SECONDS = 600.0
_REPORT = "executors.faiss_indexer.store.report"
_FROM_BACKUP = "Restore it from a backup, or move it away and index again."


def examine(settings: Settings, host: str | None) -> list[Finding]:
    """Check all that a service on this machine needs, or a client of a service elsewhere."""
    if not is_whole_install():
        return [*_check_installation(_PACKAGES), *_check_names(), *_check_server(settings, host)]
    return [
        *_check_installation((*_PACKAGES, *_SERVER_PACKAGES)),
        _check_torch(),
        *_check_names(),
        *_check_home(settings),
        *_check_server(settings, host),
    ]


def check_store(settings: Settings) -> list[Finding]:
    """Read all of the store: the database, every span, every video, the index cache. Changes nothing.

    If a server works meanwhile, its changes may be reported as they were before or after.
    """
    libraries = _stored_libraries(settings)
    if not libraries:
        return [Finding("store", ERROR, f"{settings.home}: there is no store", "Set CLIPSEEK_HOME to the server's.")]
    return [finding for library in libraries for finding in _read_library(settings, library)]


def repair_store(settings: Settings) -> list[Finding]:
    """Repair what can be repaired without losing correct data. Returns: what was done, then `check_store`.

    Raises: StoreError: a server is using the store.
    """
    libraries = _stored_libraries(settings)
    if not libraries:
        return check_store(settings)
    with nullcontext() if settings.store else out_of_use(settings.home):  # PostgreSQL lets one write at a time
        repairs = [finding for library in libraries for finding in _read_library(settings, library, "--repair")]
    return [*repairs, *check_store(settings)]


def check_recall(host: str | None) -> Finding:
    """Let the server compare what its index finds with all frames.

    Raises: ServerUnreachable, ServerError: as the client.
    """
    from clipseek.client import Client

    with Client(host, timeout_seconds=_RECALL_SECONDS) as client:
        facts = client.recall().facts
    before, share = float(facts["recall_before"]), float(facts["recall"])
    found = f"{share:.4f} of the 10 nearest frames, {facts['recall_queries']} queries ({facts['index']})"
    if share < LEAST_RECALL:
        return Finding(
            "recall", WARNING, found, "CLIPSEEK_EXACT_FRAMES=inf compares every frame. Searches then take longer."
        )
    change = "" if before == share else f"; before it was {before:.4f}, so the index now looks at more"
    return Finding("recall", OK, found + change)


def _stored_libraries(settings: Settings) -> list[str]:
    """The libraries with a database or videos. Raises: StoreUnreachable, StoreError."""
    if settings.store:
        stored = set(call_module(_REPORT, "libraries", failure=StoreError, environ=settings.to_env()))
    else:
        stored = {name for name in libraries_below(settings.home) if has_store(library_folder(settings.home, name))}
    return sorted(stored | {n for n in libraries_below(settings.home) if media_folder(settings, n).exists()})


def _read_library(settings: Settings, library: str, *options: str) -> Iterator[Finding]:
    folder = library_folder(settings.home, library)
    if parts := [] if settings.store else list_parts(folder):
        divided = f"{folder} is divided into {len(parts)} files, which this version does not use"
        yield Finding("store", ERROR, divided, f"Join them: clipseek store copy {settings.home} {settings.home}")
        return
    if not options:
        yield Finding("store", OK, f"library '{library}' in PostgreSQL" if settings.store else str(folder))
    yield from _call_check("executors.faiss_indexer.store.check", settings, library, *options)
    titles = json.dumps(_read_titles(settings, library))
    yield from _call_check(
        "executors.video_loader.media.checks.library_check", settings, library, *options, stdin=titles
    )


def _call_check(module: str, settings: Settings, what: str, *options: str, stdin: str = "") -> list[Finding]:
    try:
        rows = call_module(module, what, *options, failure=StoreError, environ=settings.to_env(), stdin=stdin)
    except ClipSeekError as error:
        fix = "Something there crashes the program that reads it: restore it from a backup, or move it away."
        return [Finding("store", ERROR, f"{what}: the check failed: {error}", fix)]
    return [Finding(**row) for row in rows]


def _read_titles(settings: Settings, library: str) -> dict[str, str]:
    """The titles of all videos by their ids; none if a store crashes its reader, which is a finding of its own."""
    try:
        [titles] = call_module(_REPORT, "titles", library, failure=StoreError, environ=settings.to_env())
    except ClipSeekError:
        return {}
    return dict(titles)


def _check_installation(packages: Sequence[str]) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info[:2] == (3, 11)
    yield Finding("Python", OK if fits else ERROR, python, "" if fits else "ClipSeek needs Python 3.11.")
    found = __version__ if is_whole_install() else f"{__version__}, client only"
    if is_installed_twice():
        both = "clipseek and clipseek-client own the same files: pip uninstall both, then install one."
        yield Finding("ClipSeek", WARNING, found, both)
    else:
        yield Finding("ClipSeek", OK, found)
    for package in packages:
        try:
            yield Finding(package, OK, version(package))
        except PackageNotFoundError:
            yield Finding(package, ERROR, "not installed", "Install everything: make install, or pip install .")


def _check_torch() -> Finding:
    process = subprocess.run(
        [*PYTHON, "-W", "ignore", "-c", "import torch, torchvision; print(torch.cuda.is_available())"],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("torch with torchvision", ERROR, last_line, "They must be builds of one release: make install")
    has_gpu = process.stdout.strip() == "True"
    return Finding("CUDA", OK, "a GPU is used" if has_gpu else "no GPU: the CPU is used")


def _check_names() -> Iterator[Finding]:
    yield from (Finding("setting", WARNING, warning) for warning in rename_warnings(os.environ))


def _check_home(settings: Settings) -> Iterator[Finding]:
    if settings.store or has_store(settings.home):
        yield _check_database(settings)
    else:
        yield Finding("store", OK, f"{settings.home}: nothing there yet; the first start makes it")
    folder = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    is_little = free < _LEAST_FREE_BYTES
    fix = "Free some space, or set CLIPSEEK_HOME to a folder on another disk." if is_little else ""
    yield Finding("free disk", WARNING if is_little else OK, f"{size(free)} at {folder}", fix)


def _check_database(settings: Settings) -> Finding:
    place = "PostgreSQL" if settings.store else str(settings.home / "index.db")
    try:
        [totals] = call_module(_REPORT, "check", MAIN, failure=StoreError, environ=settings.to_env())
    except ClipSeekError as error:
        return Finding("store", ERROR, str(error), _FROM_BACKUP)
    if totals["problem"]:
        return Finding("store", ERROR, f"{place}: {totals['problem']}", "" if settings.store else _FROM_BACKUP)
    videos, frames = counted(totals["videos"], "video"), counted(totals["frames"], "frame")
    return Finding("store", OK, f"{place}: {videos}, {frames} of model {totals['model_id'] or 'none yet'}")


def _check_server(settings: Settings, host: str | None) -> Iterator[Finding]:
    from clipseek.client import Client

    try:
        with Client(host, timeout_seconds=10) as client:
            components = client.health()
            address = client.address
    except ServerUnreachable as error:
        fix = "Start one with `clipseek serve`." if is_whole_install() else "Name one with --host or CLIPSEEK_HOST."
        yield Finding("server", WARNING, str(error).split(". ", maxsplit=1)[0], fix)
        if is_whole_install() and not (host or settings.host):
            yield _check_port(settings)
        return
    except ClipSeekError as error:
        yield Finding("server", ERROR, str(error), "Restart it, and read what it prints.")
        return
    down = ", ".join(component.name for component in components if not component.ok)
    if down:
        yield Finding("server", WARNING, f"{address} is degraded: {down} does not answer", "The server restarts it.")
    else:
        yield Finding("server", OK, f"{address} is ready")
    yield from _check_components(components)


def _check_components(components: Sequence[Component]) -> Iterator[Finding]:
    shown: set[str] = set()
    answering = [(component.name, component.facts) for component in components if component.ok]
    yield from (Finding("version", ERROR, misfit) for misfit in find_misfits(answering))
    for component in components:
        facts = ", ".join(f"{name} {value}" for name, value in component.facts.items() if value)
        if not component.ok:
            yield Finding(component.name, ERROR, facts, "\n".join(component.warnings))
            continue
        warnings = [warning for warning in component.warnings if warning not in shown]  # both encoders have one model
        shown.update(warnings)
        yield Finding(component.name, WARNING if warnings else OK, facts, "\n".join(warnings))


def _check_port(settings: Settings) -> Finding:
    if is_port_free(settings.bind, settings.port):
        return Finding("port", OK, f"{settings.port} on {settings.bind} is free")
    fix = "Choose another with CLIPSEEK_PORT, or stop the program that uses it."
    return Finding("port", ERROR, f"{settings.port} on {settings.bind} is used by another program", fix)
