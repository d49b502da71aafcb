"""The command line without a server: help, exit codes, files that are found, numbers as people write them."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from clipseek.api.errors import NoVideosFound
from clipseek.api.formats import clock, counted, duration, parse_time, size, timestamp
from clipseek.cli.commands import export
from clipseek.cli.commands.eval import FORMATS
from clipseek.cli.main import main
from clipseek.cli.options import Time
from clipseek.evaluation import ground_truth
from clipseek.exports.formats import EXPORT_FORMATS
from clipseek.machine.ports import free_port
from clipseek.watch.folder_scan import videos_below


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", main.commands)
def test_every_command_explains_itself(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage: main " + command in result.output.replace("clipseek", "main")
    assert f"\n  {command}  " in run("--help").output.replace(command.ljust(12), f"{command}  ")
    if command not in ("token", "model", "store"):  # groups: their commands have examples
        assert f"\n    clipseek {command}" in result.output


def test_the_help_of_all_commands_fits_on_a_line_each():
    assert "..." not in run("--help").output.partition("Search:\n")[2]


def test_help_imports_nothing_that_takes_long():
    program = (
        "import sys, clipseek.cli.main; print({'jina', 'docarray', 'numpy', 'rich', 'filelock'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_the_formats_of_eval_are_those_that_can_be_read():
    assert ("auto", *ground_truth.FORMATS) == FORMATS


def test_the_formats_of_export_are_those_that_can_be_written():
    assert tuple(EXPORT_FORMATS) == export.FORMATS


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("videos",), 1, "clipseek serve"),
        (("search", "a cat"), 1, "No ClipSeek server answers"),
        (("search",), 2, "The query is empty"),
        (("search", "--not", "rain"), 2, "only says what to avoid"),
        (("search", "a cat", "--like", "holiday.mp4"), 2, "'holiday.mp4' is not a frame of a video"),
        (("search", "--image", "/nowhere/cat.jpg"), 1, "The image '/nowhere/cat.jpg' cannot be read"),
        (("search", "a cat", "--from", "soon"), 2, "'soon' is not a time"),
        (("calibrate",), 1, "No ClipSeek server answers"),
        (("calibrate", "--answered", "1"), 2, "is not in the range 0<x<1"),
        (("timeline",), 2, "Missing argument 'VIDEO'"),
        (("clip", "x", "one", "2", "-o", "x.mp4"), 2, "'one' is not a time"),
        (("clip", "x", "3", "2"), 2, "END (00:02.0) must be later than START (00:03.0)."),
        (("clip", "x", "-1", "2"), 2, "START must be 0 or later, not -1."),
        (("search", "red", "car"), 2, 'Put the description in quotes: clipseek search "red car"'),
        (("timeline", "x", "red", "car"), 2, 'Put the description in quotes: clipseek timeline "red car"'),
        (("search", "a cat", "--min-score", "5"), 2, "clipseek: --min-score must be from 0 to 1, not 5."),
        (
            ("search", "a cat", "--from", "20", "--to", "00:10"),
            2,
            "clipseek: --to must be later than --from: 10 s is not later than 20 s.",
        ),
        (("search", "a cat", "-k", "0"), 2, "clipseek: --top-k must be from 1 to 1000, not 0."),
        (("search", "a cat", "-k", "1000", "--page", "12"), 2, "--page 12 would skip 11000 matches"),
        (
            ("search", "a cat", "--min-length", "3", "--max-length", "1"),
            2,
            "clipseek: --max-length must not be below --min-length: 1 s is below 3 s.",
        ),
        (("open", "red", "car"), 2, "Give a description in quotes, or VIDEO START END"),
        (("open", "big", "red", "car"), 2, "'red' is not a time."),
        (("serve", "--port", "0"), 2, "0 is not in the range"),
        (("search", "a cat", "--host", "http://x"), 2, "is not a server address"),
    ],
)
def test_failures_say_what_to_do_and_end_with_their_code(monkeypatch, arguments, code, told):
    monkeypatch.setenv("CLIPSEEK_HOST", f"grpc://127.0.0.1:{free_port('127.0.0.1')}")
    result = run(*arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stdout == ""


def test_times_are_seconds_or_as_the_tables_print_them():
    read = Time().convert
    assert [read(text, None, None) for text in ("75.2", "01:15.2", "1:00:03", "-1")] == [75.2, 75.2, 3603.0, -1.0]


def test_a_path_that_fails_does_not_keep_the_others_from_being_tried(monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.mp4").touch()
    monkeypatch.setenv("CLIPSEEK_HOST", f"grpc://127.0.0.1:{free_port('127.0.0.1')}")
    result = run("index", str(tmp_path / "empty"), str(tmp_path / "empty.mp4"), "--json")
    assert result.exit_code == 1
    assert [(r["title"], r["status"]) for r in json.loads(result.stdout)] == [
        ("empty", "failed"),
        ("empty.mp4", "failed"),
    ]


def test_videos_below_a_folder(tmp_path):
    for name in ("b.MP4", "a.mkv", "notes.txt", "sub/c.webm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [video.name for video in videos_below(tmp_path)] == ["a.mkv", "b.MP4", "c.webm"]
    assert [video.name for video in videos_below(tmp_path / "notes.txt")] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoVideosFound, match="no videos in or below the folder"):
        list(videos_below(tmp_path / "empty"))


def test_doctor_finds_the_installation_whole_and_no_server(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    monkeypatch.setenv("CLIPSEEK_PORT", str(free_port("127.0.0.1")))
    result = run("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert checks["server"]["state"] == "warning" and "clipseek serve" in checks["server"]["fix"]
    assert checks["store"]["found"].endswith("the first start makes it")
    assert {checks[name]["state"] for name in ("Python", "jina", "torch", "faiss-cpu", "port")} == {"ok"}


def test_doctor_names_a_setting_that_is_set_under_its_earlier_name(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    monkeypatch.setenv("CLIPSEEK_PORT", str(free_port("127.0.0.1")))
    monkeypatch.setenv("CLIPSEEK_MAX_FILM_GB", "3")
    result = run("doctor", "--json")
    [row] = [check for check in json.loads(result.stdout) if check["what"] == "setting"]
    assert result.exit_code == 0
    assert row["state"] == "warning" and "is now called CLIPSEEK_MAX_VIDEO_GB" in row["found"]


def test_a_store_that_is_not_there_does_not_count_as_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path / "nothing"))
    for option in ("--check", "--repair"):
        result = run("doctor", option, "--json")
        assert result.exit_code == 1
        assert [check["fix"] for check in json.loads(result.stdout)] == ["Set CLIPSEEK_HOME to the server's."]
    assert not (tmp_path / "nothing").exists()


def test_times_lengths_and_sizes_as_people_write_them():
    assert [clock(s) for s in (0, 59.6, 192, 3603.4)] == ["0:00", "1:00", "3:12", "1:00:03"]
    assert all(abs(parse_time(timestamp(s)) - s) <= 0.05 + 1e-9 for s in (0.04, 9.96, 75.25, 3599.96, 7261.449))
    assert [timestamp(s) for s in (0, 9.96, 75.25, 3599.96)] == ["00:00.0", "00:10.0", "01:15.2", "1:00:00.0"]
    assert (duration(3.14), duration(90)) == ("3.1 s", "1.5 min")
    assert [counted(n, "video") for n in (0, 1, "1", "?")] == ["0 videos", "1 video", "1 video", "? videos"]
    assert [size(n) for n in (12, 1500, 23_400_000, 5e12)] == ["12 B", "1.5 kB", "23 MB", "5000 GB"]
