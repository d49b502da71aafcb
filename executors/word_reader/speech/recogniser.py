"""Recognises the speech of a span with Whisper (A. Radford et al. 2022), which CTranslate2 computes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from clipseek.api.limits import SOUND_AFTER_SECONDS, SPEECH
from executors.machine.scripts import read_language
from executors.word_reader.speech.inventions import Evidence, is_invented
from executors.word_reader.speech.sentences import Sentence, Word, join_sentences
from executors.word_reader.speech.voice import RATE, Piece, Sound, find_pieces
from executors.word_reader.subtitles.coverage import find_covered, is_covered
from executors.word_reader.timed_line import TimedLine

_MOST_SECONDS = 29.0  # Whisper hears 30 s at once, and takes as long for less
_GOOD_SECONDS = 15.0  # from here on a longer pause is a better place to part than a later one
_HEARD_FOR_LANGUAGE = 3  # passages of a span; each takes a third of the time of recognising it
_SURE = 0.6  # of a language
_BEAM = 5
# Words of the fastest speakers, in any language, need less. It ends loops, which take a minute where they go on.
_TOKENS, _TOKENS_A_SECOND = 20, 10
_SLACK_SECONDS = 0.5  # a word so far outside of the voice that was found is invented
_BREATH_SECONDS = 4.0  # a shorter pause may hold words that the detector of voices missed


@dataclass(frozen=True)
class SpanSound:
    """The sound around the span `[start_seconds, end_seconds)`, from `sound_start_seconds` on: int16, as bytes."""

    sound: bytes
    sound_start_seconds: float
    start_seconds: float
    end_seconds: float

    def find_pieces(self) -> tuple[Sound, int, list[Piece]]:
        """The sound, the place of its first sample, and the speech that begins in the span."""
        sound = np.frombuffer(self.sound, np.int16).astype(np.float32) * np.float32(1 / 32768)
        first = round(self.sound_start_seconds * RATE)
        goes_on = first + len(sound) >= round((self.end_seconds + SOUND_AFTER_SECONDS) * RATE)
        pieces = find_pieces(sound, first, has_more=(first > 0, goes_on))
        begin, end = self.start_seconds * RATE, self.end_seconds * RATE
        return sound, first, [piece for piece in pieces if begin <= piece.start < end]


class SpeechRecogniser:
    """A loaded model.

    Args:
        folder: of the model, in the format of CTranslate2.
        threads: that compute.
    """

    def __init__(self, folder: Path, threads: int, *, on_gpu: bool = False) -> None:
        device, kind = ("cuda", "float16") if on_gpu else ("cpu", "int8")
        self._model = WhisperModel(str(folder), device=device, compute_type=kind, cpu_threads=threads)

    def knows(self, language: str) -> bool:
        """Whether it recognises a language, by its code of two letters."""
        return language in self._model.supported_languages

    def choose_language(self, passages: Sequence[Sound], likely: str) -> str:
        """The language of a span: what most of it sounds like, or the likely one where that is not clear."""
        if not self._model.model.is_multilingual:
            return "en"
        votes: dict[str, float] = defaultdict(float)
        heard = passages[:: max(1, len(passages) // _HEARD_FOR_LANGUAGE)][:_HEARD_FOR_LANGUAGE]
        for sound in heard:
            _, _, chances = self._model.detect_language(sound)
            for language, chance in chances:
                votes[language] += chance / len(heard)
        best = max(votes, key=lambda language: votes[language])
        return likely if self.knows(likely) and votes[best] < _SURE else best

    def recognise(self, sound: Sound, language: str, begin: float, voices: Sequence[Piece]) -> list[TimedLine]:
        """The lines of a passage of at most 30 s, which begins at `begin` seconds; `voices` are in it."""
        segments, _ = self._model.transcribe(
            sound,
            language=language,
            beam_size=_BEAM,
            temperature=0.0,
            max_new_tokens=round(_TOKENS + _TOKENS_A_SECOND * len(sound) / RATE),
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
        )
        segment = next(iter(segments), None)  # all of the passage; after it comes the silence behind it once more
        if segment is None:
            return []
        words = [word for w in segment.words or () if (word := _place(w, begin, voices))]
        return [
            TimedLine(said.start, said.end, said.text, SPEECH, language, said.probability)
            for said in join_sentences(words)
            if not is_invented(said.text, _gather_evidence(segment, said, voices))
        ]


def read_speech(
    recogniser: SpeechRecogniser, span: SpanSound, language: str, likely: str, subtitles: Sequence[TimedLine] = ()
) -> list[TimedLine]:
    """The speech that begins in a span; none that subtitles in its own language show.

    Args:
        language: of the speech, where somebody said so; else it is heard.
        likely: the language of earlier spans.
    """
    sound, first, pieces = span.find_pieces()
    passages = [(group, _cut_out(sound, first, group)) for group in group_pieces(pieces)]
    if not passages:
        return []
    language = read_language(language)
    if not recogniser.knows(language):
        language = recogniser.choose_language([heard for _, heard in passages], likely)
    if is_covered(language, find_covered(subtitles, [(p.start / RATE, p.end / RATE) for p in pieces])):
        return []
    return [
        line
        for group, heard in passages
        for line in recogniser.recognise(heard, language, group[0].pad_start / RATE, group)
    ]


def group_pieces(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that are recognised together: at most 29 s from the first to the last, parted at long pauses."""
    groups, left = [], list(pieces)
    while left:
        fitting = [n for n, p in enumerate(left, 1) if p.pad_end - left[0].pad_start <= _MOST_SECONDS * RATE]
        count = max(fitting, default=1)
        if count < len(left):
            good = [n for n in fitting if left[n - 1].end - left[0].start >= _GOOD_SECONDS * RATE]
            count = max(good, key=lambda n: (left[n].start - left[n - 1].end, n), default=count)
        groups.append(left[:count])
        left = left[count:]
    return groups


def _cut_out(sound: Sound, first: int, group: Sequence[Piece]) -> Sound:
    """The sound of a group of pieces. Long pauses become silence, in which nothing can be misheard."""
    begin = group[0].pad_start
    passage = sound[begin - first : group[-1].pad_end - first].copy()
    for piece, following in pairwise(group):
        if following.start - piece.end > _BREATH_SECONDS * RATE:
            passage[piece.pad_end - begin : following.pad_start - begin] = 0
    return passage


def _gather_evidence(segment: Any, said: Sentence, voices: Sequence[Piece]) -> Evidence:
    heard = (min(said.end, p.pad_end / RATE) - max(said.start, p.pad_start / RATE) for p in voices)
    voice_seconds = sum(max(0.0, seconds) for seconds in heard)
    return Evidence(
        segment.avg_logprob, segment.no_speech_prob, segment.compression_ratio, said.probability, voice_seconds
    )


def _place(word: Any, begin: float, voices: Sequence[Piece]) -> Word | None:
    """A word with the times of the voice that says it; None where there is no voice."""
    start, end = begin + float(word.start), begin + float(word.end)
    near = min(voices, key=lambda p: max(p.start / RATE - end, start - p.end / RATE))
    earliest, latest = near.start / RATE, near.end / RATE
    is_within = end > voices[0].start / RATE and start < voices[-1].end / RATE
    slack = _BREATH_SECONDS if is_within else _SLACK_SECONDS
    if end < earliest - slack or start > latest + slack:
        return None
    if start < earliest < end:  # Whisper begins a first word with the silence before it
        start = earliest
    if start < latest < end:
        end = max(latest, min(end, latest + _SLACK_SECONDS))
    return Word(start, end, str(word.word), float(word.probability))
