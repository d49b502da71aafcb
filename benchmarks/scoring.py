"""From cases and a strategy to answers."""

from collections.abc import Sequence

from benchmarks.cases import Case
from clipseek.metrics import Answer
from executors.faiss_indexer.segments import Segment
from executors.faiss_indexer.strategies import STRATEGIES
from executors.faiss_indexer.strategy_options import StrategyOptions


def found_segments(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[list[Segment]]:
    """The segments of each case by the strategy of this name."""
    strategy = STRATEGIES[name]
    return [strategy(case.curve, case.shots, options) for case in cases]


def answers(name: str, options: StrategyOptions, cases: Sequence[Case]) -> list[Answer]:
    """What the strategy of this name finds in each case, best first, and what is true."""
    found = found_segments(name, options, cases)
    return [answer_of(segments, case) for segments, case in zip(found, cases, strict=True)]


def answer_of(segments: Sequence[Segment], case: Case) -> Answer:
    return Answer([(s.start_seconds, s.end_seconds) for s in segments], case.moments)
