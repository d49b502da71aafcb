"""How good the segment strategies are: `python -m benchmarks.quality`.

Prints rules x measures (see `scoring.py`) on

- made curves in the units of two kinds of models (see `synthetic_curves.py`, `units.py`),
- the labelled films (see `labels/`), for the half that options were chosen on and for the one that they were not,
- the sample films with exact cuts: photographs, and bicycles,

and at the end what `service` and the strategy --default gain over the baselines. The labelled films are looked for in
--videos or CLIPSEEK_TEST_VIDEOS; where they are not it stops and says so, unless --no-films is given.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.cases import LABELS, REPORT, TUNE, Case, Label, read_labels
from benchmarks.clip_options import CLIP_OPTIONS
from benchmarks.film_curves import FilmVectors, Unknown, Vectors, film_cases
from benchmarks.scoring import RULES, answer_of, found_segments
from benchmarks.synthetic_curves import QVHIGHLIGHTS, SHORT, synthetic_cases
from benchmarks.tables import PLAIN, Options, Results, show_gains
from benchmarks.tuning import GRIDS, tuned
from benchmarks.units import CLIP, STARTER, Units
from clipseek.errors import SamplesUnavailable
from clipseek.metrics import first_iou
from executors.clip_encoder.device import choose_device
from executors.clip_encoder.identity import model_id
from executors.clip_encoder.registry import Registry
from executors.clip_encoder.towers import ImageTower, TextTower
from executors.faiss_indexer.segments import Segment
from executors.faiss_indexer.strategies import TUNED
from executors.faiss_indexer.strategy_options import StrategyOptions
from executors.video_loader import samples

logger = logging.getLogger(__name__)
DEFAULT_VIDEOS = Path(__file__).parents[2] / "shared" / "videos"
UNITS: Mapping[str, Units] = {units.name: units for units in (STARTER, CLIP)}
OPTIONS: Mapping[str, Options] = {STARTER.name: TUNED, CLIP.name: CLIP_OPTIONS}
MONTAGE, MONTAGE_MOMENTS = "montage.mp4", 11
FILMS_WITH_CUTS = (samples.PHOTOGRAPHS_FILM, "bikes.mp4")
_KEPT_SHARE = 0.95  # of the right answers, by the cut-off that false alarms are counted at


@dataclass(frozen=True)
class Films:
    """Labelled films with their encoder: label i has the query vector i."""

    vectors: FilmVectors
    folder: Path
    labels: Sequence[Label]
    queries: Vectors
    unknown: Unknown

    def cases(self, rate: float, wanted: Iterable[int] | None = None) -> list[Case]:
        """The cases of the wanted labels, by default of all that are true somewhere, at a rate in frames per second."""
        chosen = [i for i, label in enumerate(self.labels) if label.moments] if wanted is None else list(wanted)
        labels = [self.labels[i] for i in chosen]
        return list(film_cases(self.vectors, self.folder, labels, self.queries[chosen], self.unknown, rate))

    def montage(self, rate: float) -> list[Case]:
        """The eleven moments that the montage was cut together from."""
        wanted = [i for i, label in enumerate(self.labels) if label.video == MONTAGE][:MONTAGE_MOMENTS]
        return self.cases(rate, wanted)

    def no_match(self, rate: float, split: str) -> list[list[Case]]:
        """For each query of the half that nothing is true of, a case for each film."""
        wanted = [i for i, label in enumerate(self.labels) if not label.moments and label.split == split]
        return [self.cases(rate, [i]) for i in wanted]


class Encoder:
    """A model that films and queries are encoded with.

    Args:
        cache: where models and the films' vectors are kept.
        model: what CLIPSEEK_MODEL takes.

    Raises:
        ClipSeekError: the model cannot be had.
    """

    def __init__(self, cache: Path, model: str) -> None:
        spec = Registry(cache).resolve(model)
        device = choose_device("auto")
        self.tower = ImageTower(spec, device)
        self.units = STARTER if model == STARTER.name else CLIP
        self._texts = TextTower(spec, device)
        self._vectors = FilmVectors(
            cache / "films", model_id(spec, cache), self.tower, spec.preprocessing.picture_format
        )
        self._unknown = Unknown(self._texts.encode(["unknown"]).vectors[0], self.units.logit_scale)

    def films(self, folder: Path, labels: Sequence[Label]) -> Films:
        """The films of a folder; they are encoded when they are asked for."""
        queries = self._texts.encode([label.query for label in labels]).vectors
        return Films(self._vectors, folder, labels, queries, self._unknown)


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
    encoder = None if options.no_films else Encoder(options.cache, options.model)
    labels = read_labels(LABELS / "moments.jsonl") + read_labels(LABELS / "no_match.jsonl")
    films = encoder.films(options.videos, labels) if encoder else None
    if options.tune:
        for name in options.units:
            print(f"\n{name}")
            of_this_kind = films if encoder and encoder.units.name == name else None
            _print_tuned(options.rules, name, options.cases, of_this_kind, options.rates)
        return 0
    results = []
    for name in options.units:
        for family in (QVHIGHLIGHTS, SHORT):
            cases = _half(synthetic_cases(family, UNITS[name], options.cases), REPORT)
            title = f"made curves, {family.name}, {name} units"
            results.append(_shown(Results.of(title, options.rules, OPTIONS[name], cases)))
    if encoder and films:
        results += _film_results(films, options.rules, OPTIONS[encoder.units.name], options.rates)
        results += _sample_results(encoder, options.cache / "samples", options.rules, options.rates)
    for rule in ("service", options.default):
        show_gains(rule, results)
    return 0


def _film_results(films: Films, names: Sequence[str], options: Options, rates: Sequence[float]) -> list[Results]:
    made = []
    for rate in rates:
        for split in (TUNE, REPORT):
            title = f"labelled films, {rate:g} fps, {split} half"
            made.append(_shown(Results.of(title, names, options, _half(films.cases(rate), split))))
        _print_film_facts(names, options, films, rate)
    return made


def _sample_results(encoder: Encoder, folder: Path, names: Sequence[str], rates: Sequence[float]) -> list[Results]:
    """The films whose cuts are known to the frame. `--tune` does not look at them."""
    options = OPTIONS[encoder.units.name]
    try:
        samples.build(folder)
    except SamplesUnavailable as error:
        print(f"left out: the sample films. {error}", file=sys.stderr)
        return []
    moments = [moment for moment in samples.MOMENTS if moment.film in FILMS_WITH_CUTS]
    labels = [Label(m.film, m.seen, ((m.start_seconds, m.end_seconds),), REPORT) for m in moments]
    films = encoder.films(folder, labels)
    return [
        _shown(Results.of(f"films with exact cuts, {rate:g} fps", names, options, films.cases(rate))) for rate in rates
    ]


def _shown(results: Results) -> Results:
    results.show()
    return results


def montage_score(found: Sequence[Sequence[Segment]], cases: Sequence[Case]) -> tuple[int, float]:
    """How many of the best segments have IoU .5 or more, and how far their edges are from the truth on average."""
    hits, errors = 0, []
    for segments, case in zip(found, cases, strict=True):
        if first_iou(answer_of(segments, case)) >= 0.5:
            [(start, end)] = case.moments
            hits += 1
            errors += [abs(segments[0].start_seconds - start), abs(segments[0].end_seconds - end)]
    return hits, float(np.mean(errors)) if errors else float("nan")


def _print_film_facts(names: Sequence[str], options: Options, films: Films, rate: float) -> None:
    print(f"\nmontage ({MONTAGE_MOMENTS} moments, of both halves) and no match, {rate:g} fps")
    print(f"{'rule':12}{'IoU .5':>8}{'edges s':>9}{'cut-off':>9}{'kept':>7}{'false alarms':>14}")
    montage = films.montage(rate)
    cases = {split: _half(films.cases(rate), split) for split in (TUNE, REPORT)}
    nothing = films.no_match(rate, REPORT)
    for name in names:
        chosen = options.get(name, PLAIN)
        hits, edges = montage_score(found_segments(name, chosen, montage), montage)
        right = {split: _scores_of_right_ones(name, chosen, cases[split]) for split in cases}
        cut_off = float(np.quantile(right[TUNE], 1 - _KEPT_SHARE)) if len(right[TUNE]) else float("nan")
        best = [max(s[0].score for s in found_segments(name, chosen, query) if s) for query in nothing]
        alarms, kept = np.mean(np.array(best) >= cut_off), np.mean(right[REPORT] >= cut_off)
        print(f"{name:12}{hits:>8}{edges:>9.2f}{cut_off:>9.3f}{100 * kept:>6.0f}%{100 * alarms:>13.0f}%", flush=True)


def _scores_of_right_ones(name: str, options: StrategyOptions, cases: Sequence[Case]) -> np.ndarray:
    found = found_segments(name, options, cases)
    pairs = zip(found, cases, strict=True)
    return np.array([segments[0].score for segments, case in pairs if first_iou(answer_of(segments, case)) >= 0.5])


def _print_tuned(names: Sequence[str], units: str, count: int, films: Films | None, rates: Sequence[float]) -> None:
    sets = [_half(synthetic_cases(family, UNITS[units], count), TUNE) for family in (QVHIGHLIGHTS, SHORT)]
    sets += [_half(films.cases(rate), TUNE) for rate in rates] if films else []
    plain = asdict(PLAIN)
    for name in (name for name in names if name in GRIDS):
        options, value = tuned(name, sets, OPTIONS[units][name])
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
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 2.0], help="frames per second: 1, 2, 4")
    parser.add_argument("--cases", type=int, default=1000, help="made curves of each kind; half are for tuning")
    parser.add_argument("--units", nargs="+", default=list(UNITS), choices=list(UNITS), help="of the made curves")
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--default", default="peaks", choices=list(RULES), help="whose gains are printed at the end")
    parser.add_argument("--tune", action="store_true", help="choose options on the tuning halves and print them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
