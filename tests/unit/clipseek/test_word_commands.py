"""`clipseek words`, `transcript`, and what other commands say of words, on a library that is made up."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from clipseek.api.documents import Cue, Job, Query, Transcript, Video
from clipseek.cli.main import main
from clipseek.client import Client, Indexed
from clipseek.client.indexing import Progress

TALK = Video(
    video_id="1a2b" + "0" * 60,
    title="talk.mp4",
    status="ready",
    duration_seconds=60.0,
    words="read",
    cues=12,
    word_languages=["zh", "en"],
    word_sources=["speech", "screen"],
)
OLD = Video(video_id="3c4d" + "0" * 60, title="old.mp4", status="ready", duration_seconds=60.0, words="reading")
OFF = Video(video_id="5e6f" + "0" * 60, title="off.mp4", status="ready", duration_seconds=60.0, no_words=True)
SIGN = Video(video_id="7a8b" + "0" * 60, title="sign.mp4", words="read", cues=1, word_sources=["screen"])
SILENT = Video(video_id="9c0d" + "0" * 60, title="silent.mp4", words="read")
CUES = [
    Cue(cue_id=1, start_seconds=0.0, end_seconds=1.5, text="Hello\x1b[2J.", source="speech", language="en"),
    Cue(cue_id=2, start_seconds=2.0, end_seconds=3.0, text="望远镜", source="subtitle", language="zh"),
    Cue(cue_id=3, start_seconds=4.0, end_seconds=5.0, text="EXIT", source="screen"),
]


@pytest.fixture
def library(monkeypatch, tmp_path):
    calls = []
    videos = [TALK, OLD, OFF, SIGN, SILENT]

    def read_words(_, name, *, wait=True, progress=lambda _: None, **options):
        calls.append((name[:4], options, wait))
        if not wait:
            return Job(job_id="3f1c", kind="words", video_id=name, state="waiting")
        progress(Progress("words", 1.0, 2.0))
        [video] = [video for video in videos if video.video_id == name]
        notes = ["The sound cannot be decoded from 80 s on."] if video is OLD else []
        return replace(video, words="read", word_notes=notes)

    def transcript(_, name):
        return Transcript(video_id=TALK.video_id, title=name, cues=list(CUES), complete=name == "talk.mp4")

    monkeypatch.setattr(Client, "videos", lambda _: list(videos))
    monkeypatch.setattr(Client, "video", lambda _, name: next(video for video in videos if video.title == name))
    monkeypatch.setattr(Client, "read_words", read_words)
    monkeypatch.setattr(Client, "transcript", transcript)
    monkeypatch.chdir(tmp_path)
    return calls


def run(*arguments: str):
    return CliRunner().invoke(main, arguments, env={"COLUMNS": "160"})


def test_words_are_read_and_summed_up(library):
    said = run("words", "talk.mp4", "old.mp4", "--again", "--language", "zh")
    assert said.exit_code == 0 and said.stderr.splitlines() == [
        "talk.mp4 (1a2b00000000): 12 lines heard and written (zh, en).",
        "old.mp4 (3c4d00000000): no words.",
        "  The sound cannot be decoded from 80 s on.",
    ]
    assert library == [(name, {"again": True, "language": "zh"}, True) for name in ("1a2b", "3c4d")]


def test_lines_whose_source_nobody_tells_are_counted(library, monkeypatch):
    monkeypatch.setattr(Client, "read_words", lambda *_, **__: replace(TALK, word_sources=[]))
    assert run("words", "talk.mp4").stderr == "talk.mp4 (1a2b00000000): 12 lines (zh, en).\n"


def test_the_words_of_all_videos_that_lack_some(library):
    said = run("words", "--all", "--detach")
    assert said.stderr.splitlines() == ["old.mp4 (3c4d00000000): job 3f1c."]  # and none that was added without
    assert [(name, wait) for name, _, wait in library] == [("3c4d", False)]


def test_words_as_data(library):
    [row] = json.loads(run("words", "old.mp4", "--json").stdout)
    assert (row["video_id"], row["words"], row["word_languages"]) == (OLD.video_id, "read", [])
    assert row["word_notes"] == ["The sound cannot be decoded from 80 s on."]
    [row] = json.loads(run("words", "old.mp4", "--json", "--detach").stdout)
    assert row == {"video_id": OLD.video_id, "title": "old.mp4", "job_id": "3f1c", "state": "waiting"}


@pytest.mark.parametrize("arguments", [(), ("--all", "talk.mp4")])
def test_words_need_videos_or_all(library, arguments):
    said = run("words", *arguments)
    assert said.exit_code == 2 and "Name the videos to read, or add --all." in said.stderr and library == []


def test_a_transcript_is_printed_to_read(library):
    said = run("transcript", "talk.mp4")
    assert said.stdout == "00:00.0  Hello [2J.\n00:02.0  望远镜\n00:04.0  [written] EXIT\n" and said.stderr == ""


def test_subtitles_have_what_is_heard_by_default(library):
    assert "EXIT" not in run("transcript", "talk.mp4", "--format", "srt").stdout
    assert "EXIT" in run("transcript", "talk.mp4", "--format", "vtt", "--in", "written").stdout
    assert run("transcript", "talk.mp4", "--format", "txt", "--language", "zh").stdout == "00:02.0  望远镜\n"


@pytest.mark.parametrize(
    ("name", "begins"), [("a.srt", "1\n00:"), ("a.VTT", "WEBVTT"), ("a.json", "{"), ("a.md", "00:")]
)
def test_a_file_is_written_in_the_format_of_its_name(library, tmp_path, name, begins):
    said = run("transcript", "talk.mp4", "-o", name)
    assert said.exit_code == 0 and said.stdout == ""
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_a_transcript_that_cannot_be_written_or_is_none(library, tmp_path):
    said = run("transcript", "talk.mp4", "-o", "none/a.srt")
    assert said.exit_code == 2 and "'none/a.srt' cannot be written (No such file or directory)." in said.stderr
    said = run("transcript", "talk.mp4", "--in", "seen")
    assert said.exit_code == 2 and "--in must be heard or written, not seen." in said.stderr
    said = run("transcript", "talk.mp4", "--language", "fr")
    assert said.exit_code == 0 and "There are no such words" in said.stderr


def test_a_transcript_says_that_it_is_not_complete(library):
    said = run("transcript", "old.mp4", "--format", "json")
    assert "Not all of this video is read yet." in said.stderr and json.loads(said.stdout)["complete"] is False


def test_videos_show_their_words(library):
    lines = [line.split() for line in run("videos").stdout.splitlines()]
    assert lines[0][-1] == "Words"
    assert [line[-2:] for line in lines[1:]] == [
        ["zh,", "en"],
        ["ready", "reading"],
        ["0", "ready"],
        ["on", "screen"],
        ["0", "none"],
    ]
    data = json.loads(run("videos", "--json").stdout)[0]
    assert (data["words"], data["cues"], data["word_languages"]) == ("read", 12, ["zh", "en"])


def test_a_job_for_words_is_called_so(library, monkeypatch):
    job = Job(job_id="3f1c", kind="words", title="talk.mp4", state="running", done_seconds=1.0, total_seconds=2.0)
    monkeypatch.setattr(Client, "jobs", lambda _: [job])
    assert "words of talk.mp4" in run("jobs").stdout
    monkeypatch.setattr(Client, "cancel_job", lambda _, __: job)
    assert "words of talk.mp4: running 50 %" in run("jobs", "cancel", "3f1c").stderr


@pytest.mark.parametrize(
    ("arguments", "look_in"),
    [((), ()), (("--in", "heard,written"), ("heard,written",)), (("--in", "heard", "--in", "seen"), ("heard", "seen"))],
)
def test_a_search_says_where_to_look(monkeypatch, arguments, look_in):
    asked = []
    monkeypatch.setattr(Client, "search", lambda _, **options: asked.append(options) or Query(videos_searched=1))
    assert run("search", "a dog", *arguments).exit_code == 0
    assert asked[0]["look_in"] == look_in


@pytest.mark.parametrize("command", ["search", "timeline"])
def test_a_place_to_look_in_that_there_is_not_is_named_as_typed(monkeypatch, command):
    monkeypatch.setattr(Client, "video", lambda _, name: TALK)
    said = run(command, *(["talk.mp4"] if command == "timeline" else []), "a dog", "--in", "said")
    assert said.exit_code == 2 and "--in must be any of seen, heard, written, not 'said'." in said.stderr


def test_videos_are_indexed_without_words_or_in_a_language(monkeypatch, tmp_path):
    asked = []

    def index(_, path, *, title, progress, wait=True, **options):
        asked.append((options["words"], options["language"]))
        return Indexed(OLD if options["words"] else OFF, 1, 1, 1.0)

    monkeypatch.setattr(Client, "index", index)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.mp4").write_bytes(b"video")
    with_words = run("index", "old.mp4", "--language", "zh")
    without = run("index", "old.mp4", "--no-words")
    assert asked == [(True, "zh"), (False, "")]
    assert "read in the background: `clipseek jobs`" in with_words.stderr and "background" not in without.stderr
