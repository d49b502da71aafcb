"""The short form of `python -m benchmarks.torture.crash`."""

from benchmarks.torture.crash import torture


def test_nothing_acknowledged_is_lost_or_comes_back_when_processes_are_killed(tmp_path):
    report = torture(tmp_path, seed=6, kills=3, minutes=4.0)
    assert report.faults == []
    assert report.ledger.errors == []
    assert sum(outcome.survived for outcome in report.outcomes.values()) >= 2
    assert report.ledger.acknowledged > 12
