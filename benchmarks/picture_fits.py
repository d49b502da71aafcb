"""Compares ways to fit a frame into a model's square: `python -m benchmarks.picture_fits`.

Encodes the labelled videos at 1 frame a second in several ways:

- `squash`: the whole frame, squashed; `pad`: the whole frame, fitted inside, the rest in the model's mean colour,
- `centre crop`: the middle square, without what lies beside it,
- `two crops`: the squares at both ends of the frame, which overlap; the frame's score is the mean or maximum of both.

Prints for each half of the labels what a search finds in the query's own video (R1@.5, mAP), and how often the best
segment puts that video first, or among the first five, of all videos (R@1, R@5; without the montage, which repeats the
others). The last columns are the gain of mAP and R@1 over `squash`, query by query, with 95 % bootstrap intervals.
"""

import argparse
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.__main__ import DEFAULT_VIDEOS, Encoder
from benchmarks.quality.cases import LABELS, REPORT, TUNE, Label, read_labels
from benchmarks.quality.video_curves import Videos
from benchmarks.quality.video_facts import MONTAGE
from benchmarks.spans import read_span
from clipseek.evaluation.measures import Answer, Floats, bootstrap, evaluate
from executors.clip_encoder.model.spec import model_id
from executors.faiss_indexer.moments.segments import ScoreCurve, Segment, find_segments
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.sample.span_reader import Cut

logger = logging.getLogger(__name__)
Pictures = NDArray[np.uint8]
Vectors = NDArray[np.float32]
RATE = 1.0
SQUASH, PAD, CENTRE, FIRST, LAST = "squash", "pad", "centre crop", "first crop", "last crop"
# Each way: the views of a frame, and how their scores become the frame's.
FITS: Mapping[str, tuple[tuple[str, ...], str]] = {
    SQUASH: ((SQUASH,), "mean"),
    PAD: ((PAD,), "mean"),
    CENTRE: ((CENTRE,), "mean"),
    "two crops, mean": ((FIRST, LAST), "mean"),
    "two crops, max": ((FIRST, LAST), "max"),
}


@dataclass(frozen=True)
class EncodedVideo:
    """A video's samples: times float64 [N] and for each view vectors float32 [N, D]; its cuts and length."""

    pts_seconds: Floats
    views: Mapping[str, Vectors]
    cuts: tuple[float, ...]
    duration_seconds: float

    def segments(self, fit: str, videos: Videos, index: int) -> list[Segment]:
        """The results of a search for one label's query in this video."""
        names, rule = FITS[fit]
        query = videos.queries[index].astype(float)
        scores = np.stack([self.views[name].astype(float) @ query for name in names])
        frame_scores = scores.max(axis=0) if rule == "max" else scores.mean(axis=0)
        shots = list(zip([0.0, *self.cuts], [*self.cuts, self.duration_seconds], strict=True))
        curve = ScoreCurve(self.pts_seconds, frame_scores, self.duration_seconds)
        return find_segments(videos.calibrated(index, curve), None, shots)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path(os.environ.get("CLIPSEEK_TEST_VIDEOS", DEFAULT_VIDEOS)))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "clipseek-benchmarks")
    parser.add_argument("--model", default="starter", help="any value of CLIPSEEK_MODEL (default: starter)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not options.videos.is_dir():
        print(f"The labelled videos are not in {options.videos}: give their folder with --videos.", file=sys.stderr)
        return 2
    encoder = Encoder(options.cache, options.model)
    labels = read_labels(LABELS / "moments.jsonl")
    labelled = encoder.videos(options.videos, labels)
    videos = {
        name: _load_or_encode(encoder, options.videos / name, options.cache)
        for name in sorted({label.video for label in labels if label.video})
    }
    measured = {fit: _measure(fit, videos, labelled) for fit in FITS}
    _print_table(options.model, measured, labels)
    return 0


def _load_or_encode(encoder: Encoder, path: Path, cache: Path) -> EncodedVideo:
    """The encoded video, from the cache if it was encoded before."""
    identity = model_id(encoder.tower.spec, cache)
    key = hashlib.sha256(f"{identity}|{path.name}|{path.stat().st_size}|{RATE}|fits".encode()).hexdigest()[:24]
    file = cache / "fits" / f"{key}.npz"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        video = _encode(encoder, path)
        facts = {"pts": video.pts_seconds, "cuts": np.array(video.cuts), "duration": np.array(video.duration_seconds)}
        np.savez(file, **facts, **video.views)  # type: ignore[arg-type]  # the stub mistakes names for its own option
    with np.load(file) as stored:
        views = {name: stored[name] for name in (SQUASH, PAD, CENTRE, FIRST, LAST)}
        return EncodedVideo(stored["pts"], views, tuple(stored["cuts"].tolist()), float(stored["duration"]))


def _encode(encoder: Encoder, path: Path) -> EncodedVideo:
    logger.info("encoding %s in %d views", path.name, 5)
    preprocessing = encoder.tower.spec.preprocessing
    width, height = preprocessing.width, preprocessing.height
    red, green, blue = (round(value * 255) for value in preprocessing.mean)
    info = probe_video(path)
    factor = max(width / info.width, height / info.height)
    covering = PictureShape(max(width, round(info.width * factor)), max(height, round(info.height * factor)))
    shapes = (PictureShape(width, height), PictureShape(width, height, "pad", (red, green, blue)), covering)
    squashed, padded, covered = (_read_pictures(path, info.duration_seconds, shape) for shape in shapes)
    spare_rows, spare_columns = covering.height - height, covering.width - width

    def crop(share: float) -> Pictures:
        top, left = round(spare_rows * share), round(spare_columns * share)
        return np.ascontiguousarray(covered[:, top : top + height, left : left + width])

    pictures = {SQUASH: squashed, PAD: padded, CENTRE: crop(0.5), FIRST: crop(0.0), LAST: crop(1.0)}
    items = list(read_span(path, 0.0, info.duration_seconds, RATE, PictureShape(1, 1)))
    return EncodedVideo(
        np.array([item.pts_seconds for item in items if not isinstance(item, Cut)]),
        {name: encoder.tower.encode(view) for name, view in pictures.items()},
        tuple(item.pts_seconds for item in items if isinstance(item, Cut)),
        info.duration_seconds,
    )


def _read_pictures(path: Path, duration_seconds: float, shape: PictureShape) -> Pictures:
    items = read_span(path, 0.0, duration_seconds, RATE, shape)
    return np.stack([item.picture for item in items if not isinstance(item, Cut)])


def _measure(fit: str, videos: Mapping[str, EncodedVideo], labelled: Videos) -> Mapping[str, Floats]:
    """By measure, the value of each label, float64 [N]; R@1 and R@5 are NaN for labels of the montage."""
    answers, ranks = [], []
    for index, label in enumerate(labelled.labels):
        results = {name: video.segments(fit, labelled, index) for name, video in videos.items()}
        own = results[str(label.video)]
        answers.append(Answer([(s.start_seconds, s.end_seconds) for s in own], label.moments))
        best = {name: max(s.score for s in segments) for name, segments in results.items() if name != MONTAGE}
        ranks.append(sum(score > own[0].score for score in best.values()) if label.video != MONTAGE else np.nan)
    values = evaluate(answers)
    rank = np.array(ranks, dtype=float)
    known = ~np.isnan(rank)
    within = {n: np.where(known, rank < n, np.nan) for n in (1, 5)}
    return {"R1@.5": values["R1@.5"], "mAP": values["mAP"], "R@1": within[1], "R@5": within[5]}


def _print_table(model: str, measured: Mapping[str, Mapping[str, Floats]], labels: Sequence[Label]) -> None:
    halves = {split: np.array([label.split == split for label in labels]) for split in (TUNE, REPORT)}
    print(f"model {model}, {RATE:g} fps, {len(labels)} queries")
    heads = "".join(f"{name:>7}" for name in measured[SQUASH])
    print(f"{'':17}{'tune half:':11}{heads}   {'report half:':12}{heads}  gain of mAP          gain of R@1")
    for fit, values in measured.items():
        cells = []
        for split, width in ((TUNE, 11), (REPORT, 15)):
            means = "".join(f"{100 * np.nanmean(v[halves[split]]):>7.1f}" for v in values.values())
            cells.append(" " * width + means)
        for name in ("mAP", "R@1"):
            gain = 100 * (values[name] - measured[SQUASH][name])
            mean_gain = bootstrap(gain[~np.isnan(gain)])
            cells.append(f"  {mean_gain.mean:+.1f} [{mean_gain.low:+.1f} {mean_gain.high:+.1f}]".ljust(21))
        print(f"{fit:17}" + "".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
