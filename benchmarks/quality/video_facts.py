"""What is printed of the labelled videos beside the usual measures: the montage's edges, the library, and no match."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.cases import REPORT, TUNE, Case
from benchmarks.quality.scoring import Options, answer_of, found_segments
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.video_curves import Videos
from clipseek.evaluation.measures import Floats, first_iou, iou
from executors.faiss_indexer.moments.curves import Segment

MONTAGE, MONTAGE_MOMENTS = "montage.mp4", 11
_KEPT_SHARE = 0.95  # of the right answers, by the cut-off that false alarms are counted at
_FIRST = 5


def montage_cases(videos: Videos, rate: float) -> list[Case]:
    """The eleven moments that the montage was cut together from."""
    return videos.cases(rate, [i for i, label in enumerate(videos.labels) if label.video == MONTAGE][:MONTAGE_MOMENTS])


def montage_score(found: Sequence[Sequence[Segment]], cases: Sequence[Case]) -> tuple[int, float]:
    """How many of the best segments have IoU .5 or more, and how far their edges are from the truth on average."""
    hits, errors = 0, []
    for segments, case in zip(found, cases, strict=True):
        if first_iou(answer_of(segments, case)) >= 0.5:
            [(start, end)] = case.moments
            hits += 1
            errors += [abs(segments[0].start_seconds - start), abs(segments[0].end_seconds - end)]
    return hits, float(np.mean(errors)) if errors else float("nan")


@dataclass(frozen=True)
class LibraryRanks:
    """Of queries to all videos together, in [0, 1]: how often the best segment is in the right video, and how often it
    has IoU .5 with a true moment; the same for any of the first five."""

    video: float
    moment: float
    video_in_five: float
    moment_in_five: float

    @classmethod
    def of(cls, name: str, options: StrategyOptions, queries: Sequence[Sequence[Case]]) -> "LibraryRanks":
        """Queries: each the cases of one label with all videos, of which one has true moments."""
        right = [_right_ones(name, options, cases) for cases in queries]
        best, first = (np.mean([rows[:count].any(axis=0) for rows in right], axis=0) for count in (1, _FIRST))
        return cls(float(best[0]), float(best[1]), float(first[0]), float(first[1]))


def _right_ones(name: str, options: StrategyOptions, cases: Sequence[Case]) -> np.ndarray:
    """Of the first five segments of all videos: whether the video is right, and whether the moment is, bool [5, 2]."""
    ranked = [
        (segment, case)
        for case, segments in zip(cases, found_segments(name, options, cases), strict=True)
        for segment in segments
    ]
    ranked.sort(key=lambda pair: -pair[0].score)
    rows = []
    for segment, case in ranked[:_FIRST]:
        span = (segment.start_seconds, segment.end_seconds)
        rows.append((bool(case.moments), max((iou(span, true) for true in case.moments), default=0.0) >= 0.5))
    return np.array(rows)


def show_video_facts(names: Sequence[str], options: Options, videos: Videos, rate: float) -> None:
    """Print the montage and the cut-off, and how well the library as a whole is ranked, rules x measures."""
    cases = videos.cases(rate)
    halves = {split: [case for case in cases if case.split == split] for split in (TUNE, REPORT)}
    nothing = _queries_of_all_videos(videos, rate, with_moments=False)
    montage, everywhere = montage_cases(videos, rate), _queries_of_all_videos(videos, rate, with_moments=True)
    print(f"\nmontage ({MONTAGE_MOMENTS} moments, of both halves) and no match, {rate:g} fps; all videos, report half")
    print(f"{'':45}{'best in the right':>22}{'first 5':>18}")
    head = f"{'rule':12}{'IoU .5':>8}{'edges s':>9}{'kept':>7}{'alarms':>9}"
    print(head + f"{'video':>13}{'moment':>9}" + f"{'video':>9}{'moment':>9}")
    for name in names:
        chosen = options[name]
        hits, edges = montage_score(found_segments(name, chosen, montage), montage)
        right = {split: _scores_of_right_ones(name, chosen, halves[split]) for split in halves}
        cut_off = float(np.quantile(right[TUNE], 1 - _KEPT_SHARE)) if len(right[TUNE]) else float("nan")
        best = [max(s[0].score for s in found_segments(name, chosen, query) if s) for query in nothing]
        alarms, kept = np.mean(np.array(best) >= cut_off), np.mean(right[REPORT] >= cut_off)
        ranks = LibraryRanks.of(name, chosen, everywhere)
        row = f"{name:12}{hits:>8}{edges:>9.2f}{100 * kept:>6.0f}%{100 * alarms:>8.0f}%{100 * ranks.video:>13.1f}"
        print(
            f"{row}{100 * ranks.moment:>9.1f}{100 * ranks.video_in_five:>9.1f}{100 * ranks.moment_in_five:>9.1f}",
            flush=True,
        )


def _queries_of_all_videos(videos: Videos, rate: float, with_moments: bool) -> list[list[Case]]:
    labels = enumerate(videos.labels)
    wanted = [i for i, label in labels if label.split == REPORT and bool(label.moments) == with_moments]
    return [videos.cases_of_all_videos(i, rate) for i in wanted]


def _scores_of_right_ones(name: str, options: StrategyOptions, cases: Sequence[Case]) -> Floats:
    found = found_segments(name, options, cases)
    pairs = zip(found, cases, strict=True)
    return np.array([segments[0].score for segments, case in pairs if first_iou(answer_of(segments, case)) >= 0.5])
