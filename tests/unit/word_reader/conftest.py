"""Real models, loaded once, and real speech where CLIPSEEK_TEST_SPEECH names its folder."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="needs the extra 'words'")
pytest.importorskip("rapidocr", reason="needs the extra 'words'")

from benchmarks.synthetic.ffmpeg import run_ffmpeg
from executors.word_reader.screen.text_reader import TextReader
from executors.word_reader.speech.model import find_speech_model
from executors.word_reader.speech.recogniser import SpeechRecogniser

SPEECH_VARIABLE = "CLIPSEEK_TEST_SPEECH"  # a folder with jfk.flac and aishell.wav


@pytest.fixture(scope="session")
def speech_cache(built_models: Path) -> Path:
    return built_models


@pytest.fixture(scope="session")
def recogniser(speech_cache: Path) -> SpeechRecogniser:
    _, folder = find_speech_model("base", speech_cache)
    return SpeechRecogniser(folder, threads=2)


@pytest.fixture(scope="session")
def text_reader() -> TextReader:
    return TextReader(threads=2)


@pytest.fixture(scope="session")
def speech_folder() -> Path:
    folder = Path(os.environ.get(SPEECH_VARIABLE, ""))
    if not os.environ.get(SPEECH_VARIABLE) or not (folder / "jfk.flac").is_file():
        pytest.skip(f"needs the speech in the folder that {SPEECH_VARIABLE} names")
    return folder


def read_sound(file: Path) -> bytes:
    """int16, 16 kHz, one channel."""
    return run_ffmpeg("-i", file, "-ac", "1", "-ar", "16000", "-f", "s16le", "-")


@pytest.fixture(scope="session")
def kennedy(speech_folder: Path) -> bytes:
    return read_sound(speech_folder / "jfk.flac")


@pytest.fixture(scope="session")
def mandarin(speech_folder: Path) -> bytes:
    return read_sound(speech_folder / "aishell.wav")


def to_bytes(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
