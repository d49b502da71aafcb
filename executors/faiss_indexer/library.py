"""The library: the store and its index together, and the search over them."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidTimeRange, ModelMismatch, MomentNotIndexed
from clipseek.config.settings import EXACT_FRAMES
from executors.faiss_indexer.index.vector_index import Recall, VectorIndex
from executors.faiss_indexer.moments.segments import ScoreCurve, Segment
from executors.faiss_indexer.ranking.calibration import Calibrated, calibrated
from executors.faiss_indexer.ranking.merging import Ranking, SearchAnswer
from executors.faiss_indexer.ranking.queries import (
    Found,
    Part,
    SearchOptions,
    find_others,
    judged,
    known_moments,
    moment_around,
)
from executors.faiss_indexer.ranking.relevance import Relevance
from executors.faiss_indexer.store.frame_cache import FrameCache
from executors.faiss_indexer.store.store import Frames, Store, VideoRecord, shots_between

logger = logging.getLogger(__name__)

# By which blank frames score less than all others: more than `SegmentOptions.least_contrast`, so that a still picture
# and the black around it are no flat curve.
_BELOW_ALL = 0.5
_ROUNDING = 1e-5  # of products that Faiss and NumPy sum up in another order


@dataclass(frozen=True)
class Timeline:
    """The score curve of one video for a query, pts_seconds and scores float64 [N], and its matches."""

    pts_seconds: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    shot_start_seconds: list[float]
    answer: SearchAnswer[Found]


@dataclass(frozen=True)
class _LookedAt:
    """A video, the curve of its frames in the range asked for, and the segments that a query may be answered with."""

    video: VideoRecord
    curve: ScoreCurve
    segments: list[Segment]


class Library:
    """What is stored below `folder`, searchable. Any thread may search while another one stores.

    Up to `exact_frames` every frame is compared with a query, see `VectorIndex`. Writes are one at a time by the
    store's own lock; the index follows each of them.
    """

    def __init__(self, folder: Path, exact_frames: float = EXACT_FRAMES) -> None:
        self.store = Store(folder)
        self._index = VectorIndex(folder / "index", self.store, exact_frames)
        self.relevance = Relevance(self._index.mean_frame, self.store.fitted_shift(self.store.model_id))
        self._cache = FrameCache(self.store.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Save the index and close the store."""
        self._index.close()
        self.store.close()

    @property
    def dimensions(self) -> int:
        """Of the frames' vectors; 0 where there are no frames."""
        return self._index.dimensions

    @property
    def frame_count(self) -> int:
        """How many frames can be found."""
        return len(self._index)

    @property
    def index_kind(self) -> str:
        """How the index compares frames, for people."""
        return self._index.kind

    @property
    def is_being_improved(self) -> bool:
        """Whether an index of another kind is being made in the background."""
        return self._index.is_being_exchanged

    def recall(self) -> Recall:
        """How much of what is truly nearest the index finds; see `VectorIndex.recall`."""
        return self._index.recall()

    def frame_sum(self) -> tuple[npt.NDArray[np.float64], int]:
        """The sum of the frames' vectors, float64 [D], and their count; see `VectorIndex.frame_sum`."""
        return self._index.frame_sum()

    def put_span(self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str) -> None:
        """Store the frames of `[start, end)` of a registered video and make them findable; see `Store.put_span`."""
        span_id, replaced = self.store.put_span(video_id, span, frames, model_id)
        self._index.remove(replaced)
        self._index.add(span_id, video_id, frames)
        self._cache.drop(video_id)

    def claim(self, model_id: str) -> None:
        """Make ready for a model's frames; see `Store.claim`."""
        self.store.claim(model_id)
        self.relevance.fitted_shift = self.store.fitted_shift(model_id)

    def register(self, video: VideoRecord, model_id: str, added_after: float = 0.0) -> VideoRecord:
        """Put a video into the store; see `Store.register`. Returns: the video as stored."""
        dropped = self.store.register(video, model_id, added_after)
        if dropped:
            self._index.remove(dropped)
            self._cache.drop(video.video_id)
        self.relevance.fitted_shift = self.store.fitted_shift(model_id)  # an empty store may become another model's
        return self.store.video(video.video_id)

    def delete(self, video_id: str) -> None:
        """Forget a video and its frames, if there are any."""
        self._index.remove(self.store.delete(video_id))
        self._cache.drop(video_id)

    def search(self, parts: Sequence[Part], options: SearchOptions) -> SearchAnswer[Found]:
        """Find the segments that fit a query best.

        Args:
            parts: what to look for and what to avoid; at least one weight is above 0.

        Raises:
            VideoNotFound, InvalidTimeRange, ModelMismatch.
        """
        return self.ranked(parts, options, self.relevance).answer(*self.searched(options))

    def ranked(self, parts: Sequence[Part], options: SearchOptions, relevance: Relevance) -> Ranking[Found]:
        """The best matches for a query, as many as its page and those before it want.

        Args:
            relevance: of the whole library, which this one may be a shard of.

        Raises:
            VideoNotFound, InvalidTimeRange, ModelMismatch.
        """
        self._check_models(parts)
        ranking: Ranking[Found] = Ranking(options, options.cut_off(relevance.cut_off))
        for bound, video in self._candidates(parts, options, relevance):
            if ranking.is_settled(bound):
                break
            ranking.add(self._matches(self._looked_at(video, parts, options, relevance), relevance))
        return ranking

    def timeline(self, parts: Sequence[Part], options: SearchOptions, relevance: Relevance | None = None) -> Timeline:
        """The score of every frame of the one video that the options name, and what `search` finds in it.

        Args:
            relevance: of the whole library, where this one is a shard of it.

        Raises:
            VideoNotFound, InvalidTimeRange, ModelMismatch.
        """
        relevance = relevance or self.relevance
        self._check_models(parts)
        [(_, video)] = self._candidates(parts, options, relevance)
        looked = self._looked_at(video, parts, options, relevance)
        ranking: Ranking[Found] = Ranking(options, options.cut_off(relevance.cut_off))
        ranking.add(self._matches(looked, relevance))
        return Timeline(
            looked.curve.pts_seconds,
            relevance.score(looked.curve.scores),
            [start for start, _ in self._shots(video)],
            ranking.answer(*self.searched(options)),
        )

    def calibrate(self, phrases: Sequence[Part], answered_share: float) -> Calibrated:
        """Set the cut-off such that no more than a share of neutral phrases finds a match in this library.

        Each phrase is searched for as a query is. Most libraries hold none of what they describe, so what they find is
        what a query finds by chance. The cut-off moves within bounds: a library that holds everything would have it
        rise without end.

        Raises:
            ModelMismatch.
        """
        self._check_models(phrases)
        best = np.array([self._best_relevance(phrase) for phrase in phrases])
        made = calibrated(best, self.relevance.fitted_shift, answered_share)
        self.keep_shift(made.shift, phrases[0].model_id)
        return made

    def forget_calibration(self) -> None:
        """Let matches begin where the model's own scale says."""
        self.keep_shift(0.0, "")

    def keep_shift(self, shift: float, model_id: str) -> None:
        """Keep what a calibration found, for one model."""
        self.store.keep_fitted_shift(shift, model_id)
        self.relevance.fitted_shift = shift

    def _best_relevance(self, phrase: Part) -> float:
        """Of the best match, whatever was fitted; -inf in an empty library."""
        found = self.search([phrase], SearchOptions(top_k=1, all_matches=True)).found
        return found[0].segment.score + self.relevance.fitted_shift if found else -np.inf

    def moment(self, video_id: str, at_seconds: float, weight: float = 1.0) -> Part:
        """What is seen at a time of a video, as a part of a query: the mean of the frames around it in its shot.

        Raises:
            VideoNotFound: there is no such video.
            InvalidTimeRange: the time is outside it.
            MomentNotIndexed: that part of it has not been indexed yet.
        """
        video = self.store.video(video_id)
        if not 0 <= at_seconds <= video.duration_seconds:
            raise InvalidTimeRange(
                f"{at_seconds:g} s is outside the video '{video.title}', which is {video.duration_seconds:.1f} s long"
            )
        spans = self.store.stored_spans(video_id)
        frames = self._cache.get(video_id)
        if not len(frames.vectors) or not any(start <= at_seconds <= end for start, end in spans):
            raise MomentNotIndexed(
                f"The video '{video.title}' is not indexed at {at_seconds:g} s yet. Wait until it is ready, or index "
                f"it again: it goes on where it stopped."
            )
        shots = self._shots(video)
        shot = next((shot for shot in shots if shot[0] <= at_seconds < shot[1]), shots[-1])
        place, span = moment_around(frames.pts_seconds, shot, at_seconds)
        mean = frames.vectors[place].mean(axis=0)
        return Part(mean / np.linalg.norm(mean), weight, moment=(video_id, span))

    def _check_models(self, parts: Sequence[Part]) -> None:
        for model_id in {part.model_id for part in parts if part.model_id}:
            self.store.check_model(model_id)

    def _candidates(
        self, parts: Sequence[Part], options: SearchOptions, relevance: Relevance
    ) -> Iterator[tuple[float, VideoRecord]]:
        """The videos to look at, each with what its matches score at most (in the unit of the curve), highest first."""
        if options.video_ids:
            yield from ((math.inf, video) for video in self._named(options))
            return
        vector, offset = relevance.wanted(parts)
        for video_id, product in self._index.nearest_videos(vector):
            for video in self.store.known_videos([video_id]):
                if options.span(video.duration_seconds):
                    yield product + offset + _ROUNDING, video

    def _named(self, options: SearchOptions) -> list[VideoRecord]:
        """Raises VideoNotFound, InvalidTimeRange."""
        named = [self.store.video(video_id) for video_id in dict.fromkeys(options.video_ids)]
        inside = [video for video in named if options.span(video.duration_seconds)]
        if not inside:
            lengths = ", ".join(f"'{video.title}' is {video.duration_seconds:.1f} s long" for video in named[:3])
            raise InvalidTimeRange(
                f"The range from {options.start_seconds:g} s on is outside the videos to look at: {lengths}."
            )
        return inside

    def _looked_at(
        self, video: VideoRecord, parts: Sequence[Part], options: SearchOptions, relevance: Relevance
    ) -> _LookedAt:
        span = options.span(video.duration_seconds) or (0.0, 0.0)
        curve, finding = self._curves(video, parts, span, relevance)
        if not len(curve.scores):
            return _LookedAt(video, curve, [])
        known = known_moments(video.video_id, parts)
        found = find_others(finding, self._shots(video), span, options, known)
        return _LookedAt(video, curve, judged(found, curve))

    def _matches(self, looked: _LookedAt, relevance: Relevance) -> list[Found]:
        scores = relevance.score(np.array([segment.score for segment in looked.segments])).tolist()
        return [Found(looked.video, segment, score) for segment, score in zip(looked.segments, scores, strict=True)]

    def searched(self, options: SearchOptions) -> tuple[int, int]:
        """How many videos' frames are compared with a query, and how many frames."""
        frames_of = self._index.frames_of
        counts = list(frames_of.values())
        if options.video_ids:
            counts = [frames_of.get(video.video_id, 0) for video in self._named(options)]
        elif options.is_limited_in_time:
            long_enough = (v.video_id for v in self.store.videos() if options.span(v.duration_seconds))
            counts = [frames_of[video_id] for video_id in long_enough if video_id in frames_of]
        return len(counts), sum(counts)

    def _shots(self, video: VideoRecord) -> list[tuple[float, float]]:
        return shots_between(self._cache.get(video.video_id).cut_seconds, video.duration_seconds)

    def curve(
        self, video: VideoRecord, parts: Sequence[Part], span: tuple[float, float] = (0.0, math.inf)
    ) -> ScoreCurve:
        """How well every frame of a video, or of a `[start, end)` of it, fits a query; see `Relevance.curve`.

        Frames in which nothing is to be seen match nothing: they score clearly less than all others, 0 at most.
        """
        return self._curves(video, parts, span, self.relevance)[0]

    def _curves(
        self, video: VideoRecord, parts: Sequence[Part], span: tuple[float, float], relevance: Relevance
    ) -> tuple[ScoreCurve, ScoreCurve]:
        """The curve to judge by, and the one to find moments in, which is drawn with the parts' curve vectors: better
        at where in a video something fits best."""
        frames = self._cache.get(video.video_id)
        first, last = np.searchsorted(frames.pts_seconds, span)
        pts_seconds = frames.pts_seconds[first:last]
        if not len(pts_seconds):
            empty = ScoreCurve(pts_seconds, np.empty(0), video.duration_seconds)
            return empty, empty
        vectors = frames.vectors[first:last]
        for part in parts:
            if vectors.shape[1] != len(part.vector):
                raise ModelMismatch(
                    f"The query's embedding has {len(part.vector)} dimensions, the frames of video {video.video_id} "
                    f"{vectors.shape[1]}: another model made them. Delete the video and index it again."
                )

        def drawn(*, to_find: bool) -> ScoreCurve:
            scores = relevance.curve(vectors, parts, to_find=to_find)
            blank = frames.blank[first:last]
            if blank.any() and not blank.all():
                scores[blank] = min(0.0, scores[~blank].min() - _BELOW_ALL)  # 0: nothing to do with the query
            return ScoreCurve(pts_seconds, scores, video.duration_seconds)

        judging = drawn(to_find=False)
        return judging, drawn(to_find=True) if any(part.curve_vector is not None for part in parts) else judging
