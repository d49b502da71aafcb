"""A short form of `python -m benchmarks.torture.load`."""

from benchmarks.torture.load import load


def test_many_callers_at_once_are_all_answered_or_refused_by_name(tmp_path):
    record = load(tmp_path, clients=8, minutes=2.0, requests=150)
    assert record.faults == []
    assert record.tried >= 150
    assert len(record.answered_of) == 8
    assert {kind for kind, seconds in record.seconds.items() if seconds} >= {"search", "index", "thumbnail"}
