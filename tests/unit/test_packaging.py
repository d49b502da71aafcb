"""The two distributions: what `clipseek-client` needs is what `clipseek` needs of it, and enough to run on."""

import contextlib
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, requires
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from clipseek import __version__
from clipseek.config.distribution import is_installed_twice

ROOT = Path(__file__).parents[2]
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLIENT = tomllib.loads((ROOT / "packaging/client/pyproject.toml").read_text())["project"]
UV = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINNED = {Requirement(line).name for line in LOCK}
# What jina's and docarray's wishes would bring, and nothing imports: see [tool.uv] in pyproject.toml.
LEFT_OUT = {
    *{"docker", "ecdsa", "fastapi", "jcloud", "jina-hubble-sdk", "pyasn1", "python-dotenv", "python-jose"},
    *{"python-multipart", "rsa", "starlette", "types-requests", "types-urllib3", "uvicorn", "uvloop", "websockets"},
}
COMMAND = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None  # this is how Python marks a module that is not there
import clipseek.client
from clipseek.cli.main import main
main()
"""


def needed(requirements: list[str]) -> set[str]:
    """The names of the distributions that these requirements bring."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        with contextlib.suppress(PackageNotFoundError):  # it is for other machines
            for needs in map(Requirement, requires(name) or []):
                extras = ("", *requirement.extras)
                if not needs.marker or any(needs.marker.evaluate({"extra": extra}) for extra in extras):
                    waiting.append(needs)
    return found


def run_light(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in an interpreter where nothing can be imported that the client's install does not bring."""
    here = {canonicalize_name(each.name) for each in distributions(path=[sysconfig.get_path("purelib")])}
    left_out = here - needed(CLIENT["dependencies"]) - {"clipseek"}
    owners = {module: set(map(canonicalize_name, names)) for module, names in packages_distributions().items()}
    hidden = {module for module, names in owners.items() if names <= left_out}
    assert {"torch", "faiss", "cv2", "av", "streamlit", "psutil", "jina", "docarray", "pydantic"} <= hidden
    return subprocess.run(
        [sys.executable, "-c", COMMAND, ",".join(sorted({*hidden, "executors"})), *arguments],
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_client_needs_nothing_that_the_whole_does_not_with_the_same_versions():
    assert set(CLIENT["dependencies"]) < set(WHOLE["dependencies"])
    page = {*WHOLE["dependencies"], *WHOLE["optional-dependencies"]["page"]}
    assert set(CLIENT["optional-dependencies"]["page"]) < page
    assert CLIENT["scripts"] == WHOLE["scripts"]
    versions = [f"3.{minor}" for minor in range(10, 15)]
    assert list(SpecifierSet(WHOLE["requires-python"]).filter(versions)) == ["3.11"]
    assert list(SpecifierSet(CLIENT["requires-python"]).filter(versions)) == versions[1:]
    assert all(f"Programming Language :: Python :: {version}" in CLIENT["classifiers"] for version in versions[1:])


def test_the_client_needs_none_of_the_framework():
    assert not needed(CLIENT["dependencies"]) & {"jina", "docarray", "pydantic", "torch", "opentelemetry-api"}


def test_the_lock_leaves_out_what_nothing_imports_and_names_no_registry():
    excluded = {canonicalize_name(name) for name in UV["exclude-dependencies"]}
    assert not PINNED & {*LEFT_OUT, *excluded}
    assert excluded - LEFT_OUT == {
        "aiofiles",
        "opencv-python",  # opencv-python-headless is the same
        "opentelemetry-exporter-otlp",
        "opentelemetry-exporter-prometheus",
        "opentelemetry-instrumentation-fastapi",
    }
    assert "://" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_lock_has_current_versions_where_jina_asks_for_old_ones():
    pins = {pin.name: pin.specifier for pin in map(Requirement, LOCK)}
    for wish in map(Requirement, UV["override-dependencies"]):
        [pin] = pins[wish.name]
        assert pin.version in wish.specifier, wish
    [protobuf] = pins["protobuf"]
    assert int(protobuf.version.partition(".")[0]) >= 7


def test_the_lock_has_old_versions_of_what_the_documents_call_old():
    pins = {pin.name: pin.specifier for pin in map(Requirement, LOCK)}
    for name, newer in {"jina": "3.35", "setuptools": "81", "pydantic": "2.11", "streamlit": "1.57"}.items():
        [pin] = pins[name]
        assert Version(pin.version) < Version(newer)


def test_no_process_of_the_service_imports_what_the_lock_leaves_out():
    """Here more may be installed than the lock has, so it is hidden."""
    hidden = ["jose", "docker", "fastapi", "starlette", "uvicorn", "uvloop", "websockets", "aiofiles"]
    program = f"""
import sys
sys.modules |= dict.fromkeys({hidden})
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *more: None if name in ("hubble", "jcloud") else find(name, *more)
import warnings
warnings.simplefilter("ignore")
import executors.flow.gateway.gateway, executors.faiss_indexer.executor
import executors.video_loader.executor, executors.clip_encoder.text.executor, executors.clip_encoder.image.executor
import clipseek.service.run, executors.flow.pod
from jina import Client, Flow
from jina.orchestrate.pods.factory import PodFactory
from jina.parsers import get_main_parser
get_main_parser()
assert "standing in" in repr(sys.modules["hubble"])
"""
    environ = {**os.environ, "CLIPSEEK_FLOW_SECRET": "secret"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environ, timeout=120)


def test_no_extra_names_what_the_base_brings():
    base = {canonicalize_name(Requirement(text).name) for text in WHOLE["dependencies"]}
    for extra, texts in WHOLE["optional-dependencies"].items():
        assert not base & {canonicalize_name(Requirement(text).name) for text in texts}, extra


def test_the_images_have_no_packages_of_tests():
    dockerfile = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    extras = {"service": ["openvino", "words"], "page": ["page", "editors"]}
    assert re.findall(r"--extra (\w+)", dockerfile) == extras["service"]
    assert re.findall(r"packaging/client\[(.+)\]", dockerfile) == [",".join(extras["page"])]
    for project, names in ((WHOLE, extras["service"]), (CLIENT, extras["page"])):
        extra = [text for name in names for text in project["optional-dependencies"][name]]
        installed = needed([*project["dependencies"], *extra])
        development = {canonicalize_name(Requirement(text).name) for text in WHOLE["optional-dependencies"]["dev"]}
        assert not installed & development


def test_the_client_runs_on_what_its_install_brings():
    done = run_light("search", "--help")
    assert done.returncode == 0, done.stderr
    assert "Find the moments that fit the description" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("demo",),
        ("store", "copy", "a", "b"),
        ("backup", "copy"),
        ("model", "optimise"),
        ("doctor", "--check"),
    ],
)
def test_what_needs_the_server_says_that_this_install_is_the_client(arguments):
    done = run_light(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"clipseek: `clipseek {arguments[0]}")
    assert "only the client is installed here" in done.stderr


def test_two_installs_in_one_place_are_found(monkeypatch, tmp_path):
    assert not is_installed_twice()
    folder = tmp_path / "clipseek_client-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: clipseek-client\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed_twice()


def test_all_packages_say_that_they_are_typed():
    assert all((ROOT / package / "py.typed").exists() for package in ("clipseek", "executors", "frontend"))


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first and first[1] == __version__


def test_the_wheel_has_the_sample_videos_and_their_licences():
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    folder = ROOT / "executors/video_loader/media/samples"
    assert {str(file.relative_to(ROOT)) for file in folder.iterdir()} <= packed
    assert not PINNED & {"scikit-image", "scikit-video", "imageio"}
