"""Printed for the labelled videos besides the usual measures: the montage's edges, the library, and no match."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.cases import REPORT, TUNE, Case
from benchmarks.quality.scoring import Options, make_answer, run_rule
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.video_curves import Videos
from clipseek.evaluation.measures import Floats, first_iou, iou
from executors.faiss_indexer.moments.curves import Segment

MONTAGE, MONTAGE_MOMENTS = "montage.mp4", 11
_KEPT_SHARE = 0.95  # of the right answers pass the cut-off that false alarms are counted at
_FIRST = 5


def list_montage_cases(videos: Videos, rate: float) -> list[Case]:
    """The eleven moments that the montage consists of."""
    return videos.cases(rate, [i for i, label in enumerate(videos.labels) if label.video == MONTAGE][:MONTAGE_MOMENTS])


def score_montage(results: Sequence[Sequence[Segment]], cases: Sequence[Case]) -> tuple[int, float]:
    """How many of the best segments have IoU .5 or more, and how far their edges are from the truth on average."""
    hits, errors = 0, []
    for segments, case in zip(results, cases, strict=True):
        if first_iou(make_answer(segments, case)) >= 0.5:
            [(start, end)] = case.moments
            hits += 1
            errors += [abs(segments[0].start_seconds - start), abs(segments[0].end_seconds - end)]
    return hits, float(np.mean(errors)) if errors else float("nan")


def count_best_frames(cases: Sequence[Case]) -> int:
    """In how many cases the best frame of the video lies in a true moment: no rule can find the others' first."""
    best = [case.calibrated.pts_seconds[case.calibrated.scores.argmax()] for case in cases]
    return sum(any(start <= t < end for start, end in case.moments) for t, case in zip(best, cases, strict=True))


@dataclass(frozen=True)
class LibraryRanks:
    """Shares of queries to all videos together, in [0, 1]: those whose best segment is in the right video, those where
    it has IoU .5 with a true moment, and the same for any of the first five."""

    video: float
    moment: float
    video_in_five: float
    moment_in_five: float

    @classmethod
    def of(cls, name: str, options: StrategyOptions, queries: Sequence[Sequence[Case]]) -> "LibraryRanks":
        """`queries` holds for each label the cases with all videos, of which one has true moments."""
        right = [_mark_right(name, options, cases) for cases in queries]
        best, first = (np.mean([rows[:count].any(axis=0) for rows in right], axis=0) for count in (1, _FIRST))
        return cls(float(best[0]), float(best[1]), float(first[0]), float(first[1]))


def _mark_right(name: str, options: StrategyOptions, cases: Sequence[Case]) -> np.ndarray:
    """Whether the video is right, and whether the moment is, for the first five segments of all videos, bool [5, 2]."""
    ranked = [
        (segment, case)
        for case, segments in zip(cases, run_rule(name, options, cases), strict=True)
        for segment in segments
    ]
    ranked.sort(key=lambda pair: -pair[0].score)
    rows = []
    for segment, case in ranked[:_FIRST]:
        found = (segment.start_seconds, segment.end_seconds)
        rows.append((bool(case.moments), max((iou(found, true) for true in case.moments), default=0.0) >= 0.5))
    return np.array(rows)


def show_video_facts(names: Sequence[str], options: Options, videos: Videos, rate: float) -> None:
    """Print the montage and the cut-off, and how well the library as a whole is ranked, rules x measures."""
    cases = videos.cases(rate)
    halves = {split: [case for case in cases if case.split == split] for split in (TUNE, REPORT)}
    nothing = _list_queries_of_all_videos(videos, rate, with_moments=False)
    montage, everywhere = list_montage_cases(videos, rate), _list_queries_of_all_videos(videos, rate, with_moments=True)
    print(f"\nmontage ({len(montage)} moments, of both halves) and no match, {rate:g} fps; all videos, report half")
    print(f"the montage's best frame lies in the moment for {count_best_frames(montage)} of {len(montage)} queries")
    print(f"{'':45}{'best in the right':>22}{'first 5':>18}")
    head = f"{'rule':12}{'IoU .5':>8}{'edges s':>9}{'kept':>7}{'alarms':>9}"
    print(head + f"{'video':>13}{'moment':>9}" + f"{'video':>9}{'moment':>9}")
    for name in names:
        chosen = options[name]
        hits, edges = score_montage(run_rule(name, chosen, montage), montage)
        right = {split: _list_right_scores(name, chosen, halves[split]) for split in halves}
        cut_off = float(np.quantile(right[TUNE], 1 - _KEPT_SHARE)) if len(right[TUNE]) else float("nan")
        best = [max(s[0].score for s in run_rule(name, chosen, query) if s) for query in nothing]
        alarms, kept = np.mean(np.array(best) >= cut_off), np.mean(right[REPORT] >= cut_off)
        ranks = LibraryRanks.of(name, chosen, everywhere)
        row = f"{name:12}{hits:>8}{edges:>9.2f}{100 * kept:>6.0f}%{100 * alarms:>8.0f}%{100 * ranks.video:>13.1f}"
        print(
            f"{row}{100 * ranks.moment:>9.1f}{100 * ranks.video_in_five:>9.1f}{100 * ranks.moment_in_five:>9.1f}",
            flush=True,
        )


def _list_queries_of_all_videos(videos: Videos, rate: float, with_moments: bool) -> list[list[Case]]:
    labels = enumerate(videos.labels)
    wanted = [i for i, label in labels if label.split == REPORT and bool(label.moments) == with_moments]
    return [videos.cases_of_all_videos(i, rate) for i in wanted]


def _list_right_scores(name: str, options: StrategyOptions, cases: Sequence[Case]) -> Floats:
    pairs = zip(run_rule(name, options, cases), cases, strict=True)
    return np.array([segments[0].score for segments, case in pairs if first_iou(make_answer(segments, case)) >= 0.5])
