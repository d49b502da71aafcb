"""`make docker-check`: checks images, Compose files and manifests without a container engine.

First it runs their tests (schemas, linter, manifests against flow.yml; kubectl builds these). Then it replays the
Dockerfile's own install steps: it looks up the service's packages for both kinds of processors, installs the page into
an empty environment and starts it there as its image does.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from clipseek.machine.ports import free_port

ROOT = Path(__file__).parents[1]
PLATFORMS = ("x86_64-manylinux_2_36", "aarch64-manylinux_2_36")  # of Debian 12, whose C library is 2.36
START_SECONDS = 120.0


def main() -> None:
    run("tests", [sys.executable, "-m", "pytest", "--quiet", "tests/unit/test_containers.py"])
    if not shutil.which("kubectl"):
        say("manifests for Kubernetes: their tests need kubectl", "--")
    with tempfile.TemporaryDirectory(prefix="clipseek-docker-") as name:
        folder = Path(name)
        uv = install_uv(folder)
        for platform in PLATFORMS:
            # The CPU builds of torch come from another index, so this looks up the others.
            look_up(folder, uv, "build-service", platform, {"ACCELERATOR": "cuda", "EXTRA_PACKAGES": ""})
            look_up(folder, uv, "build-page", platform, {})
        start_page(folder, uv)
    if shutil.which("apt-get"):
        [packages] = re.findall(r"apt-get install (?:--\S+ )*(\S+)", replayed("base"))
        run(f"Debian's {packages}", ["apt-get", "install", "--dry-run", "--quiet", packages])


def look_up(folder: Path, uv: Path, stage: str, platform: str, arguments: Mapping[str, str]) -> None:
    """Look up the packages that a stage installs, for a platform."""
    options = f"--dry-run --python-version 3.11 --python-platform {platform} --target {folder / 'target'}"
    install = install_step(stage).replace("uv pip install", f"{uv} pip install {options}")
    run(f"packages of {stage} for {platform}", ["sh", "-euc", install], arguments)


def start_page(folder: Path, uv: Path) -> None:
    """Install the page as its image does, and start it."""
    place = folder / "page"
    run("an empty environment", [uv, "venv", "--quiet", "--python", sys.executable, place])
    within = {"VIRTUAL_ENV": str(place), "PATH": f"{uv.parent}:{os.environ['PATH']}"}
    run("the page's install", ["sh", "-euc", install_step("build-page")], within)
    has = "from importlib.util import find_spec; print([n for n in ('torch', 'faiss', 'cv2', 'av') if find_spec(n)])"
    assert run("packages it must not have", [place / "bin/python", "-c", has]) == "[]\n", (
        "the page has a package it must not"
    )
    port = free_port("127.0.0.1")
    process = subprocess.Popen(
        [place / "bin/python", "-m", "frontend", "--address", "127.0.0.1", "--port", str(port)],
        cwd=folder,  # not the checkout: it would be imported in place of the installed package
        env=os.environ | {"CLIPSEEK_HOME": str(folder / "home"), "HOME": str(folder), "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
    )
    try:
        wait_for(process, f"http://127.0.0.1:{port}/_stcore/health")
    finally:
        process.terminate()
        process.wait()
    say("the page starts", "ok")


def wait_for(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"the page does not answer at {address} (exit code {process.poll()})")


def install_uv(folder: Path) -> Path:
    """Install the Dockerfile's uv into an environment of its own."""
    [uv] = re.findall(r"uv==\S+", replayed("build"))
    run("an environment for uv", [sys.executable, "-m", "venv", folder / "uv"])
    run(uv, [folder / "uv/bin/pip", "install", "--quiet", "--disable-pip-version-check", uv])
    return folder / "uv/bin/uv"


def install_step(stage: str) -> str:
    """The one command of a stage that installs pinned packages."""
    [step] = [step for step in replayed(stage).splitlines() if "--constraints" in step]
    return step


def replayed(stage: str) -> str:
    """The commands of a stage of the Dockerfile, one a line."""
    whole = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    [steps] = re.findall(rf"(?ms)^FROM \S+ AS {stage}$(.*?)(?=^FROM |\Z)", whole)
    return "\n".join(re.findall(r"(?m)^RUN (.*)$", steps))


def run(what: str, command: list[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the checkout. If it fails, print its output and exit."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{what}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    say(what, "ok")
    return done.stdout


def say(what: str, found: str) -> None:
    print(f"{found}  {what}", flush=True)


if __name__ == "__main__":
    main()
