"""Joined films: the right pictures at the right times, in the first clip's size, with sound where there is some."""

from fractions import Fraction

import av
import numpy as np
import pytest

from clipseek.errors import InvalidTimeRange
from executors.video_loader.joining import RATE, Part, cut_joined
from tests.films import make, read


def test_the_clips_follow_one_another_exactly(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    loud = make(tmp_path / "loud.mp4", frames=100, fps=Fraction(30000, 1001), size=(96, 64), audio=True).path
    parts = [Part(silent, 0.4, 0.8, "a"), Part(loud, 0.0, 1.001, "b"), Part(silent, 1.2, 1.4, "c")]
    film = cut_joined(parts, tmp_path / "film")
    assert film.path == tmp_path / "film.mp4"
    assert film.end_seconds == pytest.approx(1.601, abs=0.001)
    frames = read(film.path)
    assert [number for _, number in frames[:10]] == list(range(10, 20))
    assert [number for _, number in frames[10:40]] == [place % 27 for place in range(30)]
    assert [number for _, number in frames[40:]] == [place % 27 for place in range(30, 35)]
    assert frames[0][0] == 0.0
    assert frames[10][0] == pytest.approx(0.4, abs=0.001)
    assert frames[40][0] == pytest.approx(1.401, abs=0.001)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["film.mp4", "loud.mp4", "silent.mp4"]
    with av.open(str(film.path)) as opened:
        picture = next(opened.decode(video=0))
        assert (picture.width, picture.height) == (64, 48)
        opened.seek(0)
        sound = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])

    def loudness(start, end):
        return float(np.abs(sound[round(start * RATE) : round(end * RATE)]).mean())

    assert loudness(0.0, 0.35) < 0.01 and loudness(0.45, 1.35) > 0.2 and loudness(1.45, 1.6) < 0.01


def test_without_any_sound_there_is_no_track_for_it(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    film = cut_joined([Part(silent, 0.0, 0.2, "a")], tmp_path / "film")
    with av.open(str(film.path)) as opened:
        assert not opened.streams.audio


def test_a_part_outside_its_film_is_refused(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    with pytest.raises(InvalidTimeRange):
        cut_joined([Part(silent, 0.0, 0.2, "a"), Part(silent, 9.0, 9.5, "a")], tmp_path / "film")
    assert not (tmp_path / "film.mp4").exists()
