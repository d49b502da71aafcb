"""The search in words: lines that have the words of a query, and lines that mean the same.

Both give a score in [0, 1], from .5 on a line counts as a match. By words, it grows with the share of the query that a
line has, each word weighed by how rare it is in the library. By meaning, it grows with the cosine of two sentence
vectors, less where the library has so many lines that some are near by chance.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipseek.api.limits import REASON_OF
from clipseek.api.score_scale import CUT_OFF
from clipseek.config.settings import EXACT_FRAMES
from executors.faiss_indexer.index.frame_sample import measure_noise
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.ranking.matches import Line
from executors.faiss_indexer.store.cache_file import index_folder_name
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.models import WORDS
from executors.faiss_indexer.store.spans import number_frames
from executors.faiss_indexer.words.cue_store import CueStore, StoredCue
from executors.faiss_indexer.words.terms import (
    Unit,
    Wanted,
    find_marks,
    fold_phrase,
    quotes_a_phrase,
    read_query,
    term_set,
)

Vector = npt.NDArray[np.float32]

_MOST_BY_TERMS, _MOST_BY_MEANING = 400, 400  # lines, and vectors, that are looked at
_MOST_NAMED = 32  # videos: of more, the nearest lines of the whole library are looked at
_LEAST_SCORE = 0.25  # of a weaker candidate
_LEAST_COSINE = 0.3
# Cosines of the sentence encoder: queries with lines that say the same in other words or another language have .3 to
# .7. Of 20 phrases that nobody says in a talk of 60 lines, the highest have .34, .36 and .38 (`python -m
# benchmarks.talk`).
_COUNTS_FROM, _SURE_FROM = 0.4, 0.7
_MORE_A_WORD, _MOST_MORE = 0.08, 0.12  # a longer query describes a picture, and is near to more lines by chance
# A few words that mean nothing of the kind come nearer than a whole line: of 40 things that 700 sentences do not speak
# of, half had a line above .19 and a part above .39.
_PART_LESS = 0.1
_ABOVE_CHANCE = 0.05  # how far above the best of so many unrelated lines a line must lie
_SURE_SCORE = 0.75
_SHARE_POWER = 1.6  # two of three words that are equally rare count, one of two does not
_ONE_WORD, _ONE_RARE_WORD, _SEVERAL_WORDS = 0.6, 0.9, 0.95  # the scores of lines that have all of a query
_GAP_SECONDS = 1.0  # lines so close together are one moment
_LONGEST_SECONDS = 30.0  # of joined lines
_AS_WELL = 0.75  # of the better one's score


@dataclass(frozen=True)
class Sentence:
    """A text to look for, or with a negative weight to avoid. `vector`, float32 [D], is what it means."""

    text: str
    vector: Vector | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class WordMatch:
    """A moment `[start_seconds, end_seconds)` in whose words a query was found, and the best line of it."""

    video_id: str
    start_seconds: float
    end_seconds: float
    score: float
    reasons: tuple[str, ...]
    line: Line


class Words:
    """The words of a library: its cues, and the search in them. Any thread may search while another one stores."""

    def __init__(
        self, database: Database, folder: Path, exact_frames: float = EXACT_FRAMES, replica: int | None = None
    ) -> None:
        self.store = CueStore(database)
        store_id = "" if replica is None else self.store.store_id
        self.index = VectorIndex(folder / index_folder_name(store_id, replica or 0, WORDS), self.store, exact_frames)

    def close(self) -> None:
        """Save the index."""
        self.index.close()

    def follow(self) -> None:
        """Take over what has changed in the store."""
        self.index.follow(self.store.revision)

    def find(
        self, sentences: Sequence[Sentence], reasons: Collection[str], video_ids: Sequence[str] = ()
    ) -> dict[str, list[WordMatch]]:
        """The moments whose words fit, by video, in order of time; those below .5 are weaker candidates.

        Args:
            sentences: at least one has a weight above 0.
            reasons: "heard" and "written", or one of them.
            video_ids: look only there; by default in the whole library.
        """
        if not len(self.index):
            return {}
        looked_for = [sentence for sentence in sentences if sentence.weight > 0]
        total = sum(sentence.weight for sentence in looked_for)
        if not total:
            return {}
        scores: defaultdict[int, float] = defaultdict(float)
        found: dict[int, _Found] = {}
        for sentence in looked_for:
            for hit in self._find_lines(sentence, reasons, video_ids):
                scores[hit.cue.cue_id] += sentence.weight / total * hit.score
                found[hit.cue.cue_id] = max(hit, found.get(hit.cue.cue_id, hit), key=lambda one: one.score)
        avoided = {
            hit.cue.cue_id
            for sentence in sentences
            if sentence.weight < 0
            for hit in self._find_lines(sentence, reasons, video_ids)
            if hit.score >= CUT_OFF
        }
        hits = [replace(found[cue_id], score=score) for cue_id, score in scores.items() if cue_id not in avoided]
        return _group(hit for hit in hits if hit.score >= _LEAST_SCORE)

    def _find_lines(self, sentence: Sentence, reasons: Collection[str], video_ids: Sequence[str]) -> list["_Found"]:
        wanted = read_query(sentence.text)
        named, video_ids = frozenset(video_ids), video_ids if len(video_ids) <= _MOST_NAMED else ()
        rarity = _Rarity(self.store, self.store.cue_count(len(self.index)), wanted)
        cosines = self._nearest(sentence.vector, video_ids) if not wanted.phrases else {}
        ids = dict.fromkeys([*self._candidates(wanted, rarity, video_ids), *cosines])
        counts_from = self._counts_from(sentence.vector, wanted)
        found = []
        for cue in self.store.cues(ids).values():
            if REASON_OF.get(cue.source) not in reasons or not _has_phrases(cue, wanted):
                continue
            if named and cue.video_id not in named:
                continue
            by_words, terms = rarity.score(cue.text)
            by_meaning = _score_meaning(cosines.get(cue.cue_id, 0.0), counts_from)
            score = 1 - (1 - max(by_words, by_meaning)) * (1 - 0.15 * min(by_words, by_meaning))
            found.append(_Found(cue, score * (0.8 + 0.2 * cue.confidence), terms, by_words < by_meaning and not terms))
        return found

    def _candidates(self, wanted: Wanted, rarity: "_Rarity", video_ids: Sequence[str]) -> list[int]:
        """Lines that have the words of a query: all of them, or its rarest ones."""
        if wanted.phrases:
            terms = sorted(frozenset().union(*map(term_set, wanted.phrases)))
            return self.store.with_terms(terms, 10 * _MOST_BY_TERMS, all_of=True, video_ids=video_ids)
        terms = rarity.known_terms
        if not terms:
            return []
        some = self.store.with_terms(terms[:1], _MOST_BY_TERMS, video_ids=video_ids)
        if len(terms) > 1 and len(some) < _MOST_BY_TERMS:
            some += self.store.with_terms(terms, _MOST_BY_TERMS, video_ids=video_ids)
        best = [min(unit.terms, key=rarity.frequency) for unit in wanted.units if rarity.is_known(unit)]
        return self.store.with_terms(sorted(set(best)), _MOST_BY_TERMS, all_of=True, video_ids=video_ids) + some

    def _nearest(self, vector: Vector | None, video_ids: Sequence[str]) -> dict[int, float]:
        """The lines that are nearest to a vector, with their cosines."""
        if vector is None or self.index.dimensions not in (0, len(vector)):
            return {}
        if video_ids:
            nearest = list(self._compare_all(vector, video_ids))
        else:
            nearest = self.index.nearest_frames(vector, _MOST_BY_MEANING)
        near = {number: cosine for number, cosine in nearest if cosine >= _LEAST_COSINE}
        cosines: defaultdict[int, float] = defaultdict(float)
        for number, cue_id in self.store.owners(near).items():
            is_part = number != cue_id
            cosines[cue_id] = max(cosines[cue_id], near[number] - _PART_LESS * is_part)
        return cosines

    def _compare_all(self, vector: Vector, video_ids: Sequence[str]) -> Iterator[tuple[int, float]]:
        """The number and cosine of each vector of some videos."""
        for video_id in video_ids:
            for span in self.store.spans_of(video_id):
                products = span.frames.vectors.astype(np.float32) @ vector
                yield from zip(number_frames(span.span_id, len(products)).tolist(), products.tolist(), strict=True)

    def _counts_from(self, vector: Vector | None, wanted: Wanted) -> float:
        """The cosine from which a line counts: none of so many unrelated ones reaches it by chance."""
        words = sum(unit.share for unit in wanted.units)
        least = _COUNTS_FROM + min(max(0.0, _MORE_A_WORD * (words - 1.5)), _MOST_MORE)
        if vector is None:
            return least
        sample = self.index.sample()
        cosines = sample.cosines(vector)
        if not len(cosines):
            return least
        chance = float(np.median(cosines)) + measure_noise(cosines, sample.frame_count)
        return max(least, chance - _PART_LESS + _ABOVE_CHANCE)  # most vectors are of parts


@dataclass(frozen=True)
class _Found:
    cue: StoredCue
    score: float
    terms: frozenset[str]
    by_meaning: bool


class _Rarity:
    """How rare the terms of a query are in the library, and what a line that has some of them scores."""

    def __init__(self, store: CueStore, cue_count: int, wanted: Wanted) -> None:
        self._wanted = wanted
        self._cues = cue_count
        terms = {term for unit in wanted.units for term in unit.terms}
        self._counts = {term: store.count_term(term) for term in terms}
        self._weights = [unit.share * self._weigh(unit) for unit in wanted.units]

    @property
    def known_terms(self) -> list[str]:
        """The terms that some line has, the rarest first."""
        return sorted((term for term, count in self._counts.items() if count), key=self.frequency)

    def frequency(self, term: str) -> tuple[int, str]:
        return self._counts[term] or self._cues + 1, term

    def is_known(self, unit: Unit) -> bool:
        return any(self._counts[term] for term in unit.terms)

    def score(self, text: str) -> tuple[float, frozenset[str]]:
        """The score of a line, and which terms of the query it has."""
        if self._wanted.phrases:
            return _SEVERAL_WORDS, frozenset().union(*map(term_set, self._wanted.phrases))
        terms, total = term_set(text), sum(self._weights)
        has = [any(term in terms for term in unit.terms) for unit in self._wanted.units]
        if not any(has) or not total:
            return 0.0, frozenset()
        share = sum(weight for weight, is_there in zip(self._weights, has, strict=True) if is_there) / total
        words = sum(unit.share for unit, is_there in zip(self._wanted.units, has, strict=True) if is_there)
        full = _SEVERAL_WORDS
        if words < 1.5:
            rarest = max(self._weigh(unit) for unit, is_there in zip(self._wanted.units, has, strict=True) if is_there)
            full = _ONE_WORD + (_ONE_RARE_WORD - _ONE_WORD) * rarest / self._idf(0)
        found = frozenset(term for unit in self._wanted.units for term in unit.terms if term in terms)
        return full * share**_SHARE_POWER, found

    def _weigh(self, unit: Unit) -> float:
        return min(
            self._idf(self._counts[term]) for term in unit.terms if self._counts[term] or not self.is_known(unit)
        )

    def _idf(self, count: int) -> float:
        """The inverse document frequency of BM25 (Robertson and Zaragoza 2009)."""
        return math.log(1 + (max(self._cues, count) - count + 0.5) / (count + 0.5))


def _has_phrases(cue: StoredCue, wanted: Wanted) -> bool:
    return all(phrase in fold_phrase(cue.text) for phrase in wanted.phrases)


def _score_meaning(cosine: float, counts_from: float) -> float:
    """0 at `_LEAST_COSINE`, .5 where lines count, and `_SURE_SCORE` far above."""
    sure = max(_SURE_FROM, counts_from + 0.15)
    return float(np.interp(cosine, [_LEAST_COSINE, counts_from, sure], [0.0, CUT_OFF, _SURE_SCORE]))


def _group(hits: Iterable[_Found]) -> dict[str, list[WordMatch]]:
    """Join the lines of each video to moments that do not overlap, and describe each by its best line."""
    by_video: defaultdict[str, list[WordMatch]] = defaultdict(list)
    for hit in sorted(hits, key=lambda hit: (-hit.score, hit.cue.video_id, hit.cue.start_seconds)):
        by_video[hit.cue.video_id] = _add_line(by_video[hit.cue.video_id], _as_match(hit))
    return {video_id: sorted(found, key=lambda match: match.start_seconds) for video_id, found in by_video.items()}


def _as_match(hit: _Found) -> WordMatch:
    cue = hit.cue
    marks = find_marks(cue.text, hit.terms)
    line = Line(cue.text, cue.start_seconds, cue.language, marks, hit.by_meaning)
    reasons = (REASON_OF[cue.source],)
    return WordMatch(cue.video_id, cue.start_seconds, cue.end_seconds, hit.score, reasons, line)


def _add_line(moments: Sequence[WordMatch], line: WordMatch) -> list[WordMatch]:
    """Add a line, which scores no more than any of them, to moments that do not overlap.

    It joins what it follows or overlaps, if it fits the query nearly as well. Else, or where that would be too long,
    such as a slide that stays while somebody speaks, the better one gives the edges.
    """
    overlapping = [moment for moment in moments if _gap(moment, line) < 0]
    near = [moment for moment in moments if _gap(moment, line) <= _GAP_SECONDS and _fits_as_well(line, moment)]
    start = min(moment.start_seconds for moment in (*near, line))
    end = max(moment.end_seconds for moment in (*near, line))
    joins = near and end - start <= _LONGEST_SECONDS and all(moment in near for moment in overlapping)
    if not overlapping and not joins:
        return [*moments, line]
    if not joins:
        near, start, end = overlapping[:1], overlapping[0].start_seconds, overlapping[0].end_seconds
    best = max(near, key=lambda moment: moment.score)
    counts = [moment for moment in (best, *near, line) if (moment.score >= CUT_OFF) == (best.score >= CUT_OFF)]
    reasons = tuple(dict.fromkeys(reason for moment in counts for reason in moment.reasons))
    joined = replace(best, start_seconds=start, end_seconds=end, reasons=reasons)
    return [joined, *(moment for moment in moments if moment not in near)]


def _fits_as_well(line: WordMatch, moment: WordMatch) -> bool:
    return line.score >= _AS_WELL * moment.score and (moment.score >= CUT_OFF) == (line.score >= CUT_OFF)


def _gap(one: WordMatch, other: WordMatch) -> float:
    """The seconds between two moments; negative where they overlap."""
    return max(one.start_seconds, other.start_seconds) - min(one.end_seconds, other.end_seconds)


def looks_for_a_phrase(sentences: Sequence[Sentence]) -> bool:
    """Whether a query has words in quotes, which only words can answer."""
    return any(sentence.weight > 0 and quotes_a_phrase(sentence.text) for sentence in sentences)
