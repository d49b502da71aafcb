"""The library: the store and its index together, and the search over them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidTimeRange, StoreError
from clipseek.api.limits import SEEN
from clipseek.config.settings import EXACT_FRAMES
from executors.faiss_indexer.index.frame_sample import measure_noise
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.moments.segments import ScoreCurve, Segment
from executors.faiss_indexer.ranking.matches import VideoMatch, adjust_matches, find_matches
from executors.faiss_indexer.ranking.merging import Ranking, SearchAnswer
from executors.faiss_indexer.ranking.queries import Part, SearchOptions, list_moments_of
from executors.faiss_indexer.ranking.relevance import Calibrated, Relevance, fit_shift
from executors.faiss_indexer.ranking.video_curves import CurveSource
from executors.faiss_indexer.store.cache_file import index_folder_name
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.store import Store
from executors.faiss_indexer.words.joining import join_matches
from executors.faiss_indexer.words.word_search import Sentence, WordMatch, Words, looks_for_a_phrase

_MORE_VIDEOS = 16  # with words: their pictures may put them before others
_ROUNDING = 1e-5  # of products that Faiss and NumPy sum in another order


@dataclass(frozen=True)
class Timeline:
    """The score curve of one video for a query, pts_seconds and scores float64 [N], and its matches."""

    pts_seconds: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    shot_start_seconds: list[float]
    answer: SearchAnswer[VideoMatch]


class Library(AbstractContextManager["Library"]):
    """What is stored below `folder`, searchable. Any thread may search while another one stores.

    Up to `exact_frames` every frame is compared with a query, see `VectorIndex`. Several libraries may share a store,
    in processes of their own: before each search the index follows what any of them has changed.

    Args:
        folder: of the SQLite store, and of the saved index.
        database: of the store, if it is not in the folder.
        replica: number of this process among those that share database and folder; None: it does not share them.
        slot: of the model whose vectors it searches; by default that of the one that answers.
        words: those of the library, which all its models share; by default it opens them.
    """

    def __init__(
        self,
        folder: Path,
        exact_frames: float = EXACT_FRAMES,
        database: Database | None = None,
        replica: int | None = 0,
        slot: str | None = None,
        words: Words | None = None,
    ) -> None:
        self.store = Store(database or folder, slot)
        self.curves = CurveSource(self.store)
        store_id = "" if database is None or replica is None else self.store.store_id
        saved = index_folder_name(store_id, replica or 0, self.store.slot)
        self.index = VectorIndex(folder / saved, self.store, exact_frames)
        self.relevance = Relevance(self.index.mean_frame)
        self.words = words or Words(self.store.database, folder, exact_frames, replica if store_id else None)
        self.follow()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save the indexes and close the store."""
        self.release()
        self.words.close()
        self.store.close()

    def release(self) -> None:
        """Save the index of pictures, and leave the store and the words open to others."""
        with suppress(StoreError):  # its server may be away; then the next start follows
            self.follow()
        self.index.close()

    def follow(self) -> None:
        """Take over what has changed in the store, also by other processes. Without changes it is one short query."""
        state = self.store.state()
        self.relevance.fitted_shift = state.fitted_shift
        self.index.follow(state.revision, self.curves.forget)
        self.words.follow()

    # Changes

    def put_span(self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str) -> None:
        """Store the frames of `[start, end)` of a registered video and index them; see `Store.put_span`."""
        self.store.put_span(video_id, span, frames, model_id)
        self.follow()

    def register(self, video: VideoRecord, model_id: str) -> VideoRecord:
        """Add a video to the store; see `Store.register`. Returns: the video as stored."""
        self.store.register(video, model_id)
        self.follow()
        return self.store.video(video.video_id)

    def delete(self, video_id: str) -> None:
        """Forget a video and its frames; an unknown one is no error."""
        self.store.delete(video_id)
        self.follow()

    # Searching

    def search(
        self, parts: Sequence[Part], options: SearchOptions, sentences: Sequence[Sentence] = ()
    ) -> SearchAnswer[VideoMatch]:
        """Find the segments that fit a query best. At least one part has a weight above 0.

        Args:
            sentences: the texts among the parts, to find in the words of videos, too.

        Raises: VideoNotFound, InvalidTimeRange, ModelMismatch.
        """
        parts = self._prepare(parts)
        ranking: Ranking[VideoMatch] = Ranking(options, options.cut_off(self.relevance.cut_off))
        worded = self._find_worded(sentences, options)
        for matches in worded.values():
            seen = self._find_seen(matches[0].video, parts, options, sentences)[1]
            ranking.add(self._join(seen, matches, options))
        if self._looks_at_pictures(options, sentences):
            for bound, video in self._list_candidates(parts, options):
                if ranking.is_settled(bound):
                    break
                if video.video_id not in worded:
                    ranking.add(self._find_matches(video, parts, options)[1])
        return ranking.answer(*self.count_searched(options))

    def timeline(self, parts: Sequence[Part], options: SearchOptions, sentences: Sequence[Sentence] = ()) -> Timeline:
        """The score of every frame of the one video that the options name, and what `search` finds in it.

        Raises: VideoNotFound, InvalidTimeRange, ModelMismatch.
        """
        parts = self._prepare(parts)
        [(_, video)] = self._list_candidates(parts, options)
        curve, seen = self._find_seen(video, parts, options, sentences)
        worded = self._find_worded(sentences, options).get(video.video_id, [])
        ranking: Ranking[VideoMatch] = Ranking(options, options.cut_off(self.relevance.cut_off))
        ranking.add(self._join(seen, worded, options))
        return Timeline(
            curve.pts_seconds,
            self.relevance.score(curve.scores),
            [start for start, _ in self.curves.shots(video)],
            ranking.answer(*self.count_searched(options)),
        )

    def moment(self, video_id: str, at_seconds: float, weight: float = 1.0) -> Part:
        """What is seen at a time of a video, as a part of a query.

        Raises: VideoNotFound, InvalidTimeRange, MomentNotIndexed.
        """
        self.follow()
        return self.curves.make_part(self.store.video(video_id), at_seconds, weight)

    def count_searched(self, options: SearchOptions) -> tuple[int, int]:
        """How many videos a query is compared with, and how many frames. Raises: VideoNotFound, InvalidTimeRange."""
        frames_of = self.index.frames_of
        counts = list(frames_of.values())
        if options.video_ids:
            counts = [frames_of.get(video.video_id, 0) for video in self._find_named(options)]
        elif options.is_limited_in_time:
            long_enough = (v.video_id for v in self.store.videos() if options.range_in(v.duration_seconds))
            counts = [frames_of[video_id] for video_id in long_enough if video_id in frames_of]
        return len(counts), sum(counts)

    def _prepare(self, parts: Sequence[Part]) -> list[Part]:
        """Follow the store, and measure a query's parts against it. Raises: ModelMismatch."""
        self.follow()
        self._check_models(parts)
        return self._with_noise(parts)

    def _with_noise(self, parts: Sequence[Part]) -> list[Part]:
        """Measure the noise of each part that lacks it: once for a query, because it takes a millisecond."""
        sample = self.index.sample()

        def measured(part: Part) -> Part:
            noise = measure_noise(sample.cosines(part.vector), sample.frame_count)
            return replace(part, noise=noise)

        return [measured(part) if part.has_noise else part for part in parts]

    def _check_models(self, parts: Sequence[Part]) -> None:
        for model_id in {part.model_id for part in parts if part.model_id}:
            self.store.check_model(model_id)

    def _list_candidates(self, parts: Sequence[Part], options: SearchOptions) -> Iterator[tuple[float, VideoRecord]]:
        """The videos to search, best first, each with the highest score of the curve that its matches can have."""
        if options.video_ids:
            yield from ((math.inf, video) for video in self._find_named(options))
            return
        vector, offset = self.relevance.combine(parts)
        for video_id, product in self.index.nearest_videos(vector):
            for video in self.store.known_videos([video_id]):
                if options.range_in(video.duration_seconds):
                    yield product + offset + _ROUNDING, video

    def _find_named(self, options: SearchOptions) -> list[VideoRecord]:
        named = [self.store.video(video_id) for video_id in dict.fromkeys(options.video_ids)]
        inside = [video for video in named if options.range_in(video.duration_seconds)]
        if not inside:
            lengths = ", ".join(f"'{video.title}' is {video.duration_seconds:.1f} s long" for video in named[:3])
            raise InvalidTimeRange(
                f"The range to search starts at {options.start_seconds:g} s, which is outside the videos: {lengths}."
            )
        return inside

    def _find_matches(
        self, video: VideoRecord, parts: Sequence[Part], options: SearchOptions
    ) -> tuple[ScoreCurve, list[VideoMatch]]:
        """The curve of a video's frames in the range to search, and its matches, whatever they score."""
        relevance = self.relevance
        time_range = options.range_in(video.duration_seconds) or (0.0, 0.0)
        curve = self.curves.draw(video, parts, relevance, time_range)
        if not len(curve.scores):
            return curve, []
        known = list_moments_of(video.video_id, parts)
        least = relevance.find_least(options.cut_off(relevance.cut_off)) - _ROUNDING
        noise, shots = relevance.find_noise(parts), self.curves.shots(video)
        segments = find_matches(curve, shots, time_range, options, known=known, least=least, noise=noise)
        scores = relevance.score(np.array([segment.score for segment in segments])).tolist()
        matches = [VideoMatch(video, segment, score) for segment, score in zip(segments, scores, strict=True)]
        return curve, matches

    # Words

    @staticmethod
    def _looks_at_pictures(options: SearchOptions, sentences: Sequence[Sentence]) -> bool:
        return SEEN in options.reasons and not looks_for_a_phrase(sentences)

    def _find_seen(
        self, video: VideoRecord, parts: Sequence[Part], options: SearchOptions, sentences: Sequence[Sentence]
    ) -> tuple[ScoreCurve, list[VideoMatch]]:
        """As `_find_matches`; no matches if the query does not ask for pictures."""
        curve, matches = self._find_matches(video, parts, options)
        return curve, matches if self._looks_at_pictures(options, sentences) else []

    def _find_worded(self, sentences: Sequence[Sentence], options: SearchOptions) -> dict[str, list[VideoMatch]]:
        """The matches by words, by video: the best videos only, as many as a page could show."""
        reasons = [reason for reason in options.reasons if reason != SEEN]
        if not sentences or not reasons:
            return {}
        named = [video.video_id for video in self._find_named(options)] if options.video_ids else []
        found = self.words.find(sentences, reasons, named)
        best_first = sorted(found, key=lambda video_id: -max(match.score for match in found[video_id]))
        worded = {}
        for video in self.store.known_videos(best_first[: options.offset + options.top_k + _MORE_VIDEOS]):
            if matches := self._as_matches(video, found[video.video_id], options):
                worded[video.video_id] = matches
        return worded

    def _as_matches(self, video: VideoRecord, found: Sequence[WordMatch], options: SearchOptions) -> list[VideoMatch]:
        """Moments with words as matches, with the range, padding and lengths that the options ask for."""
        time_range = options.range_in(video.duration_seconds)
        if time_range is None:
            return []
        matches = []
        for match in found:
            start, end = max(match.start_seconds, time_range[0]), min(match.end_seconds, time_range[1])
            if start < end:
                relevance = self.relevance.find_least(match.score)
                segment = Segment(start, end, relevance, max(start, min(match.line.line_start_seconds, end)))
                matches.append(VideoMatch(video, segment, match.score, match.reasons, match.line))
        return adjust_matches(matches, time_range, options)

    def _join(
        self, seen: Sequence[VideoMatch], worded: Sequence[VideoMatch], options: SearchOptions
    ) -> list[VideoMatch]:
        joined = join_matches(seen, worded, options.maximum_seconds)
        return sorted(joined, key=lambda match: match.order)[: options.per_video or None]

    # Calibration

    def calibrate(self, phrases: Sequence[Part], answered_share: float) -> Calibrated:
        """Set the cut-off such that at most a share of neutral phrases finds a match in this library.

        Each phrase is searched like a query. Most libraries show nothing of what the phrases describe, so their matches
        are those that a query gets by chance. The cut-off moves within bounds: in a library that shows everything it
        would rise without end.

        Raises: ModelMismatch.
        """
        best = np.array([self._find_best_relevance(phrase) for phrase in phrases])
        calibrated = fit_shift(best, self.relevance.fitted_shift, answered_share)
        self.store.keep_fitted_shift(calibrated.shift, phrases[0].model_id)
        self.follow()
        return calibrated

    def forget_calibration(self) -> None:
        """Let matches begin where the model's own scale says."""
        self.store.keep_fitted_shift(0.0, "")
        self.follow()

    def _find_best_relevance(self, phrase: Part) -> float:
        """Of the best match; -inf in an empty library."""
        matches = self.search([phrase], SearchOptions(top_k=1, all_matches=True)).matches
        return matches[0].segment.score if matches else -np.inf
