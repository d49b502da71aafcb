"""What more frames where the picture moves bring: `python -m benchmarks.adaptive_sampling`.

Prints for even sampling at 1, 2 and 4 frames a second, and for adaptive sampling at 1 with several limits of how much
counts as motion (see `executors/video_loader/buckets.py`), how many frames of the labelled films are sampled, and what
a search finds with them, in each half of the labels.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import LABELS, REPORT, TUNE, Label, read_labels
from benchmarks.film_curves import Film, Films
from benchmarks.quality import DEFAULT_VIDEOS, Encoder
from clipseek.metrics import Answer, bootstrap, evaluate
from executors.faiss_indexer.segments import ScoreCurve, find_segments
from executors.video_loader.buckets import LEAST_MOTION, Buckets
from executors.video_loader.media_source import open_media
from executors.video_loader.shots import GlimpseMaker

MOTIONS = (4.0, 8.0, 12.0, 16.0, 24.0)
EVEN_RATES = (1, 2, 4)
MEASURES = ("R1@.5", "R1@.7", "mAP", "mIoU")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path(os.environ.get("CLIPSEEK_TEST_VIDEOS", DEFAULT_VIDEOS)))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "clipseek-benchmarks")
    parser.add_argument("--model", default="starter")
    options = parser.parse_args()
    if not options.videos.is_dir():
        print(f"The labelled films are not in {options.videos}: name their folder by --videos.", file=sys.stderr)
        return 2
    labels = read_labels(LABELS / "moments.jsonl")
    films = Encoder(options.cache, options.model).films(options.videos, labels)
    names = sorted({label.video for label in labels if label.video})
    whole = {name: films.vectors.film(options.videos / name) for name in names}
    print(f"adaptive sampling stands at {LEAST_MOTION:g} levels; mAP with its 95 % bootstrap interval")
    print(
        f"{'sampling':20}{'frames':>8}  "
        + f"{'tune half: R1@.5':>18}{'R1@.7':>7}{'mAP':>19}{'mIoU':>7}  report half, the same"
    )
    ways: list[tuple[str, tuple[Any, ...]]] = [(f"even, {rate} fps", (Fraction(rate),)) for rate in EVEN_RATES]
    ways += [(f"adaptive, {motion:g}", (Fraction(1), True, motion)) for motion in MOTIONS]
    for title, values in ways:
        sampled = {name: _sampled(whole[name], options.videos / name, Buckets(*values)) for name in names}
        _print_row(title, sampled, films, labels)
    return 0


def _sampled(film: Film, path: Path, buckets: Buckets) -> Film:
    """The film with the frames that the buckets take; all of them are among those that were encoded."""
    glimpses = GlimpseMaker()
    with open_media(path) as source:
        times = [float(t.time) for t in source.frames() if buckets.takes(t.time, glimpses.glimpse(t.frame))]
    kept = np.flatnonzero(np.isin(film.pts_seconds, times))
    return Film(film.pts_seconds[kept], film.vectors[kept], film.cuts, film.duration_seconds)


def _print_row(title: str, sampled: Mapping[str, Film], films: Films, labels: Sequence[Label]) -> None:
    cells = []
    for split in (TUNE, REPORT):
        own = [i for i, label in enumerate(labels) if label.split == split]
        values = evaluate([_answer(sampled[str(labels[i].video)], films, i) for i in own])
        made = {name: bootstrap(100 * values[name]) for name in MEASURES}
        interval = f"{made['mAP'].mean:.1f} [{made['mAP'].low:.1f} {made['mAP'].high:.1f}]"
        cells.append(f"{made['R1@.5'].mean:>18.1f}{made['R1@.7'].mean:>7.1f}{interval:>19}{made['mIoU'].mean:>7.1f}")
    frames = sum(len(film.pts_seconds) for film in sampled.values())
    print(f"{title:20}{frames:>8}  " + "  ".join(cells), flush=True)


def _answer(film: Film, films: Films, index: int) -> Answer:
    cosines = film.vectors.astype(float) @ films.queries[index].astype(float)
    curve = ScoreCurve(film.pts_seconds, cosines, film.duration_seconds)
    found = find_segments(films.calibrated(index, curve), None, film.shots)
    return Answer([(s.start_seconds, s.end_seconds) for s in found], films.labels[index].moments)


if __name__ == "__main__":
    sys.exit(main())
