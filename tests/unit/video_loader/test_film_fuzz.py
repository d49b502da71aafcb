"""A short form of `python -m benchmarks.torture.fuzz --films`: damaged films in the workers."""

from benchmarks.torture.film_fuzz import WORKER_GB, fuzz


def test_damaged_films_are_decoded_or_refused_by_name(tmp_path):
    outcomes = fuzz(60)
    assert not outcomes.failures
    assert outcomes.counts["decoded"] > 50 and outcomes.counts["UnreadableVideo"] > 50
    assert outcomes.most_worker_mb < WORKER_GB * 1000
