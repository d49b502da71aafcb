"""Runs a rule on cases.

Rules are the strategies, on calibrated curves, and the baselines, on plain cosines: `peak-walk`, `gap-merge` and
`vced-rule`, which is no strategy.
"""

from collections.abc import Mapping, Sequence

from benchmarks.quality.cases import Case
from benchmarks.quality.strategies.catalogue import STRATEGIES, TUNED, find_segments
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.vced_rule import find_by_vced_rule
from clipseek.evaluation.measures import Answer
from executors.faiss_indexer.moments.curves import Segment

VCED_RULE = "vced-rule"
BASELINES = ("peak-walk", "gap-merge", VCED_RULE)
RULES = (*STRATEGIES, VCED_RULE)
Options = Mapping[str, StrategyOptions]


def choose_options(baselines: Options) -> Options:
    """The options of all rules; those of the baselines are tuned for one kind of scores."""
    return {**TUNED, **baselines, VCED_RULE: StrategyOptions()}


def run_rule(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[list[Segment]]:
    """The segments of each case by the rule of this name."""
    return [_find_segments(name, options, case) for case in cases]


def _find_segments(name: str, options: StrategyOptions, case: Case) -> list[Segment]:
    if name == VCED_RULE:
        return find_by_vced_rule(case.curve, case.unknown, case.logit_scale)
    return find_segments(case.curve if name in BASELINES else case.calibrated, options, case.shots)


def answer_cases(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[Answer]:
    """The segments of each case by the rule of this name, best first, with the true moments."""
    results = run_rule(name, options, cases)
    return [make_answer(segments, case) for segments, case in zip(results, cases, strict=True)]


def make_answer(segments: Sequence[Segment], case: Case) -> Answer:
    return Answer([(s.start_seconds, s.end_seconds) for s in segments], case.moments)
