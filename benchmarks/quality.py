"""How good the segment strategies are: `python -m benchmarks.quality`.

Prints strategies x measures on made curves (see `synthetic_curves.py`) and on the labelled films (see `labels/`), for
the half of the cases that no option was chosen on. The films are looked for in --videos or CLIPSEEK_TEST_VIDEOS; where
they are not it stops and says so, unless --no-films is given.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.cases import LABELS, REPORT, TUNE, Case, Label, read_labels
from benchmarks.film_curves import FilmVectors, Vectors, film_cases
from benchmarks.scoring import answer_of, answers, found_segments
from benchmarks.synthetic_curves import QVHIGHLIGHTS, SHORT, synthetic_cases
from benchmarks.tuning import tuned
from clipseek.metrics import MEASURES, bootstrap, evaluate, first_iou
from executors.clip_encoder.device import choose_device
from executors.clip_encoder.identity import model_id
from executors.clip_encoder.registry import Registry
from executors.clip_encoder.towers import ImageTower, TextTower
from executors.faiss_indexer.segments import Segment
from executors.faiss_indexer.strategies import STRATEGIES, TUNED
from executors.faiss_indexer.strategy_options import StrategyOptions

logger = logging.getLogger(__name__)
DEFAULT_VIDEOS = Path(__file__).parents[2] / "shared" / "videos"
MONTAGE, MONTAGE_MOMENTS = "montage.mp4", 11
_WITH_INTERVAL = ("R1@.5", "mAP")
_KEPT_SHARE = 0.95  # of the right answers, by the cut-off that false alarms are counted at


@dataclass(frozen=True)
class Films:
    """The labelled films with their encoder: label i has the query vector i."""

    vectors: FilmVectors
    folder: Path
    labels: Sequence[Label]
    queries: Vectors

    def cases(self, rate: float, wanted: Iterable[int] | None = None) -> list[Case]:
        """The cases of the wanted labels, by default of all that are true somewhere, at a rate in frames per second."""
        chosen = [i for i, label in enumerate(self.labels) if label.moments] if wanted is None else list(wanted)
        return list(film_cases(self.vectors, self.folder, [self.labels[i] for i in chosen], self.queries[chosen], rate))

    def montage(self, rate: float) -> list[Case]:
        """The eleven moments that the montage was cut together from."""
        wanted = [i for i, label in enumerate(self.labels) if label.video == MONTAGE][:MONTAGE_MOMENTS]
        return self.cases(rate, wanted)

    def no_match(self, rate: float, split: str) -> list[list[Case]]:
        """For each query of the half that nothing is true of, a case for each film."""
        wanted = [i for i, label in enumerate(self.labels) if not label.moments and label.split == split]
        return [self.cases(rate, [i]) for i in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not options.no_films and not options.videos.is_dir():
        print(
            f"The labelled films are not in {options.videos}. Name their folder by --videos or CLIPSEEK_TEST_VIDEOS, "
            "or leave them out by --no-films.",
            file=sys.stderr,
        )
        return 2
    films = None if options.no_films else open_films(options.videos, options.cache, options.model)
    synthetic = {f.name: list(synthetic_cases(f, options.cases)) for f in (QVHIGHLIGHTS, SHORT)}
    if options.tune:
        _print_tuned(options.strategies, synthetic, films, options.rates)
        return 0
    for name, cases in synthetic.items():
        _print_table(f"made curves, {name}", options.strategies, _half(cases, REPORT))
    for rate in options.rates if films else ():
        assert films
        title = f"labelled films, {rate:g} frames per second"
        _print_table(title, options.strategies, _half(films.cases(rate), REPORT))
        _print_film_facts(options.strategies, films, rate)
    return 0


def open_films(folder: Path, cache: Path, model: str) -> Films:
    """Load the model, encode the queries; films are encoded when they are asked for.

    Raises:
        ClipSeekError: the model or a film cannot be had.
    """
    spec = Registry(cache).resolve(model)
    device = choose_device("auto")
    labels = read_labels(LABELS / "moments.jsonl") + read_labels(LABELS / "no_match.jsonl")
    queries = TextTower(spec, device).encode([label.query for label in labels]).vectors
    tower = ImageTower(spec, device)
    vectors = FilmVectors(cache / "films", model_id(spec, cache), tower, spec.preprocessing.picture_format)
    return Films(vectors, folder, labels, queries)


def montage_score(found: Sequence[Sequence[Segment]], cases: Sequence[Case]) -> tuple[int, float]:
    """How many of the best segments have IoU .5 or more, and how far their edges are from the truth on average."""
    hits, errors = 0, []
    for segments, case in zip(found, cases, strict=True):
        if first_iou(answer_of(segments, case)) >= 0.5:
            [(start, end)] = case.moments
            hits += 1
            errors += [abs(segments[0].start_seconds - start), abs(segments[0].end_seconds - end)]
    return hits, float(np.mean(errors)) if errors else float("nan")


def _print_table(title: str, names: Sequence[str], cases: Sequence[Case]) -> None:
    print(f"\n{title}, {len(cases)} queries; in brackets the 95 % bootstrap interval")
    print(f"{'strategy':12}" + "".join(f"{name:>{20 if name in _WITH_INTERVAL else 8}}" for name in MEASURES))
    for name in names:
        values = evaluate(answers(name, TUNED[name], cases))
        cells = []
        for measure in MEASURES:
            made = bootstrap(values[measure])
            interval = f" [{100 * made.low:.1f} {100 * made.high:.1f}]" if measure in _WITH_INTERVAL else ""
            cells.append(f"{100 * made.mean:.1f}{interval}".rjust(20 if interval else 8))
        print(f"{name:12}" + "".join(cells), flush=True)


def _print_film_facts(names: Sequence[str], films: Films, rate: float) -> None:
    print(f"\nmontage ({MONTAGE_MOMENTS} moments, of both halves) and no match, {rate:g} frames per second")
    print(f"{'strategy':12}{'IoU .5':>8}{'edges s':>9}{'cut-off':>9}{'kept':>7}{'false alarms':>14}")
    montage = films.montage(rate)
    cases = {split: _half(films.cases(rate), split) for split in (TUNE, REPORT)}
    nothing = films.no_match(rate, REPORT)
    for name in names:
        hits, edges = montage_score(found_segments(name, TUNED[name], montage), montage)
        right = {split: _scores_of_right_ones(name, cases[split]) for split in cases}
        cut_off = float(np.quantile(right[TUNE], 1 - _KEPT_SHARE)) if len(right[TUNE]) else float("nan")
        best = [max(s[0].score for s in found_segments(name, TUNED[name], query) if s) for query in nothing]
        alarms, kept = np.mean(np.array(best) >= cut_off), np.mean(right[REPORT] >= cut_off)
        print(f"{name:12}{hits:>8}{edges:>9.2f}{cut_off:>9.3f}{100 * kept:>6.0f}%{100 * alarms:>13.0f}%", flush=True)


def _scores_of_right_ones(name: str, cases: Sequence[Case]) -> np.ndarray:
    found = found_segments(name, TUNED[name], cases)
    pairs = zip(found, cases, strict=True)
    return np.array([segments[0].score for segments, case in pairs if first_iou(answer_of(segments, case)) >= 0.5])


def _print_tuned(
    names: Sequence[str], synthetic: dict[str, list[Case]], films: Films | None, rates: Sequence[float]
) -> None:
    sets = [_half(cases, TUNE) for cases in synthetic.values()]
    sets += [_half(films.cases(rate), TUNE) for rate in rates] if films else []
    plain = asdict(StrategyOptions())
    for name in names:
        options, value = tuned(name, sets, TUNED[name])
        changed = {key: option for key, option in asdict(options).items() if option != plain[key]}
        print(f"{name:12}{value:7.4f}  {changed}", flush=True)


def _half(cases: Iterable[Case], split: str) -> list[Case]:
    return [case for case in cases if case.split == split]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    videos = Path(os.environ.get("CLIPSEEK_TEST_VIDEOS") or DEFAULT_VIDEOS)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--videos", type=Path, default=videos, help="folder of the labelled films")
    parser.add_argument("--cache", type=Path, default=cache, help="where models and vectors are kept between runs")
    parser.add_argument("--model", default="starter", help="what CLIPSEEK_MODEL takes; other models need the hub")
    parser.add_argument("--no-films", action="store_true", help="made curves only: no model is loaded")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 2.0], help="frames per second: 1, 2 or 4")
    parser.add_argument("--cases", type=int, default=1000, help="made curves of each kind; half are for tuning")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    parser.add_argument("--tune", action="store_true", help="choose options on the tuning halves and print them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
