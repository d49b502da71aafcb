"""The command line without a server: help, exit codes, files that are found, numbers as people write them."""

import json

import pytest
from click.testing import CliRunner

from clipseek.api.errors import NoVideosFound
from clipseek.api.formats import counted, duration, size, timestamp
from clipseek.cli.main import main
from clipseek.cli.query_options import Time
from clipseek.machine.ports import free_port
from clipseek.watch.video_files import videos_below

COMMANDS = ("serve", "demo", "index", "search", "timeline", "clip", "videos", "delete", "calibrate", "doctor", "eval")


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage: main " + command in result.output.replace("clipseek", "main")
    assert command in run("--help").output


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("videos",), 1, "clipseek serve"),
        (("search", "a cat"), 1, "No ClipSeek server answers"),
        (("search",), 2, "The query is empty"),
        (("search", "--not", "rain"), 2, "only says what to avoid"),
        (("search", "a cat", "--like", "holiday.mp4"), 2, "'holiday.mp4' is not a moment of a video"),
        (("search", "--image", "/nowhere/cat.jpg"), 1, "no image '/nowhere/cat.jpg'"),
        (("search", "a cat", "--from", "soon"), 2, "'soon' is not a time"),
        (("calibrate",), 1, "No ClipSeek server answers"),
        (("calibrate", "--answered", "1"), 2, "is not in the range 0<x<1"),
        (("timeline",), 2, "Missing argument 'VIDEO_ID'"),
        (("clip", "x", "one", "2", "-o", "x.mp4"), 2, "'one' is not a time"),
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
    assert checks["store"]["found"].endswith("made at the first start")
    assert {checks[name]["state"] for name in ("Python", "jina", "torch", "faiss-cpu", "port")} == {"ok"}


def test_a_store_that_is_not_there_does_not_count_as_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path / "nothing"))
    for option in ("--check", "--repair"):
        result = run("doctor", option, "--json")
        assert result.exit_code == 1
        assert [check["fix"] for check in json.loads(result.stdout)] == ["Set CLIPSEEK_HOME to the server's."]
    assert not (tmp_path / "nothing").exists()


def test_times_lengths_and_sizes_as_people_write_them():
    assert [timestamp(s) for s in (0, 9.96, 75.25, 3599.96)] == ["00:00.0", "00:10.0", "01:15.2", "1:00:00.0"]
    assert (duration(3.14), duration(90)) == ("3.1 s", "1.5 min")
    assert [counted(n, "video") for n in (0, 1, "1", "?")] == ["0 videos", "1 video", "1 video", "? videos"]
    assert [size(n) for n in (12, 1500, 23_400_000, 5e12)] == ["12 B", "1.5 kB", "23 MB", "5000 GB"]
