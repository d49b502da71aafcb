"""The audit log: whole lines from several processes, and a bound."""

import json
import multiprocessing

from clipseek.machine.audit_log import AuditLog


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
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text(encoding="utf-8").splitlines()]
    for caller in ("c0", "c1"):
        assert [line["title"] for line in lines if line["caller"] == caller] == [f"{n}\n?" for n in range(50)]
    assert all(line["time"].endswith("+00:00") and line["what"] == "added" for line in lines)
    assert (tmp_path / "audit.log").stat().st_mode & 0o777 == 0o600


def test_the_log_is_rotated_at_its_bound(tmp_path):
    log = AuditLog(tmp_path, max_bytes=1000)
    for number in range(30):
        log.write("renamed", caller="a", title=str(number))
    old, new = ((tmp_path / name).read_text().splitlines() for name in ("audit.log.1", "audit.log"))
    titles = [int(json.loads(line)["title"]) for line in (*old, *new)]
    assert titles == list(range(titles[0], 30))
    assert all((tmp_path / name).stat().st_size <= 1000 for name in ("audit.log.1", "audit.log"))
