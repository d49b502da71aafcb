"""Commands on a library that is made up: what they ask, write, print and refuse."""

import json
import os
import time
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner

from clipseek.api.documents import Calibration, Job, Match, Query, Video
from clipseek.api.errors import InvalidRequest, VideoNotFound
from clipseek.cli.commands import clip as clip_command
from clipseek.cli.commands import jobs as jobs_command
from clipseek.cli.commands import library as library_command
from clipseek.cli.commands import token as token_command
from clipseek.cli.main import main
from clipseek.client import Client, Indexed, SavedClip
from clipseek.config.access import AccessFile

HOLIDAY = Video(
    video_id="1a2b" + "0" * 60,
    title="holiday: 'lake'.mp4",
    duration_seconds=192.4,
    frames=192,
    size_bytes=5_000_000,
    status="ready",
)
SNOW = Video(
    video_id="3c4d" + "0" * 60, title="snow\x1b[2J\u202e.mp4", duration_seconds=8, frames=1, size_bytes=1_000_000
)


@pytest.fixture
def library(monkeypatch, tmp_path):
    """One video, in the working folder `tmp_path`; `calls` has what the commands did."""
    calls = []

    def video(_, name):
        for known in (HOLIDAY, SNOW):
            if name in (known.title, known.video_id, known.video_id[:4]):
                return known
        raise VideoNotFound(f"There is no video '{name}'.")

    def clip(_, name, start, end, output, *, mode="exact", extras=True):
        target = Path(output).with_suffix(".mkv") if mode == "copy" else Path(output)
        target.write_bytes(b"clip")
        calls.append(("clip", start, end, mode, extras) if not extras else ("clip", start, end, mode))
        return SavedClip(target, start, end, 4)

    def search(_, text="", **options):
        calls.append(("search", text, options))
        offset, wanted = options.get("offset", 0), {text, *(part.text for part in options.get("parts", ()))}
        if "nothing" in wanted:
            return Query(answered=True, nothing_matches=True, videos_searched=1, withheld=2, cut_off=0.5)
        if text == "nearly":
            near = Match(
                video_id=HOLIDAY.video_id, title=HOLIDAY.title, start_seconds=1.0, end_seconds=2.5, score=0.412
            )
            weaker = [] if offset else [near]  # as the server: only on the first page
            return Query(
                answered=True,
                nothing_matches=True,
                videos_searched=1,
                withheld=2,
                warnings=["Odd word."],
                weaker_matches=list(weaker),
            )
        matches = [Match(video_id=HOLIDAY.video_id, start_seconds=75.24, end_seconds=78.0)][offset:]
        return Query(answered=True, videos_searched=1, matches=matches)

    def index(_, path, *, title, progress, wait=True, **options):
        calls.append(("index", path, title, options))
        if not wait:
            return Job(
                job_id="3f1c",
                video_id=HOLIDAY.video_id,
                title=path,
                state="done" if "known" in path else "waiting",
                notes=["The file has 2 video tracks."] if "two" in path else [],
            )
        notes = ("The file has 2 video tracks.",) if "two" in path else ()
        return Indexed(HOLIDAY, 0 if "known" in path or title else 192, 100, 20.0, notes)

    monkeypatch.setattr(Client, "video", video)
    monkeypatch.setattr(Client, "clip", clip)
    monkeypatch.setattr(Client, "server_path", lambda _, name: "/srv/snow.mov" if name == SNOW.video_id else "")
    monkeypatch.setattr(Client, "search", search)
    monkeypatch.setattr(Client, "index", index)
    monkeypatch.setattr(Client, "delete", lambda _, name: calls.append(("delete", name)))
    monkeypatch.setattr(Client, "rename", lambda _, name, title: Video(video_id=name, title=title.strip()))
    monkeypatch.setenv("CLIPSEEK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return calls


def run(*arguments: str, answer: str | None = None):
    return CliRunner().invoke(main, arguments, input=answer, env={"COLUMNS": "160"})


@pytest.fixture
def terminal(monkeypatch):
    """Somebody is there to answer questions."""
    for command in (clip_command, library_command, token_command):
        monkeypatch.setattr(command, "is_interactive", lambda: True)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_clip_without_a_name_gets_a_safe_and_free_one(library, tmp_path):
    for _ in range(3):
        result = run("clip", "1a2b", "01:15.2", "78")
        assert result.exit_code == 0 and result.stdout == ""
    names = [f"holiday_ 'lake' 75.2-78.0{number}.mp4" for number in ("", " (2)", " (3)")]
    assert files(tmp_path) == sorted(names)
    assert f"Wrote {names[2]} (01:15.2 - 01:18.0, 4 B)." in result.stderr
    assert library[-1] == ("clip", 75.2, 78.0, "exact")
    copied = run("clip", "1a2b", "01:15.2", "78", "--copy", "--json")
    assert json.loads(copied.stdout)["path"] == "holiday_ 'lake' 75.2-78.0 (4).mkv"


def test_a_clip_never_overwrites_silently(library, tmp_path):
    (tmp_path / "dog.mp4").write_bytes(b"mine")
    refused = run("clip", "1a2b", "1", "2", "-o", "dog.mp4")
    assert refused.exit_code == 2 and "'dog.mp4' exists already. Add --force" in refused.stderr
    (tmp_path / "dog.mkv").write_bytes(b"mine")
    assert run("clip", "1a2b", "1", "2", "-o", "dog.mp4", "--copy").exit_code == 2
    assert library == [] and (tmp_path / "dog.mp4").read_bytes() == b"mine"
    assert run("clip", "1a2b", "1", "2", "-o", "dog.mp4", "--force").exit_code == 0
    assert (tmp_path / "dog.mp4").read_bytes() == b"clip"


def test_an_export_is_named_after_the_query_and_says_which_file_is_missing(library, tmp_path):
    for _ in range(2):
        result = run("export", "a dog?", "-k", "3")
        assert result.exit_code == 0 and result.stdout == "", result.stderr
    assert files(tmp_path) == ["a dog_ (2).xml", "a dog_.xml"]
    assert library[-1][2]["top_k"] == 3
    place = f"{tmp_path}/holiday: 'lake'.mp4"
    assert f"note: There is no file {place}. The editor will ask for it; --media-root says where" in result.stderr
    assert "Wrote a dog_ (2).xml (1 moment, 2.8 s, 25 frames a second)." in result.stderr
    [clip] = ElementTree.parse(tmp_path / "a dog_.xml").findall(".//clipitem")
    assert [clip.findtext(name) for name in ("in", "out", "start", "end")] == ["1881", "1950", "0", "69"]
    assert clip.findtext(".//mastercomment1") == "a dog? | 0.000"
    assert clip.findtext(".//pathurl").endswith("/holiday%3A%20%27lake%27.mp4")


def test_an_export_finds_the_videos_in_a_folder(library, tmp_path):
    film = tmp_path / "films" / "2026" / HOLIDAY.title
    film.parent.mkdir(parents=True)
    with film.open("wb") as file:
        file.truncate(HOLIDAY.size_bytes)
    result = run("export", "a dog", "-o", "dog.edl", "--media-root", "films", "--rate", "29.97")
    assert result.exit_code == 0 and "There is no file" not in result.stderr
    assert "has 25 frames a second, the list 29.97. The editor shows the nearest frames" in result.stderr
    assert f"* SOURCE FILE: {film}" in (tmp_path / "dog.edl").read_text(encoding="utf-8").splitlines()
    result = run("export", "a dog", "-o", "dog.edl", "--media-root", "D:\\Films", "--force")
    assert result.exit_code == 0 and "There is no file" not in result.stderr
    assert f"* SOURCE FILE: D:\\Films\\{HOLIDAY.title}" in (tmp_path / "dog.edl").read_text(encoding="utf-8")


def test_an_export_of_a_saved_list(library, tmp_path):
    moments = [
        {"video_id": SNOW.video_id, "title": "snow", "start_seconds": 1, "end_seconds": 2},
        {
            "video_id": HOLIDAY.title,
            "title": "lake",
            "start_seconds": 3,
            "end_seconds": 4,
            "score": 0.7,
            "query": "a",
        },
    ]
    (tmp_path / "picks.json").write_text(json.dumps(moments), encoding="utf-8")
    assert run("export", "--basket", "picks.json", "--format", "fcpxml").exit_code == 0
    assets = ElementTree.parse(tmp_path / "picks.fcpxml").findall(".//asset")
    assert assets[0].get("src") == "file:///srv/snow.mov" and len(assets) == 2 and library == []
    for suffix in ("otio", "edl", "xml", "fcpxml", "csv", "json", "srt"):
        result = run("export", "--basket", "picks.json", "-o", f"all.{suffix}")
        assert result.exit_code == 0 and ("There is no file" in result.stderr) == (suffix not in ("csv", "json", "srt"))
    rows = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [row["video_id"] for row in rows] == [SNOW.video_id, HOLIDAY.video_id]
    assert [(row["source_in"], row["source_out"], row["query"]) for row in rows] == [
        ("00:00:01:00", "00:00:02:00", ""),
        ("00:00:03:00", "00:00:04:00", "a"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("a dog", "--basket", "list.json"), 2, "Give --basket, or TEXT and the options of a search, not both."),
        (("--basket", "list.json"), 2, "'list.json' is no list of moments"),
        (("--basket", "empty.json"), 2, "There are no moments to export."),
        (("a dog", "-o", "dog.mp4"), 2, "The name 'dog.mp4' says no format. Add --format, one of otio, edl"),
        (("a dog", "-o", "list.json"), 2, "'list.json' exists already. Add --force"),
        (("a dog", "-o", "nowhere/dog.edl"), 2, "'nowhere/dog.edl' cannot be written (No such file or directory)"),
        (("a dog", "-o", "dog.edl", "--rate", "1000"), 2, "The rate must be from 1 to 240 frames a second, not 1000."),
        (("nothing",), 1, "No match. 2 weaker candidates"),
    ],
)
def test_an_export_that_cannot_be_written(library, tmp_path, arguments, code, told):
    (tmp_path / "list.json").write_text('{"a": 1}', encoding="utf-8")
    (tmp_path / "empty.json").write_text("[]", encoding="utf-8")
    result = run("export", *arguments)
    assert (result.exit_code, result.stdout) == (code, "") and told in result.stderr
    assert files(tmp_path) == ["empty.json", "list.json"]


def test_a_clip_that_a_user_saves_has_the_rights_of_all_files_of_that_user(library, tmp_path):
    before = os.umask(0o022)
    try:
        assert run("clip", "1a2b", "1", "2", "-o", "dog.mp4").exit_code == 0
        assert run("open", "1a2b", "1", "2", "--print").exit_code == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert (tmp_path / "dog.mp4").stat().st_mode & 0o777 == 0o644
    kept = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert len(kept) == 4 and not any(path.stat().st_mode & 0o077 for path in kept)


def test_on_a_terminal_a_clip_asks_before_it_overwrites(library, terminal, tmp_path):
    (tmp_path / "dog.mp4").write_bytes(b"mine")
    declined = run("clip", "1a2b", "1", "2", "-o", "dog.mp4", answer="n\n")
    assert declined.exit_code == 1 and (tmp_path / "dog.mp4").read_bytes() == b"mine"
    assert "'dog.mp4' exists already. Overwrite it? [y/N]" in declined.stderr
    assert run("clip", "1a2b", "1", "2", "-o", "dog.mp4", answer="y\n").exit_code == 0
    assert (tmp_path / "dog.mp4").read_bytes() == b"clip"


def test_delete_refuses_without_a_terminal_unless_it_is_told_yes(library):
    refused = run("delete", "1a2b")
    assert refused.exit_code == 2 and "To delete 'holiday: 'lake'.mp4', add --yes." in refused.stderr
    assert library == []
    done = run("delete", "1a2b", "--yes")
    assert done.exit_code == 0 and "Deleted 'holiday: 'lake'.mp4' (1a2b00000000)." in done.stderr
    assert library == [("delete", HOLIDAY.video_id)]


def test_delete_asks_on_a_terminal(library, terminal):
    question = (
        "Delete 'holiday: 'lake'.mp4'? You lose its file on the server (5.0 MB, unless it was indexed in place) and "
        "its index (3:12, 192 frames). This cannot be undone. [y/N]"
    )
    declined = run("delete", "1a2b", answer="\n")
    assert declined.exit_code == 1 and question in declined.stderr and declined.stdout == "" and library == []
    assert run("delete", "1a2b", answer="y\n").exit_code == 0
    assert library == [("delete", HOLIDAY.video_id)]


def test_delete_of_several_says_what_is_lost_of_each_and_in_total(library, terminal):
    declined = run("delete", "1a2b", "3c4d", HOLIDAY.title, answer="n\n")
    assert declined.exit_code == 1 and library == []
    assert declined.stderr.splitlines()[:3] == [
        "  'holiday: 'lake'.mp4': 5.0 MB, 3:12, 192 frames",
        r"  'snow\u001b[2J\u202e.mp4': 1.0 MB, 0:08, 1 frame",
        "Delete these 2 videos? You lose their files on the server (6.0 MB, unless they were indexed in place) and "
        "their index (3:20, 193 frames). This cannot be undone. [y/N]: n",
    ]
    assert run("delete", "1a2b", "3c4d", answer="y\n").exit_code == 0
    assert library == [("delete", HOLIDAY.video_id), ("delete", SNOW.video_id)]


def test_delete_of_several_deletes_none_if_one_is_not_there(library):
    assert run("delete", "1a2b", "nope", "--yes").exit_code == 1 and library == []
    refused = run("delete", "1a2b", "3c4d")
    assert refused.exit_code == 2 and "To delete these 2 videos, add --yes." in refused.stderr and library == []
    hostile = run("delete", "3c4d")
    assert hostile.exit_code == 2 and "\x1b" not in hostile.stderr and "\u202e" not in hostile.stderr


def test_revoking_the_last_token_asks_where_somebody_is_there(terminal, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    for name in ("a", "b"):
        assert run("token", "add", name).exit_code == 0
    assert run("token", "revoke", "a").exit_code == 0
    declined = run("token", "revoke", "b", answer="n\n")
    assert (
        declined.exit_code == 1 and "'b' is the last token. Without it the server refuses everyone." in declined.stderr
    )
    assert [grant.name for grant in AccessFile(tmp_path).grants()] == ["b"]
    assert run("token", "revoke", "nobody").exit_code == 1
    assert run("token", "revoke", "b", "--yes").exit_code == 0
    assert AccessFile(tmp_path).grants() == ()


def test_a_script_revokes_the_last_token_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    run("token", "add", "leaked")
    revoked = run("token", "revoke", "leaked")
    assert revoked.exit_code == 0 and "It was the last token" in revoked.stderr


def test_rename_says_both_titles(library):
    done = run("rename", "1a2b", " Summer ")
    assert done.exit_code == 0 and "Renamed 'holiday: 'lake'.mp4' to 'Summer' (1a2b00000000)." in done.stderr
    assert run("rename", "nope", "Summer").exit_code == 1


def test_open_plays_a_match_of_a_description(library, monkeypatch, tmp_path):
    launched = []
    monkeypatch.setattr(click, "launch", lambda path, wait: launched.append(path) or 0)
    assert run("open", "a dog").exit_code == 0
    assert library == [
        ("search", "a dog", {"top_k": 1, "offset": 0, "weaker": 1, "videos": []}),
        ("clip", 75.24, 78.0, "exact"),
    ]
    assert launched == [str(tmp_path / "cache/opened/1a2b00000000/holiday_ 'lake' 75.2-78.0.mp4")]
    beyond = run("open", "a dog", "--match", "2", "--video", "1a2b")
    assert beyond.exit_code == 1 and "There are fewer than 2 matches. Lower --match." in beyond.stderr
    assert library[-1] == ("search", "a dog", {"top_k": 1, "offset": 1, "weaker": 1, "videos": ["1a2b"]})
    assert len(launched) == 1


def test_open_plays_the_nearest_candidate_where_nothing_matches_and_says_so(library, monkeypatch, tmp_path):
    launched = []
    monkeypatch.setattr(click, "launch", lambda path, wait: launched.append(path) or 0)
    nearly = run("open", "nearly")
    assert nearly.exit_code == 0 and len(launched) == 1 and library[-1] == ("clip", 1.0, 2.5, "exact")
    assert "note: Odd word.\nNo moment clearly matches. Nearest:\n" in nearly.stderr
    assert "holiday: 'lake'.mp4, 00:01.0 - 00:02.5, score 0.412 weak\n" in nearly.stderr
    printed = run("open", "nearly", "--print")  # a script gets the path alone
    assert printed.exit_code == 0 and printed.stdout.count("\n") == 1 and "Nearest:" in printed.stderr
    for text, number in (("nearly", "2"), ("nothing", "2")):
        beyond = run("open", text, "--match", number)
        assert beyond.exit_code == 1 and "--all" not in beyond.stderr
        assert "No moment clearly matches. Leave out --match to open the nearest one.\n" in beyond.stderr
    assert len(launched) == 1


def test_open_prints_the_path_of_a_range_and_forgets_old_clips(library, monkeypatch, tmp_path):
    monkeypatch.setattr(click, "launch", lambda path, wait: pytest.fail("nothing is to be opened"))
    old = tmp_path / "cache/opened/ffff/old.mp4"
    old.parent.mkdir(parents=True)
    old.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    done = run("open", "1a2b", "00:01", "2.5", "--print")
    assert done.stdout == f"{tmp_path}/cache/opened/1a2b00000000/holiday_ 'lake' 1.0-2.5.mp4\n"
    assert library == [("clip", 1.0, 2.5, "exact")] and not old.parent.exists()


def test_open_without_a_player_names_the_clip(library, monkeypatch):
    monkeypatch.setattr(click, "launch", lambda path, wait: 1)
    failed = run("open", "1a2b", "1", "2")
    assert failed.exit_code == 1 and "No program opened the clip. It is in " in failed.stderr


def test_index_names_a_folder_without_videos_once(library, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("index", "empty")
    assert result.exit_code != 0 and result.stderr.count("empty") == 1


def test_index_says_which_video_a_known_file_is(library, tmp_path):
    for name in ("known copy.mp4", "new.mp4", HOLIDAY.title):
        (tmp_path / name).write_bytes(b"video")
    said = run("index", "known copy.mp4", "new.mp4", "--fps", "2").stderr.splitlines()
    assert said == [
        "known copy.mp4 has the same content as 'holiday: 'lake'.mp4' (1a2b00000000): nothing to do.",
        "new.mp4 is 'holiday: 'lake'.mp4' (1a2b00000000): 192 frames, 03:12.4 of video in 20.0 s (9.6 x real time).",
    ]
    words = {"words": True, "language": ""}
    assert library[0][3] == {"frames_per_second": 2.0, "sampling": None, "on_server": False, "stream": 0} | words
    known = run("index", HOLIDAY.title, "--title", HOLIDAY.title)
    assert "holiday: 'lake'.mp4 (1a2b00000000) is already indexed, 192 frames: nothing to do." in known.stderr


@pytest.mark.parametrize("options", [[], ["--detach"]])
def test_index_tells_what_is_there_besides_and_takes_a_track(library, tmp_path, options):
    (tmp_path / "two.mp4").write_bytes(b"video")
    said = run("index", "two.mp4", "--stream", "2", *options)
    assert said.stderr.splitlines()[-1] == "  The file has 2 video tracks."
    assert library[0][3]["stream"] == 2
    assert json.loads(run("index", "two.mp4", "--json", *options).stdout)[0]["notes"] == [
        "The file has 2 video tracks."
    ]


def test_a_clip_is_asked_for_with_or_without_extras(library, tmp_path):
    assert run("clip", "1a2b", "1", "2", "-o", "dog.gif").exit_code == 0
    assert run("clip", "1a2b", "1", "2", "-o", "dog.mp4", "--no-extras").exit_code == 0
    assert library == [("clip", 1.0, 2.0, "exact"), ("clip", 1.0, 2.0, "exact", False)]


def test_search_asks_what_its_options_say(library, tmp_path):
    done = run("search", "a dog^2", "--not", "snow", "--from", "01:00", "--all", "--group", "-i", "1a2b", "-k", "1")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == ["#", "Video", "Start", "End", "Length", "Score", "ID"]
    assert done.stdout.splitlines()[1].split()[1:3] == ["01:15.2", "01:18.0"]  # as `clip` takes them
    [(_, text, options)] = library
    assert text == "" and [(part.text, part.weight) for part in options.pop("parts")] == [
        ("a dog", 2.0),
        ("snow", -1.0),
    ]
    assert {name: value for name, value in options.items() if value} == {
        "top_k": 1,
        "weaker": 5,
        "start_seconds": 60.0,
        "all_matches": True,
        "group_by_video": True,
        "videos": ("1a2b",),
    }


def test_scripts_get_the_same_answer_as_before_and_the_weaker_ones_only_with_the_whole_answer(library):
    assert run("search", "a dog", "--json").exit_code == run("search", "nothing", "--json-answer").exit_code == 0
    assert [options["weaker"] for _, _, options in library] == [0, 5]


@pytest.mark.parametrize(
    ("answered", "at_bound", "said"),
    [
        (3, False, "3 of 40 neutral descriptions now find a match. Before: 9."),
        (7, True, "7 of 40 neutral descriptions still find a match: the cut-off is at its bound. Before: 9."),
    ],
)
def test_a_calibration_says_where_it_could_not_go_as_far_as_asked(monkeypatch, answered, at_bound, said):
    made = Calibration(done=True, phrase_count=40, answered_before=9, answered=answered, at_bound=at_bound, shift=0.3)
    monkeypatch.setattr(Client, "calibrate", lambda *_, **__: made)
    assert said in run("calibrate").stderr
    assert json.loads(run("calibrate", "--json").stdout) == {
        "shift": 0.3,
        "phrase_count": 40,
        "answered_before": 9,
        "answered": answered,
        "at_bound": at_bound,
    }


def test_what_the_server_refuses_is_said_in_the_options_that_were_typed(library, monkeypatch):
    def refuse(*_arguments, **_options):
        raise InvalidRequest("padding_seconds is too large, see least_score and no_such_name")

    monkeypatch.setattr(Client, "search", refuse)
    failed = run("search", "a dog", "--padding", "9")
    assert failed.exit_code == 2
    assert "clipseek: --padding is too large, see --min-score and no_such_name" in failed.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    printed = run("completion", shell)
    assert printed.exit_code == 0 and f"_CLIPSEEK_COMPLETE={shell}_complete" in printed.stdout
    words = {"COMP_WORDS": "clipseek search --min", "COMP_CWORD": "--min" if shell == "fish" else "2"}
    completed = CliRunner().invoke(main, env=words | {"_CLIPSEEK_COMPLETE": f"{shell}_complete"}, prog_name="clipseek")
    assert "--min-score" in completed.stdout and "--min-length" in completed.stdout


def jobs_of(monkeypatch, *listings):
    """Have each question for the jobs answered by the next of these lists."""
    answers = list(listings)
    monkeypatch.setattr(Client, "jobs", lambda _: answers.pop(0))
    monkeypatch.setattr(jobs_command, "_FOLLOW_SECONDS", 0.0)


def job(state, done, **values):
    shared = {"job_id": "3f1c", "title": "snow\x1b[2J.mp4", "caller": "ann", "total_seconds": 60.0}
    return Job(**shared | {"state": state, "done_seconds": done} | values)


def test_detached_videos_name_their_jobs(library):
    told = run("index", "new.mp4", "known.mp4", "--detach")
    assert told.exit_code == 0 and "new.mp4 (1a2b00000000) will be indexed: job 3f1c." in told.stderr
    assert "known.mp4 (1a2b00000000) is indexed." in told.stderr
    [row] = json.loads(run("index", "new.mp4", "--detach", "--json").stdout)
    assert (row["job_id"], row["status"]) == ("3f1c", "waiting")


def test_jobs_are_listed_with_their_progress(monkeypatch):
    failed = job("failed", 0.0, job_id="77", error="No picture.")
    jobs_of(monkeypatch, [job("running", 15.0), failed], [job("waiting", 15.0, error="Full.", tries=2)], [])
    told = run("jobs").stdout
    assert "25 %" in told and "ann" in told and "\x1b" not in told
    [row] = json.loads(run("jobs", "--json").stdout)
    assert (row["state"], row["done_seconds"], row["error"]) == ("waiting", 15.0, "Full.")
    assert "There are no jobs." in run("jobs").stderr


def test_following_prints_what_changes_until_all_jobs_have_ended(monkeypatch):
    old, running = job("failed", 0.0, job_id="77", error="No picture."), job("running", 15.0)
    jobs_of(monkeypatch, [running, old], [running, old], [job("running", 30.0), old], [job("done", 60.0), old])
    lines = run("jobs", "--follow").stdout.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["running 25 %", "running 50 %", "done 100 %"]


def test_an_error_of_a_job_sends_nothing_to_the_terminal(monkeypatch):
    jobs_of(monkeypatch, [job("waiting", 0.0, error="No\x9b2J\r\u202epicture\nin it.")], [job("done", 60.0)])
    told = run("jobs", "--follow").stdout
    assert "error" not in told and len(told.splitlines()) == 2
    assert all(line.isprintable() for line in told.splitlines()), ascii(told)


def test_jobs_are_cancelled_by_their_ids(monkeypatch):
    asked = []
    monkeypatch.setattr(Client, "cancel_job", lambda _, job_id: asked.append(job_id) or job("cancelled", 30.0))
    told = run("jobs", "cancel", "3f1c", "77")
    assert asked == ["3f1c", "77"] and told.stderr.count("cancelled 50 %") == 2
    assert run("jobs", "cancel").exit_code == 2


def test_a_runner_needs_the_secret_of_the_service(monkeypatch):
    monkeypatch.delenv("CLIPSEEK_FLOW_SECRET", raising=False)
    told = run("jobs", "run")
    assert told.exit_code == 2 and "CLIPSEEK_FLOW_SECRET is not set" in told.stderr
