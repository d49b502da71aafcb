"""Reads a span's words, in a process of its own. The models are loaded when a span first needs them."""

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from clipseek.api.errors import ModelUnavailable, UnknownModel
from clipseek.api.limits import SCREEN, SPEECH, SUBTITLE
from executors.machine.processors import processor_count
from executors.machine.sentence_encoder import SentenceEncoder
from executors.word_reader.material import MODEL_ID, ReaderOptions, SpanMaterial, SpanReading
from executors.word_reader.parts import divide_line
from executors.word_reader.subtitles.cleaning import clean_lines
from executors.word_reader.timed_line import sort_lines

if TYPE_CHECKING:
    from executors.word_reader.screen.text_reader import TextReader
    from executors.word_reader.speech.recogniser import SpeechRecogniser

logger = logging.getLogger(__name__)

MOST_LINES = 1000  # of a span: with 30 vectors each, two readings of it fit the numbers of a span
_MOST_THREADS = 4  # more gain little, and pictures are indexed at the same time


def read_span(material: SpanMaterial, options: ReaderOptions) -> SpanReading:
    """Read subtitles, speech and written text. What fails becomes a note."""
    reading = SpanReading(clean_lines(material.lines))
    if SPEECH in options.sources and material.sound:
        _try("The speech", material, reading, lambda: _read_speech(material, options, reading))
    if SCREEN in options.sources and material.stills:
        _try("The text in the pictures", material, reading, lambda: _read_screen(material, reading))
    reading.lines = sort_lines(reading.lines)
    if len(reading.lines) > MOST_LINES:
        span = f"[{material.start_seconds:g}, {material.end_seconds:g}) s"
        reading.notes.append(f"{span} have {len(reading.lines)} lines of words. The first {MOST_LINES} are kept.")
        del reading.lines[MOST_LINES:]
    spoken = [line for line in reading.lines if line.source in (SUBTITLE, SPEECH) and line.language]
    reading.languages = [language for language, _ in Counter(line.language for line in spoken).most_common()]
    if reading.lines:
        parts = [divide_line(line.text) for line in reading.lines]
        rows, _ = _sentence_encoder().read([part for line in parts for part in line])
        reading.vector_counts = [len(line) for line in parts]
        reading.embeddings = np.ascontiguousarray(rows, np.float16).tobytes()
        reading.model_id = MODEL_ID
    return reading


def _try(what: str, material: SpanMaterial, reading: SpanReading, read: Callable[[], None]) -> None:
    try:
        read()
    except (ModelUnavailable, UnknownModel) as error:  # for people to change, then the words can be read again
        reading.notes.append(f"{what} is not read: {error}")
    except (ValueError, RuntimeError, cv2.error) as error:  # those of the libraries
        span = f"[{material.start_seconds:g}, {material.end_seconds:g}) s"
        logger.exception("%s of %s failed", what, span)
        reading.notes.append(f"{what} of {span} could not be read ({error}).")


def _read_speech(material: SpanMaterial, options: ReaderOptions, reading: SpanReading) -> None:
    from executors.word_reader.speech.recogniser import SpanSound, read_speech  # only now: it takes memory

    sound = SpanSound(material.sound, material.sound_start_seconds, material.start_seconds, material.end_seconds)
    reading.lines += read_speech(
        _recogniser(options), sound, material.language, material.likely_language, reading.lines
    )


def _read_screen(material: SpanMaterial, reading: SpanReading) -> None:
    from executors.word_reader.screen.lines import StillText, join_stills  # only now: it takes memory
    from executors.word_reader.screen.text_reader import MOST_LINES as MOST_ON_PICTURE

    stills, full = [], 0
    times = zip(material.stills, material.still_start_seconds, material.still_end_seconds, strict=True)
    for jpeg, start, end in times:
        page = _text_reader().read(jpeg)
        full += page.is_full
        stills.append(StillText(start, end, page.texts))
    reading.lines += join_stills(stills)
    if full:
        span = f"[{material.start_seconds:g}, {material.end_seconds:g}) s"
        reading.notes.append(
            f"Pictures in {span} hold over {MOST_ON_PICTURE} lines. The largest {MOST_ON_PICTURE} are read."
        )


def _threads() -> int:
    return min(processor_count(), _MOST_THREADS)


@functools.cache
def _recogniser(options: ReaderOptions) -> "SpeechRecogniser":
    import ctranslate2

    from executors.word_reader.speech.model import find_speech_model
    from executors.word_reader.speech.recogniser import SpeechRecogniser

    on_gpu = options.device != "cpu" and ctranslate2.get_cuda_device_count() > 0
    name, folder = find_speech_model(options.speech_model, options.cache, on_gpu=on_gpu)
    logger.info("speech is recognised by %s in %s", name, folder)
    return SpeechRecogniser(folder, _threads(), on_gpu=on_gpu)


@functools.cache
def _text_reader() -> "TextReader":
    from executors.word_reader.screen.text_reader import TextReader

    return TextReader(_threads())


@functools.cache
def _sentence_encoder() -> SentenceEncoder:
    return SentenceEncoder()
