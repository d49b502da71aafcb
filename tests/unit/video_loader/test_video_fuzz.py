"""A short form of `python -m benchmarks.torture.fuzz --videos`: damaged videos in the workers."""

import pytest

from benchmarks.torture.video_fuzz import WORKER_GB, fuzz


def test_damaged_videos_are_decoded_or_refused_by_name(tmp_path):
    outcomes = fuzz(60)
    assert not outcomes.failures
    assert outcomes.counts["decoded"] > 50 and outcomes.counts["UnreadableVideo"] > 50
    assert outcomes.most_worker_mb < WORKER_GB * 1000


@pytest.mark.parametrize("number", [1860, 3408, 3553, 5042, 5454, 6581, 7880, 10903])
def test_videos_that_once_got_through_do_no_more(number):
    """Of these a clip had no file: nothing of the range could be decoded, or copied."""
    assert not fuzz(1, number).failures
