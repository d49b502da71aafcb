"""The tables of `benchmarks/quality/__main__.py`: rules x measures, and what one rule gains over others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.quality.cases import Case, calibrate_curve
from benchmarks.quality.scoring import Options, answer_cases
from clipseek.evaluation.measures import MEASURES, Floats, bootstrap, evaluate

_WITH_INTERVAL = ("R1@.5", "mAP")
_CALIBRATION_ERRORS = ((1.0, 0.0), (0.7, 0.0), (1.4, 0.0), (1.0, -0.2), (1.0, 0.2))  # times, then plus


@dataclass(frozen=True)
class Goal:
    """By how many points of R1@.5 a rule should beat another one; its mAP should be higher, too."""

    rule: str
    points: float


GOALS = (Goal("vced-rule", 15.0), Goal("gap-merge", 5.0))


@dataclass(frozen=True)
class Results:
    """The results on one set of cases: by rule and measure the value of each query, float64 [N]."""

    title: str
    queries: int
    values: Mapping[str, Mapping[str, Floats]]

    @classmethod
    def of(cls, title: str, names: Sequence[str], options: Options, cases: Sequence[Case]) -> "Results":
        values = {name: evaluate(answer_cases(name, options[name], cases)) for name in names}
        return cls(title, len(cases), values)

    def show(self) -> None:
        """Print rules x measures."""
        print(f"\n{self.title}, {self.queries} queries; in brackets the 95 % bootstrap interval")
        print(f"{'rule':12}" + "".join(f"{name:>{20 if name in _WITH_INTERVAL else 8}}" for name in MEASURES))
        for name, values in self.values.items():
            cells = []
            for measure in MEASURES:
                estimate = bootstrap(values[measure])
                interval = f" [{100 * estimate.low:.1f} {100 * estimate.high:.1f}]" if measure in _WITH_INTERVAL else ""
                cells.append(f"{100 * estimate.mean:.1f}{interval}".rjust(20 if interval else 8))
            print(f"{name:12}" + "".join(cells), flush=True)


def show_gains(rule: str, results: Sequence[Results]) -> None:
    """Print what a rule gains over those of GOALS on each set, in points, query by query, and whether it is enough."""
    goals = [goal for goal in GOALS if all({rule, goal.rule} <= set(result.values) for result in results)]
    if not goals or rule in {goal.rule for goal in GOALS}:
        return
    print(f"\nwhat `{rule}` gains, in points; in brackets the 95 % bootstrap interval of the difference")
    heads = [f"{'over ' + goal.rule + ': R1@.5':>32}{'mAP':>22}{f'>= {goal.points:g}?':>8}" for goal in goals]
    print(f"{'':44}" + "".join(heads))
    for result in results:
        cells = [_format_gain(result.values[rule], result.values[goal.rule], goal) for goal in goals]
        print(f"{result.title:44}" + "".join(cells), flush=True)


def _format_gain(ours: Mapping[str, Floats], theirs: Mapping[str, Floats], goal: Goal) -> str:
    recall, precision = (bootstrap(100 * (ours[measure] - theirs[measure])) for measure in _WITH_INTERVAL)
    reached = "yes" if recall.mean >= goal.points and precision.mean > 0 else "no"
    cells = [f"{gain.mean:+.1f} [{gain.low:+.1f} {gain.high:+.1f}]" for gain in (recall, precision)]
    return f"{cells[0]:>32}{cells[1]:>22}{reached:>8}"


def show_calibration_errors(rule: str, options: Options, sets: Mapping[str, Sequence[Case]]) -> None:
    """Print R1@.5 and mAP of a rule where the calibration of every curve is wrong by a factor or a shift."""
    print(f"\n`{rule}` with scores calibrated wrongly: R1@.5 / mAP")
    print(f"{'':44}" + "".join(f"{f'x {scale:g} {shift:+g}':>14}" for scale, shift in _CALIBRATION_ERRORS))
    for title, cases in sets.items():
        cells = []
        for scale, shift in _CALIBRATION_ERRORS:
            wrong = [replace(c, calibrated=calibrate_curve(c.calibrated, -shift / scale, 1 / scale)) for c in cases]
            values = evaluate(answer_cases(rule, options[rule], wrong))
            cells.append(" / ".join(f"{100 * values[measure].mean():.1f}" for measure in _WITH_INTERVAL))
        print(f"{title:44}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
