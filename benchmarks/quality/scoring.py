"""From cases and a rule to answers.

Rules are the strategies, on calibrated curves, and what they are measured against, on plain cosines: `peak-walk` and
`gap-merge`, which are strategies too, and `vced-rule`, which is none.
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


def options_for(baselines: Options) -> Options:
    """The options of all rules, those of the baselines being tuned for one kind of scores."""
    return {**TUNED, **baselines, VCED_RULE: StrategyOptions()}


def found_segments(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[list[Segment]]:
    """The segments of each case by the rule of this name."""
    return [_found(name, options, case) for case in cases]


def _found(name: str, options: StrategyOptions, case: Case) -> list[Segment]:
    if name == VCED_RULE:
        return find_by_vced_rule(case.curve, case.unknown, case.logit_scale)
    return find_segments(case.curve if name in BASELINES else case.calibrated, options, case.shots)


def answers(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[Answer]:
    """What the rule of this name finds in each case, best first, and what is true."""
    found = found_segments(name, options, cases)
    return [answer_of(segments, case) for segments, case in zip(found, cases, strict=True)]


def answer_of(segments: Sequence[Segment], case: Case) -> Answer:
    return Answer([(s.start_seconds, s.end_seconds) for s in segments], case.moments)
