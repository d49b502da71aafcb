"""How well and how fast words are read: `python -m benchmarks.words --speech FOLDER [--nasa FILE]`.

Speech: word error rate of English (jfk.flac) and character error rate of Mandarin (aishell.wav), both in FOLDER, and of
the sound of NASA's video 13013; the speed is that of two minutes. Generated speech: `espeak-ng`, if it is installed.
Drawn text: fonts and sizes of both languages on photographs. The memory is that of all in one process.
"""

import argparse
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import opencc
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from benchmarks.synthetic.ffmpeg import run_ffmpeg
from clipseek.config.settings import Settings
from executors.word_reader.material import ReaderOptions, SpanMaterial
from executors.word_reader.reading import read_span

SOURCES = ("subtitle", "speech", "screen")
KENNEDY = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
MANDARIN = "广州市房地产中介协会分析"
NASA = (
    "This is the optical and science segment of the Webb Space Telescope in one of the largest clean rooms in the "
    "world at NASA's Goddard Space Flight Center in Greenbelt, Maryland."
)
GENERATED = {
    "en-us": "The optical segment of the space telescope arrived in the clean room this morning.",
    "en-gb": "Quarterly revenue grew by fourteen percent, and costs fell for the first time in years.",
}
DRAWN = (
    "Quarterly revenue grew by 14 percent",
    "The mitochondrion makes energy",
    "光合作用把阳光变成糖",
    "第三季度收入增长",
)
FONTS = ("DejaVuSans.ttf", "LiberationSerif-Regular.ttf", "NotoSansCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc")
SIZES = (14, 24, 48)  # pixels, of a picture 1280 wide
PHOTOGRAPHS = Path(__file__).parents[1] / "tests" / "photographs"
_SPAN_BYTES = 120 * 2 * 16_000
_SIMPLE = opencc.OpenCC("t2s")


def main() -> None:
    """Print all numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, help="a folder with jfk.flac and aishell.wav")
    parser.add_argument("--nasa", type=Path, help="the video 13013 of NASA's Scientific Visualization Studio")
    options = parser.parse_args()
    settings = Settings.from_env()
    how = ReaderOptions(SOURCES, settings.speech_model, settings.cache, settings.device)
    read_span(SpanMaterial(0, 1, [], _noise()), how)  # loads the model
    if options.speech:
        _print_speech("jfk.flac, word error rate", _read_file(options.speech / "jfk.flac"), KENNEDY, how)
        _print_speech("aishell.wav, character error rate", _read_file(options.speech / "aishell.wav"), MANDARIN, how)
        _print_speed(_read_file(options.speech / "jfk.flac"), how)
    if options.nasa:
        _print_speech("NASA, word error rate", _read_file(options.nasa), NASA, how)
    if shutil.which("espeak-ng"):
        for voice, text in GENERATED.items():
            _print_speech(f"espeak-ng {voice}, word error rate", _generate(voice, text), text, how)
    else:
        print("espeak-ng is not installed: no generated speech")
    _print_drawn(how)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB, with this program's own")


def error_rate(read: str, right: str) -> float:
    """Errors a word, or a sign where there are no spaces: changed, left out or added."""
    units = [_units(text) for text in (read, right)]
    return Levenshtein.distance(*units) / len(units[1])


def _units(text: str) -> Sequence[str]:
    plain = re.sub(r"[^\w\s]", "", _SIMPLE.convert(text).lower())
    return plain.split() if plain.isascii() else list(re.sub(r"\s", "", plain))


def _print_speech(what: str, sound: bytes, right: str, how: ReaderOptions) -> None:
    seconds, started = len(sound) / 32_000, time.perf_counter()
    reading = read_span(SpanMaterial(0, seconds + 1, [], sound), how)
    took = time.perf_counter() - started
    said = " ".join(line.text for line in reading.lines)
    print(f"{what} {error_rate(said, right):.1%}, {seconds:.0f} s in {took:.1f} s: {said}")


def _print_speed(sound: bytes, how: ReaderOptions) -> None:
    """Of two minutes of speech with short pauses."""
    whole = (sound * (_SPAN_BYTES // len(sound) + 1))[:_SPAN_BYTES]
    started = time.perf_counter()
    read_span(SpanMaterial(0, 120, [], whole), how)
    print(f"two minutes of speech in {120 / (time.perf_counter() - started):.1f} x real time")


def _print_drawn(how: ReaderOptions) -> None:
    rates, seconds, count = [], 0.0, 0
    for font, size, text, jpeg in _draw_all():
        started = time.perf_counter()
        reading = read_span(SpanMaterial(0, 2, [], stills=[jpeg], still_start_seconds=[0], still_end_seconds=[2]), how)
        seconds, count = seconds + time.perf_counter() - started, count + 1
        letters = ["".join(_units(text)), "".join("".join(_units(line.text)) for line in reading.lines)]
        rates.append(Levenshtein.distance(*letters) / len(letters[0]))
        if rates[-1] > 0.1:
            print(f"  {font} {size} px: {text} -> {' | '.join(line.text for line in reading.lines) or 'nothing'}")
    print(f"drawn text, character error rate {np.mean(rates):.1%} of {count} pictures, {seconds / count:.2f} s a still")


def _draw_all() -> Iterator[tuple[str, int, str, bytes]]:
    photographs = [Image.open(file).convert("RGB").resize((1280, 720)) for file in sorted(PHOTOGRAPHS.glob("*.jpg"))]
    for number, (font, size) in enumerate((font, size) for font in FONTS for size in SIZES):
        try:
            letters = ImageFont.truetype(font, size)
        except OSError:
            print(f"{font} is not installed")
            continue
        for text in DRAWN:
            if text.isascii() or font.startswith("Noto"):
                picture = photographs[number % len(photographs)].copy()
                stroke = max(1, size // 16)
                ImageDraw.Draw(picture).text(
                    (100, 600), text, font=letters, fill="white", stroke_width=stroke, stroke_fill="black"
                )
                out = BytesIO()
                picture.save(out, "JPEG", quality=85)
                yield font, size, text, out.getvalue()


def _read_file(file: Path) -> bytes:
    return run_ffmpeg("-i", file, "-ac", "1", "-ar", "16000", "-f", "s16le", "-")


def _generate(voice: str, text: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", str(file), text], check=True)
        return _read_file(file)


def _noise() -> bytes:
    return np.random.default_rng(0).integers(-500, 500, 16_000).astype(np.int16).tobytes()


if __name__ == "__main__":
    main()
