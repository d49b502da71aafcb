"""What is started imports nothing from the folder where the command is given, and what becomes of its answers."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from clipseek.api.errors import StoreError
from clipseek.cli.main import main
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.machine.ports import free_port
from clipseek.service.page import Page
from executors.faiss_indexer.store.store import Store

NAMES = ("random.py", "selectors.py", "executors/__init__.py", "frontend/__init__.py", "torch/__init__.py")


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A working folder with modules named as some that are needed; `was_run` is there if one of them was imported."""
    folder = tmp_path / "videos from elsewhere"
    for name in NAMES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(folder / 'was_run')!r}, 'a').write({name!r})\nraise SystemExit(9)\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def settings(tmp_path, monkeypatch):
    made = Settings(tmp_path / "home", tmp_path / "cache", page_port=free_port("127.0.0.1"))
    for name, value in made.to_env().items():
        monkeypatch.setenv(name, value)
    return made


def test_copying_a_store_runs_nothing_of_the_working_folder(trap, settings):
    Store(settings.home).close()
    done = CliRunner().invoke(main, ["store", "copy", str(settings.home), str(trap / "copy"), "--json"])
    assert (done.exit_code, json.loads(done.stdout)[0]["videos"]) == (0, 0), done.stderr
    assert not (trap / "was_run").exists()


def test_doctor_runs_nothing_of_the_working_folder(trap, settings):
    (settings.home / "media").mkdir(parents=True)
    done = CliRunner().invoke(main, ["doctor", "--check", "--json"])
    assert "videos" in done.stdout, done.stderr
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert "CUDA" in done.stdout, done.stderr
    assert not (trap / "was_run").exists()


def test_the_page_runs_nothing_of_the_working_folder(trap, settings):
    pytest.importorskip("streamlit", reason="Streamlit is not installed")
    with Page(settings, f"grpc://127.0.0.1:{free_port('127.0.0.1')}") as page:
        page.start()
    assert not (trap / "was_run").exists()


def test_the_processes_of_the_service_run_nothing_of_the_working_folder(trap, tmp_path):
    """As `clipseek serve` begins its processes; as with that, the program lies in another folder."""
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from clipseek.service.run import _export\n"
        "from clipseek.config.settings import Settings\n"
        "_export(Settings.from_env({}))\n"
        "child = multiprocessing.Process(target=print, args=('began',))\n"
        "child.start(), child.join(), sys.exit(child.exitcode)\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run([sys.executable, program], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "began\n"), done.stderr
    assert not (trap / "was_run").exists()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            "import os, sys; sys.stdout.write('[1]'); sys.stdout.flush(); os._exit(139)",
            "exit code 139",
        ),
        ("import os, sys; sys.stdout.write('{}'); sys.stdout.flush(); sys.exit('it broke off')", "it broke off"),
        ("import sys; sys.exit('no\\nlike')", "like"),
        ("""import sys; print('{"error": "StoreError", "message": "the disk"}'); sys.exit(1)""", "the disk"),
        ("""import sys; print('{"error": "KeyError", "message": "foreign"}'); sys.exit(1)""", "foreign"),
    ],
)
def test_a_process_that_fails_is_an_error_of_ours_whatever_it_answered(source, error, tmp_path):
    (tmp_path / "failing_module.py").write_text(source)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with pytest.raises(StoreError) as raised:
        call_module("failing_module", failure=StoreError, environ={"PYTHONPATH": path})
    assert str(raised.value) == error


def test_an_answer_may_be_anything(tmp_path):
    (tmp_path / "answering_module.py").write_text("""print('{"error": "none"}')""")
    environ = {"PYTHONPATH": str(tmp_path)}
    assert call_module("answering_module", failure=StoreError, environ=environ) == {"error": "none"}
