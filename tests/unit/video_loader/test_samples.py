"""The sample films: what they show and when."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from clipseek.errors import SamplesUnavailable
from executors.video_loader import samples
from executors.video_loader.picture import PictureShape
from executors.video_loader.probing import probe
from executors.video_loader.sampling import sample


def test_the_films_show_what_the_moments_say(tmp_path: Path) -> None:
    films = samples.build(tmp_path / "samples")
    assert [film.name for film in films] == ["bikes.mp4", "bigbuckbunny.mp4", "photographs.mp4"]
    lengths = {film.name: probe(film).duration_seconds for film in films}
    assert lengths["photographs.mp4"] == 24.0
    for moment in samples.MOMENTS:
        assert 0 <= moment.start_seconds < moment.end_seconds <= lengths[moment.film] + 0.5
    moments = [m for m in samples.MOMENTS if m.film == "photographs.mp4"]
    for moment, photograph in zip(moments, samples.PHOTOGRAPHS, strict=True):
        with Image.open(samples._shipped(photograph.package, photograph.file)) as image:
            truth = np.asarray(ImageOps.fit(image.convert("RGB"), samples.SIZE).resize((64, 48))).astype(int)
        for begin, end in ((moment.start_seconds, moment.start_seconds + 0.04), (moment.end_seconds - 0.04, 99)):
            frame = next(sample(films[2], begin, end, 25, PictureShape(64, 48)))
            assert np.abs(frame.picture - truth).mean() < 8


def test_a_second_build_changes_nothing(tmp_path: Path) -> None:
    before = [(film, film.stat().st_mtime_ns) for film in samples.build(tmp_path)]
    assert [(film, film.stat().st_mtime_ns) for film in samples.build(tmp_path)] == before


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SamplesUnavailable, match="pip install scikit-image scikit-learn"):
        samples.build(tmp_path)
