"""How good the segment strategies are: `python -m benchmarks.quality`.

Prints rules x measures (see `scoring.py`) on

- made curves in the units of two kinds of models, and clean ones (see `synthetic_curves.py`, `units.py`),
- the labelled videos (see `labels/`): the half that options were chosen on, and the other half,
- videos with exact cuts: sample videos, and stills of them,

and then what the default strategy gains over the baselines, and what it loses where scores are calibrated wrongly.

With --curves it prints rules x measures on the report half of a file of real curves instead (see `real_curves.py`).

The labelled videos are in --videos or CLIPSEEK_TEST_VIDEOS, by default in ../shared/videos beside the checkout.
--no-videos leaves them out. --tune chooses options on the tuning halves instead, and prints them. --fit fits the trees
of the default strategy on the tuning halves of all that is given, and writes them into the source tree.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.quality.baseline_options import BASELINE_OPTIONS
from benchmarks.quality.cases import LANGUAGES, REPORT, TUNE, Case, Label, read_queries
from benchmarks.quality.real_curves import REAL, read_curves
from benchmarks.quality.scoring import BASELINES, RULES, Options, choose_options
from benchmarks.quality.strategies.catalogue import TUNED
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.synthetic_curves import QVHIGHLIGHTS, SHORT, draw_cases, draw_clean_cases
from benchmarks.quality.tables import Results, show_calibration_errors, show_gains
from benchmarks.quality.tuning import GRIDS, tune_options
from benchmarks.quality.units import CLIP, MOMENT_DETR, STARTER
from benchmarks.quality.video_curves import Videos, VideoVectors
from benchmarks.quality.video_facts import show_video_facts
from benchmarks.synthetic.sample_moments import MOMENTS, STILL_MOMENTS, STILLS_VIDEO, make_stills_video
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.relevance.score_scales import read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.faiss_indexer.moments.trees import TREES_FILE
from executors.video_loader.media import sample_videos

logger = logging.getLogger(__name__)
DEFAULT_VIDEOS = Path(__file__).parents[3] / "shared" / "videos"
KINDS = (STARTER, CLIP)
VIDEOS_WITH_CUTS = ("nature.mp4", "toys.mp4")


class Encoder:
    """A model that encodes videos and queries.

    Args:
        cache: the folder of models and of the videos' vectors.
        model: what CLIPSEEK_MODEL takes.

    Raises:
        ClipSeekError: the model is not available.
    """

    def __init__(self, cache: Path, model: str) -> None:
        spec = Registry(cache).resolve(model)
        device = choose_device("auto")
        self.tower = ImageTower(spec, device)
        self.units = STARTER if model == STARTER.name else CLIP
        self._texts = TextTower(spec, device)
        self._vectors = VideoVectors(
            cache / "videos", model_id(spec, cache), self.tower, spec.preprocessing.picture_format
        )
        self._scales = read_scales(spec)
        self._unknown = self._texts.encode(["unknown"]).vectors[0]

    def videos(self, folder: Path, labels: Sequence[Label]) -> Videos:
        """The videos of a folder; each is encoded when it is first used."""
        texts = self._texts.encode([label.query for label in labels]).vectors
        scales = [self._scales.of(text) for text in texts]
        return Videos(self._vectors, folder, labels, texts, self._unknown, scales, self.units)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if options.curves and not (options.tune or options.fit):
        _show_real_curves(options.curves, options.rules)
        return 0
    if not options.no_videos and not options.videos.is_dir():
        print(
            f"The labelled videos are not in {options.videos}. Set their folder with --videos or CLIPSEEK_TEST_VIDEOS, "
            "or leave them out with --no-videos.",
            file=sys.stderr,
        )
        return 2
    encoder = None if options.no_videos else Encoder(options.cache, options.model)
    true, absurd = read_queries(options.everyday, options.language)
    videos = encoder.videos(options.videos, true + absurd) if encoder else None
    if options.tune or options.fit:
        sets = _make_tuning_sets(options.cases, encoder, videos, options.rates)
        if options.curves:
            sets[MOMENT_DETR.name] = {REAL: _half(_read_all(options.curves), TUNE)}
        if options.fit:
            _fit(sets)
        else:
            _print_tuned(options.rules, sets)
        return 0
    default = StrategyOptions().strategy
    results, cases = [], {}
    for units in KINDS:
        for family in (QVHIGHLIGHTS, SHORT):
            title = f"made curves, {family.name}, {units.name} units"
            cases[title] = _half(draw_cases(family, units, options.cases), REPORT)
            chosen = choose_options(BASELINE_OPTIONS[units.name])
            results.append(_show(Results.of(title, options.rules, chosen, cases[title])))
    clean = list(draw_clean_cases(options.cases // 2, seed=2))  # not those of the fit
    _show(Results.of("clean curves of steps", options.rules, choose_options(BASELINE_OPTIONS[MOMENT_DETR.name]), clean))
    if encoder and videos:
        chosen = choose_options(BASELINE_OPTIONS[encoder.units.name])
        results += _measure_videos(videos, options.rules, chosen, options.rates)
        results += _measure_samples(encoder, options.cache / "samples", options.rules, chosen, options.rates)
    show_gains(default, results)
    show_calibration_errors(default, TUNED, cases)
    return 0


def _read_all(paths: Sequence[Path]) -> list[Case]:
    return [case for path in paths for case in read_curves(path)]


def _show_real_curves(paths: Sequence[Path], names: Sequence[str]) -> None:
    """The rules on the report half of each file, and what the default gains."""
    default, chosen = StrategyOptions().strategy, choose_options(BASELINE_OPTIONS[MOMENT_DETR.name])
    cases = {f"real curves, {path.stem}, report half": _half(read_curves(path), REPORT) for path in paths}
    results = [_show(Results.of(title, names, chosen, of_file)) for title, of_file in cases.items()]
    show_gains(default, results)
    show_calibration_errors(default, TUNED, cases)


def _measure_videos(videos: Videos, names: Sequence[str], options: Options, rates: Sequence[float]) -> list[Results]:
    results = []
    for rate in rates:
        for split in (TUNE, REPORT):
            title = f"labelled videos, {rate:g} fps, {split} half"
            results.append(_show(Results.of(title, names, options, _half(videos.cases(rate), split))))
        show_video_facts(names, options, videos, rate)
    return results


def _measure_samples(
    encoder: Encoder, folder: Path, names: Sequence[str], options: Options, rates: Sequence[float]
) -> list[Results]:
    """The videos whose cuts are known to the frame. `--tune` and `--fit` do not use them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in VIDEOS_WITH_CUTS:
        shutil.copyfile(sample_videos.FOLDER / name, folder / name)
    make_stills_video(folder / STILLS_VIDEO)
    moments = [*(moment for moment in MOMENTS if moment.video in VIDEOS_WITH_CUTS), *STILL_MOMENTS]
    labels = [Label(m.video, m.seen, ((m.start_seconds, m.end_seconds),), REPORT) for m in moments]
    videos = encoder.videos(folder, labels)
    return [
        _show(Results.of(f"videos with exact cuts, {rate:g} fps", names, options, videos.cases(rate))) for rate in rates
    ]


def _show(results: Results) -> Results:
    results.show()
    return results


def _make_tuning_sets(
    count: int, encoder: Encoder | None, videos: Videos | None, rates: Sequence[float]
) -> dict[str, dict[str, list[Case]]]:
    """The tuning halves, by kind of units and by title."""
    sets = {
        units.name: {family.name: _half(draw_cases(family, units, count), TUNE) for family in (QVHIGHLIGHTS, SHORT)}
        for units in KINDS
    }
    if encoder and videos:
        sets[encoder.units.name] |= {f"videos {rate:g} fps": _half(videos.cases(rate), TUNE) for rate in rates}
    return sets


def _print_tuned(names: Sequence[str], sets: dict[str, dict[str, list[Case]]]) -> None:
    """The baselines are tuned for each kind of units separately, the others for all together."""
    everything = [cases for of_kind in sets.values() for cases in of_kind.values()]
    for kind, of_kind in sets.items():
        for name in (name for name in names if name in GRIDS and name in BASELINES):
            _print_options(f"{name} {kind}", *tune_options(name, list(of_kind.values()), BASELINE_OPTIONS[kind][name]))
    for name in (name for name in names if name in GRIDS and name not in BASELINES):
        _print_options(name, *tune_options(name, everything, choose_options({})[name]))


def _print_options(title: str, options: StrategyOptions, value: float) -> None:
    plain = asdict(StrategyOptions())
    changed = {key: option for key, option in asdict(options).items() if option != plain[key]}
    print(f"{title:20}{value:7.4f}  {changed}", flush=True)


def _fit(sets: Mapping[str, Mapping[str, Sequence[Case]]]) -> None:
    """Fit the trees of the default strategy and write them where it reads them."""
    from benchmarks.quality.fitting import fit_trees, make_shares  # scikit-learn is needed here alone

    trees = fit_trees(make_shares([pair for of_kind in sets.values() for pair in of_kind.items()]))
    trees.save(TREES_FILE)
    print(f"{len(trees.leaf)} trees, {TREES_FILE.stat().st_size} bytes: {TREES_FILE}")


def _half(cases: Iterable[Case], split: str) -> list[Case]:
    return [case for case in cases if case.split == split]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    videos = Path(os.environ.get("CLIPSEEK_TEST_VIDEOS") or DEFAULT_VIDEOS)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--videos", type=Path, default=videos, help="folder of the labelled videos")
    parser.add_argument(
        "--everyday", action="store_true", help="the queries in everyday words instead of the first ones"
    )
    parser.add_argument("--language", default="en", choices=list(LANGUAGES), help="of the queries about the videos")
    parser.add_argument("--curves", type=Path, nargs="+", default=[], metavar="FILE", help="files of real curves")
    parser.add_argument("--cache", type=Path, default=cache, help="folder of models and vectors, for the next run")
    parser.add_argument("--model", default="starter", help="what CLIPSEEK_MODEL takes; other models need the Hub")
    parser.add_argument("--no-videos", action="store_true", help="made curves only: no model is loaded")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 2.0], help="frames per second: 1, 2, 4")
    parser.add_argument("--cases", type=int, default=1000, help="made curves of each kind; half are for tuning")
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--tune", action="store_true", help="choose options on the tuning halves and print them")
    parser.add_argument("--fit", action="store_true", help="fit the trees of consensus on the tuning halves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
