"""From cases and a rule to answers. Rules are all strategies, and two that are no strategies:

`service` is what a search does today (`Library.search`), `vced-rule` what VCED does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from benchmarks.cases import Case
from benchmarks.vced_rule import find_by_vced_rule
from clipseek.metrics import Answer
from executors.faiss_indexer.segments import Segment, find_segments
from executors.faiss_indexer.strategies import STRATEGIES
from executors.faiss_indexer.strategy_options import StrategyOptions

Rule = Callable[[Case, StrategyOptions], list[Segment]]


def _by_strategy(name: str, case: Case, options: StrategyOptions) -> list[Segment]:
    return STRATEGIES[name](case.curve, case.shots, options)


def _by_service(case: Case, _: StrategyOptions) -> list[Segment]:
    return find_segments(case.curve, shots=case.shots)


def _by_vced_rule(case: Case, _: StrategyOptions) -> list[Segment]:
    return find_by_vced_rule(case.curve, case.unknown, case.logit_scale)


RULES: Mapping[str, Rule] = MappingProxyType(
    {"service": _by_service} | {name: partial(_by_strategy, name) for name in STRATEGIES} | {"vced-rule": _by_vced_rule}
)


def found_segments(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[list[Segment]]:
    """The segments of each case by the rule of this name."""
    return [RULES[name](case, options) for case in cases]


def answers(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[Answer]:
    """What the rule of this name finds in each case, best first, and what is true."""
    found = found_segments(name, options, cases)
    return [answer_of(segments, case) for segments, case in zip(found, cases, strict=True)]


def answer_of(segments: Sequence[Segment], case: Case) -> Answer:
    return Answer([(s.start_seconds, s.end_seconds) for s in segments], case.moments)
