"""The sound for recognising speech: 16 kHz, one channel, in time with the pictures, whatever the file has."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic.ffmpeg import run_ffmpeg
from executors.video_loader.words.span_words import WordOptions, gather_span_words
from tests.unit.video_loader.test_time_zero import make_late

RATE = 16000


def sound_of(path: Path, start: float, end: float, length: float, **options) -> tuple[np.ndarray, float]:
    words = gather_span_words(path, path.name, WordOptions(start, end, length, ("speech",), **options))
    assert words.notes == []
    return np.frombuffer(words.sound, np.int16), words.sound_start_seconds


def edges_of(sound: np.ndarray, begin: float) -> list[float]:
    """When the tone begins, in seconds of the video."""
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 3000) / RATE
    return [begin + loud[0], *(begin + late for early, late in pairwise(loud) if late - early > 0.3)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
def test_it_is_in_time_where_pictures_begin_late(tmp_path, name):
    path = make_late(tmp_path / name, Fraction(9, 5))
    sound, begin = sound_of(path, 0, 3.8, 3.8)
    assert (sound.size, begin) == (round(3.8 * RATE), 0.0)
    assert edges_of(sound, begin) == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.05)


def test_it_reaches_beyond_the_span_on_both_sides(tmp_path):
    path = tmp_path / "a.mp4"
    beeps = "aevalsrc='0.5*sin(2*PI*440*t)*lt(mod(t,10),1)':d=60"
    run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=5:d=60", "-f", "lavfi", "-i", beeps, path)
    sound, begin = sound_of(path, 20, 30, 60)
    assert (sound.size, begin) == (35 * RATE, 10.0)
    assert edges_of(sound, begin) == pytest.approx([10, 20, 30, 40], abs=0.05)
    sound, begin = sound_of(path, 50, 60, 60)
    assert (sound.size, begin) == (20 * RATE, 40.0)


def test_a_gap_in_it_is_silence(tmp_path):
    path = tmp_path / "a.mkv"
    gap = "aselect='not(between(t,2,4))',asetpts=PTS"
    tone = "sine=440:d=8:sample_rate=44100,volume=4"
    picture = "color=gray:s=64x48:r=25:d=8"
    run_ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-af", gap, "-c:a", "pcm_s16le", path)
    sound, begin = sound_of(path, 0, 8, 8)
    quiet = np.flatnonzero(np.abs(sound[RATE : 7 * RATE].astype(int)).reshape(-1, 160).max(axis=1) < 50) / 100 + 1
    assert (quiet[0], quiet[-1]) == pytest.approx((2.0, 4.0), abs=0.06)
    assert begin == 0


def test_of_many_tracks_the_main_one_is_taken(tmp_path):
    path = tmp_path / "a.mkv"
    tones = [part for n in range(20) for part in ("-f", "lavfi", "-i", f"sine={300 + 50 * n}:d=2")]
    maps = [part for n in range(21) for part in ("-map", str(n))]
    run_ffmpeg(
        "-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2", *tones, *maps, "-c:a", "pcm_s16le",
        "-disposition:a", "0", "-disposition:a:7", "default", path,
    )  # fmt: skip
    sound, _ = sound_of(path, 0, 2, 2)
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))
    assert spectrum.argmax() / 2 == pytest.approx(300 + 50 * 7, abs=2)


def test_silence_is_not_sent_and_no_sound_is_nothing(tmp_path):
    silent, mute = tmp_path / "silent.mkv", tmp_path / "mute.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2", mute)
    run_ffmpeg("-i", mute, "-f", "lavfi", "-i", "anullsrc", "-t", "2", "-c:v", "copy", "-c:a", "pcm_s16le", silent)
    for path in (silent, mute):
        assert sound_of(path, 0, 2, 2)[0].size == 0


def test_a_sound_that_breaks_off_is_noted(tmp_path):
    path = tmp_path / "a.mp4"
    picture, tone = "color=gray:s=64x48:r=25:d=8", "sine=440:d=8"
    run_ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:a", "flac", "-strict", "-2", path)
    with av.open(str(path)) as source:
        late = [(p.pos, p.size) for p in source.demux(audio=0) if p.size and p.pts * p.time_base > 5]
    with path.open("r+b") as file:
        for place, size in late:
            file.seek(place)
            file.write(bytes(size))
    words = gather_span_words(path, "broken", WordOptions(0, 8, 8, ("speech",)))
    assert len(words.sound) == 2 * 8 * RATE
    [note] = words.notes
    assert note.startswith("The sound track cannot be decoded from 5 s on (")
