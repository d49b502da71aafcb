"""How a process of a Flow ends: with everything saved, and then at once."""

import multiprocessing
import subprocess
import sys

import pytest

from tests.unit.flow import slow_to_end


@pytest.fixture
def start(tmp_path):
    started = []

    def start_one(**options):
        process = multiprocessing.get_context("spawn").Process(
            target=slow_to_end.close_an_executor, args=(tmp_path,), kwargs=options
        )
        process.start()
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.join()


def test_a_closed_executor_ends_at_once_with_all_its_work_saved(start, tmp_path):
    process = start(fails=False)
    process.join(slow_to_end.SECONDS - 10)
    assert process.exitcode == 0
    assert (tmp_path / "home" / "worked").exists() and (tmp_path / "home" / "saved").exists()


def test_an_executor_that_fails_has_its_exit_code(start):
    process = start(fails=True)
    process.join()
    assert process.exitcode == 7


def test_a_program_that_runs_an_executor_itself_ends_as_usual(tmp_path):
    code = (
        "import atexit, pathlib, sys\n"
        "from tests.unit.flow.slow_to_end import Saving, Settings\n"
        "atexit.register(print, 'ended as usual')\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "Saving(Settings(home=folder, cache=folder), runtime_args={'name': 'saving'}).close()\n"
        "sys.exit(5)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (5, "ended as usual\n"), done.stderr


def test_a_program_of_one_process_flushes_what_it_printed():
    code = "from executors.flow import lifetime; lifetime.exit_without_teardown(); print('last words', end='')"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "last words")
