"""`make release`: build the sdist and both wheels from the last commit, then install and use them.

The sdist is built from an export of HEAD, the wheels from the unpacked sdist, so a file missing there is missing in
them. What passes lands in dist/. With FULL=1 the server's wheel is installed with all its packages (7 GB) from the
registry, else with those of the current environment.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from clipseek.machine.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
SERVER_PACKAGES, CLIENT_PACKAGES = ("clipseek", "executors", "frontend"), ("clipseek", "frontend")
CHECKER = "twine>=6.1"  # knows the registries' rules for metadata and README
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
TOP_SECTION = re.compile(r"^## \[(.+?)\] - (\d{4}-\d\d-\d\d|unreleased)$", re.MULTILINE)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="clipseek-release-") as name:
        work = Path(name)
        step("export HEAD")
        source = export(work / "source")
        version = checked_version(source)
        step(f"build {version}")
        sdist, server, client = build(source, work)
        step("compare their contents with the commit")
        check_contents(server, source, SERVER_PACKAGES)
        check_contents(client, source, CLIENT_PACKAGES)
        for each in (sdist, server, client):
            check_traces(each, work)
        step("check metadata and README")
        tools = environment(work / "tools")
        run(tools / "pip", "install", "--quiet", CHECKER, cwd=work)
        run(tools / "twine", "check", "--strict", sdist, server, client, cwd=work)
        step("use the client in an empty environment")
        try_client(client, version, work / "client")
        step("serve and search from the server's wheel")
        try_server(server, work / "server")
        (ROOT / "dist").mkdir(exist_ok=True)
        for each in (sdist, server, client):
            shutil.copy2(each, ROOT / "dist")
    print(f"{version} is in {ROOT / 'dist'}")


def export(folder: Path) -> Path:
    """Write the files of HEAD to a folder, without anything else from the checkout."""
    if run("git", "status", "--porcelain", cwd=ROOT):
        say("uncommitted changes are left out")
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    run("git", "archive", f"--output={archive}", "HEAD", cwd=ROOT)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder


def checked_version(source: Path) -> str:
    """Return the version. It must be that of the changelog's top section, and a public one."""
    found = VERSION.search((source / "clipseek/__init__.py").read_text(encoding="utf-8"))
    section = TOP_SECTION.search((source / "CHANGELOG.md").read_text(encoding="utf-8"))
    if not found or not section or found[1] != section[1]:
        raise fail(f"clipseek has version {found and found[1]}, but CHANGELOG.md starts with {section and section[1]}")
    if "+" in found[1]:
        raise fail(f"{found[1]} is a local version; remove what follows the +")
    if section[2] == "unreleased":
        say(f"a rehearsal: CHANGELOG.md has no date for {found[1]} yet")
    return found[1]


def build(source: Path, work: Path) -> tuple[Path, Path, Path]:
    """Build the sdist, the server's wheel and the client's."""
    builder, out = Path(sysconfig.get_path("scripts")) / "hatchling", work / "built"
    run(builder, "build", "--target", "sdist", "--directory", out, cwd=source)
    [sdist] = out.glob("*.tar.gz")
    with tarfile.open(sdist) as files:
        files.extractall(work, filter="data")
    unpacked = work / sdist.name.removesuffix(".tar.gz")
    for folder in (unpacked, unpacked / "packaging/client"):
        run(builder, "build", "--target", "wheel", "--directory", out, cwd=folder)
    [server], [client] = out.glob("clipseek-*.whl"), out.glob("clipseek_client-*.whl")
    return sdist, server, client


def check_contents(wheel: Path, source: Path, packages: tuple[str, ...]) -> None:
    """Check that a wheel holds its packages as committed, and nothing else."""
    expected = {
        str(f.relative_to(source)): f for package in packages for f in (source / package).rglob("*") if f.is_file()
    }
    if "executors" in packages:
        expected["clipseek/flow.yml"] = source / "flow.yml"
    with zipfile.ZipFile(wheel) as files:
        names = {name for name in files.namelist() if ".dist-info/" not in name}
        if wrong := names ^ set(expected):
            raise fail(f"{wheel.name} has missing or extra files: {', '.join(sorted(wrong))}")
        if changed := [name for name in names if files.read(name) != expected[name].read_bytes()]:
            raise fail(f"{wheel.name} differs from the commit in: {', '.join(sorted(changed))}")


def check_traces(archive: Path, work: Path) -> None:
    """Check that an archive holds no paths of this machine and no requirements by address."""
    traces = [f"{folder}/".encode() for folder in (ROOT, work, Path.home(), sys.prefix)]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        shutil.unpack_archive(archive, folder, format="gztar" if archive.suffix == ".gz" else "zip")
        for file in Path(folder).rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            if found := [trace.decode() for trace in traces if trace in content]:
                raise fail(f"{archive.name}: {file.name} contains the path {found[0]}")
            if file.name in ("METADATA", "PKG-INFO") and b" @ " in content.partition(b"\n\n")[0]:
                raise fail(f"{archive.name} requires a package by its address; use a name and a version")


def try_client(wheel: Path, version: str, folder: Path) -> None:
    """Install the client and run its first commands."""
    tools = environment(folder)
    run(tools / "pip", "install", "--quiet", wheel, cwd=folder)
    if "torch" in run(tools / "pip", "list", cwd=folder):
        raise fail("the client installs torch")
    if version not in run(tools / "clipseek", "--version", cwd=folder):
        raise fail(f"`clipseek --version` of the client does not print {version}")
    run(tools / "clipseek", "search", "--help", cwd=folder)
    say(run(tools / "clipseek", "doctor", cwd=folder))
    run(tools / "python", "-c", "import clipseek; clipseek.Client('grpc://127.0.0.1:1')", cwd=folder)


def try_server(wheel: Path, folder: Path) -> None:
    """Run the demo away from the sources: it serves, indexes, searches, cuts clips and stops."""
    tools = environment(folder)
    if os.environ.get("FULL"):
        run(
            tools / "pip",
            "install",
            "--quiet",
            wheel,
            "--constraint",
            ROOT / "requirements.lock",
            cwd=folder,
        )
    else:
        run(tools / "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder)
        [packages] = folder.glob("lib/python*/site-packages")
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    where = run(tools / "python", "-c", "import clipseek; print(clipseek.__file__)", cwd=folder)
    if not where.startswith(str(folder)):
        raise fail(f"the test would import {where} instead of the wheel")
    run(tools / "clipseek", "demo", "--exit", cwd=folder)


def environment(folder: Path) -> Path:
    """Make an empty virtual environment. Returns: the folder of its programs."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program without this checkout and the user's store; it must succeed. Returns: what it prints."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CLIPSEEK_", "PYTHONPATH", "VIRTUAL_ENV"))}
    port = str(free_port("127.0.0.1"))
    own = {"CLIPSEEK_HOME": f"{cwd}/store", "CLIPSEEK_CACHE": f"{cwd}/cache", "CLIPSEEK_PORT": port}
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "COLUMNS": "120"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | own | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise fail(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def step(what: str) -> None:
    print(f"release: {what}", flush=True)


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def fail(why: str) -> SystemExit:
    return SystemExit(f"release: {why}")


if __name__ == "__main__":
    main()
