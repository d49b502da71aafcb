"""The audit log: whole lines from several processes, bounded for each caller, kept by age."""

import json
import multiprocessing
import os
from datetime import UTC, datetime, timedelta

import pytest

from clipseek.machine.audit_log import DELETIONS_PER_HOUR, ROUTINE_PER_HOUR, AuditLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines(file):
    return [json.loads(line) for line in file.read_bytes().decode().split("\n")[:-1]]


def write_many(home, caller) -> None:
    log = AuditLog(home)
    for number in range(50):
        log.write("added", caller=caller, library="main", video_id="0" * 64, title=f"{number}\n\udcff")


def test_lines_of_several_processes_are_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, f"c{i}")) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    written = lines(tmp_path / "audit.log")
    for caller in ("c0", "c1"):
        assert [line["title"] for line in written if line["caller"] == caller] == [f"{n}\n\udcff" for n in range(50)]
    assert all(line["time"].endswith("+00:00") and line["what"] == "added" for line in written)
    assert (tmp_path / "audit.log").stat().st_mode & 0o777 == 0o600


def test_the_first_line_makes_a_home_of_several_levels(tmp_path):
    AuditLog(tmp_path / "one" / "two" / "home").write("added", caller="a")
    assert [line["what"] for line in lines(tmp_path / "one" / "two" / "home" / "audit.log")] == ["added"]
    assert (tmp_path / "one" / "two" / "home").stat().st_mode & 0o777 == 0o700


def test_a_line_shows_what_it_holds_and_has_a_bound(tmp_path):
    log = AuditLog(tmp_path)
    hostile = '\n{"what": "forged"}\r\x1b[2J\x9b\u202e\u2028\x85' + "x" * 100_000
    log.write("renamed", caller=hostile, library=hostile, video_id=hostile, title=hostile)
    [text] = log.path.read_text(encoding="utf-8").split("\n")[:-1]
    assert text.isprintable() and len(text) < 2000
    assert json.loads(text)["title"].startswith('\n{"what": "forged"}\r\x1b[2J')


def test_a_noisy_caller_is_counted_and_neither_hides_itself_nor_others(tmp_path, clock):
    log = AuditLog(tmp_path, clock=clock)
    for number in range(ROUTINE_PER_HOUR + 1234):
        log.write("renamed", caller="noisy", title=str(number))
    log.write("deleted", caller="noisy", video_id="v")
    log.write("renamed", caller="quiet", title="mine")
    clock.now += timedelta(hours=1)
    log.write("renamed", caller="quiet", title="later")
    written = lines(log.path)
    assert [line["title"] for line in written[:ROUTINE_PER_HOUR]] == [str(n) for n in range(ROUTINE_PER_HOUR)]
    rest = [(line["caller"], line["what"]) for line in written[ROUTINE_PER_HOUR:]]
    assert rest == [
        ("noisy", "more changes in this hour are only counted"),
        ("noisy", "deleted"),
        ("quiet", "renamed"),
        ("noisy", "1234 more changes in an hour: 1234 renamed"),
        ("quiet", "renamed"),
    ]


def test_the_first_change_that_is_counted_only_says_so(tmp_path, clock):
    log = AuditLog(tmp_path, clock=clock)
    for _ in range(ROUTINE_PER_HOUR + 1):
        log.write("renamed", caller="a")
    assert lines(log.path)[-1]["what"] == "more changes in this hour are only counted"
    log.close()
    assert lines(log.path)[-1]["what"] == "1 more change in an hour: 1 renamed"


def test_deleting_has_a_bound_of_its_own(tmp_path, clock):
    log = AuditLog(tmp_path, clock=clock)
    for number in range(DELETIONS_PER_HOUR + 5):
        log.write("deleted", caller="a", video_id=str(number))
        log.write("added", caller="a", video_id=str(number))
    log.close()
    written = [line["what"] for line in lines(log.path)]
    assert written.count("deleted") == DELETIONS_PER_HOUR and written.count("added") == ROUTINE_PER_HOUR
    added = DELETIONS_PER_HOUR + 5 - ROUTINE_PER_HOUR
    assert written[-1] == f"{added + 5} more changes in an hour: {added} added, 5 deleted"
    log.close()
    assert len(lines(log.path)) == len(written)


def test_an_operator_is_never_only_counted(tmp_path):
    log = AuditLog(tmp_path)
    for number in range(DELETIONS_PER_HOUR + 5):
        log.write(f"token made for t{number}", caller="operator root", library="x" * 200)
    assert [line["library"] for line in lines(log.path)] == ["x" * 200] * (DELETIONS_PER_HOUR + 5)


def test_lines_are_kept_by_age_and_not_by_size(tmp_path, clock):
    log = AuditLog(tmp_path, days=3, clock=clock)
    for day in range(6):
        for number in range(20):
            log.write("renamed", caller="a", title=f"{day} {number} {'x' * 1000}")
        os.utime(log.path, (clock.now.timestamp(),) * 2)
        clock.now += timedelta(days=1)
    assert [file.name for file in log.files()] == [
        "audit.2026-03-03.log",
        "audit.2026-03-04.log",
        "audit.2026-03-05.log",
        "audit.log",
    ]
    assert [len(lines(file)) for file in log.files()] == [20, 20, 20, 20]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in log.files())


def test_a_day_that_ends_twice_loses_nothing(tmp_path, clock):
    log = AuditLog(tmp_path, clock=clock)
    for title in ("first", "second"):
        clock.now = NOON
        log.write("renamed", caller="a", title=title)
        os.utime(log.path, (NOON.timestamp(),) * 2)
        clock.now = NOON + timedelta(days=1)
        log.write("renamed", caller="a", title=f"after {title}")
        os.utime(log.path, (NOON.timestamp(),) * 2)  # the clock was set back
    log.write("renamed", caller="a", title="last")
    titles = [line["title"] for file in log.files() for line in lines(file)]
    assert titles == ["first", "after first", "second", "after second", "last"]


def test_the_log_that_an_earlier_version_set_aside_ages_too(tmp_path, clock):
    old = tmp_path / "audit.log.1"
    old.write_text('{"what": "old"}\n')
    os.utime(old, (NOON.timestamp(),) * 2)
    log = AuditLog(tmp_path, days=3, clock=clock)
    clock.now += timedelta(days=2)
    log.write("renamed", caller="a")
    assert [file.name for file in log.files()] == ["audit.2026-03-01.log", "audit.log"]
    os.utime(log.path, (clock.now.timestamp(),) * 2)
    clock.now += timedelta(days=2)
    log.write("renamed", caller="a")
    assert [file.name for file in log.files()] == ["audit.2026-03-03.log", "audit.log"]
