"""Finds where somebody speaks, and cuts long speech into pieces, the same in two spans that overlap.

The sound of a span reaches beyond it on both sides. A piece belongs to the span that it begins in, so both spans must
cut the sound at the same places. So windows are counted from the video's beginning, and long speech is cut at its most
silent moment near fixed times of the video.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

Sound = NDArray[np.float32]  # [samples], 16 kHz, -1 to 1

RATE = 16_000
_WINDOW = 512  # samples that the detector looks at together
_LEAST_PAUSE_MS, _LEAST_SPEECH_MS = 400, 200
# Before and after a piece: the detector misses soft beginnings, and the model hears better with some of the room's
# sound (it writes 'Web' for 'Webb' with less).
_PAD_SECONDS = 0.5
# Long speech without a pause is cut near each multiple of this, if it goes on for the time below on both sides. So a
# piece is shorter than the 30 s that the model hears at once.
GRID_SECONDS = 12.0
_BESIDE_SECONDS = 6.0
_SEARCH_SECONDS = 2.0  # beside the fixed time, for the most silent moment
_MOMENT = RATE // 10
_FAINT = 1e-4  # of full scale: what is softer is silence


@dataclass(frozen=True)
class Piece:
    """Speech in `[start, end)`, in samples from the video's beginning; with room around it, `[pad_start, pad_end)`."""

    start: int
    end: int
    pad_start: int
    pad_end: int


def find_pieces(sound: Sound, first_sample: int, *, has_more: tuple[bool, bool]) -> list[Piece]:
    """Pieces of speech, in order of time.

    Args:
        first_sample: the place of the sound's first sample in the video.
        has_more: whether the video's sound goes on before, and after this sound.
    """
    skipped = -first_sample % _WINDOW
    if sound.size <= skipped or np.abs(sound).max() < _FAINT:
        return []
    first_sample, sound = first_sample + skipped, sound[skipped:]
    options = VadOptions(
        min_silence_duration_ms=_LEAST_PAUSE_MS, min_speech_duration_ms=_LEAST_SPEECH_MS, speech_pad_ms=0
    )
    speeches = [(speech["start"], speech["end"]) for speech in get_speech_timestamps(sound, options)]
    cuts = [cut for start, end in speeches for cut in pairwise(_cut_long(sound, first_sample, start, end, has_more))]
    return _pad(cuts, first_sample, len(sound))


def _cut_long(sound: Sound, first: int, start: int, end: int, has_more: tuple[bool, bool]) -> list[int]:
    """The places where speech in `[start, end)` begins, is cut, and ends."""
    grid, beside = round(GRID_SECONDS * RATE), round(_BESIDE_SECONDS * RATE)
    earliest = start + beside if start or not has_more[0] else 0  # it began before this sound
    latest = end - beside if end < len(sound) or not has_more[1] else end
    places = range(-first % grid, len(sound), grid)
    cuts = [_find_silence(sound, place) for place in places if earliest <= place <= latest]
    return [start, *(cut for cut in cuts if start < cut < end), end]


def _find_silence(sound: Sound, place: int) -> int:
    """The middle of the most silent moment near a place."""
    reach = round(_SEARCH_SECONDS * RATE)
    begin = max(0, place - reach)
    near = np.square(sound[begin : place + reach].astype(np.float64))
    if near.size <= _MOMENT:
        return place
    sums = np.cumsum(np.concatenate(([0.0], near)))
    energy = sums[_MOMENT:] - sums[:-_MOMENT]
    return begin + int(energy.argmin()) + _MOMENT // 2


def _pad(cuts: list[tuple[int, int]], first: int, length: int) -> list[Piece]:
    pad, pieces = round(_PAD_SECONDS * RATE), []
    for number, (start, end) in enumerate(cuts):
        before = cuts[number - 1][1] if number else 0
        after = cuts[number + 1][0] if number + 1 < len(cuts) else length
        pad_start = max(start - pad, (start + before) // 2 if number else 0)
        pad_end = min(end + pad, (end + after) // 2 if number + 1 < len(cuts) else length)
        pieces.append(Piece(first + start, first + end, first + pad_start, first + pad_end))
    return pieces
