"""Measures what adaptive sampling gains, more frames where the picture moves: `python -m benchmarks.adaptive_sampling`.

Compares even sampling at 1, 2 and 4 frames a second with adaptive sampling at 1, which has several limits of what
counts as motion (see `executors/video_loader/sample/frame_picker.py`). Prints for each how many frames of the labelled
videos are sampled, and what a search finds with them in each half of the labels.
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

from benchmarks.quality.__main__ import DEFAULT_VIDEOS, Encoder
from benchmarks.quality.cases import LABELS, REPORT, TUNE, Label, read_labels
from benchmarks.quality.video_curves import Video, Videos
from clipseek.evaluation.measures import Answer, bootstrap, evaluate
from executors.faiss_indexer.moments.segments import ScoreCurve, find_segments
from executors.video_loader.decode.source import open_video
from executors.video_loader.sample.frame_picker import LEAST_MOTION, FramePicker
from executors.video_loader.sample.shots import PreviewMaker

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
        print(f"The labelled videos are not in {options.videos}: give their folder with --videos.", file=sys.stderr)
        return 2
    labels = read_labels(LABELS / "moments.jsonl")
    videos = Encoder(options.cache, options.model).videos(options.videos, labels)
    names = sorted({label.video for label in labels if label.video})
    whole = {name: videos.vectors.video(options.videos / name) for name in names}
    print(f"adaptive sampling uses {LEAST_MOTION:g} levels; mAP with its 95 % bootstrap interval")
    print(
        f"{'sampling':20}{'frames':>8}  "
        + f"{'tune half: R1@.5':>18}{'R1@.7':>7}{'mAP':>19}{'mIoU':>7}  report half, the same"
    )
    ways: list[tuple[str, tuple[Any, ...]]] = [(f"even, {rate} fps", (Fraction(rate),)) for rate in EVEN_RATES]
    ways += [(f"adaptive, {motion:g}", (Fraction(1), True, motion)) for motion in MOTIONS]
    for title, values in ways:
        sampled = {name: _select_samples(whole[name], options.videos / name, FramePicker(*values)) for name in names}
        _print_row(title, sampled, videos, labels)
    return 0


def _select_samples(video: Video, path: Path, picker: FramePicker) -> Video:
    """The video with the frames that the picker takes. All of them are among the encoded ones."""
    previews = PreviewMaker()
    with open_video(path) as source:
        times = [float(t.time) for t in source.frames() if picker.picks(t.time, previews.make(t.frame))]
    places = np.flatnonzero(np.isin(video.pts_seconds, times))
    return Video(video.pts_seconds[places], video.vectors[places], video.cuts, video.duration_seconds)


def _print_row(title: str, sampled: Mapping[str, Video], videos: Videos, labels: Sequence[Label]) -> None:
    cells = []
    for split in (TUNE, REPORT):
        own = [i for i, label in enumerate(labels) if label.split == split]
        values = evaluate([_answer(sampled[str(labels[i].video)], videos, i) for i in own])
        means = {name: bootstrap(100 * values[name]) for name in MEASURES}
        interval = f"{means['mAP'].mean:.1f} [{means['mAP'].low:.1f} {means['mAP'].high:.1f}]"
        cells.append(f"{means['R1@.5'].mean:>18.1f}{means['R1@.7'].mean:>7.1f}{interval:>19}{means['mIoU'].mean:>7.1f}")
    frames = sum(len(video.pts_seconds) for video in sampled.values())
    print(f"{title:20}{frames:>8}  " + "  ".join(cells), flush=True)


def _answer(video: Video, videos: Videos, index: int) -> Answer:
    cosines = video.vectors.astype(float) @ videos.queries[index].astype(float)
    curve = ScoreCurve(video.pts_seconds, cosines, video.duration_seconds)
    segments = find_segments(videos.calibrated(index, curve), None, video.shots)
    return Answer([(s.start_seconds, s.end_seconds) for s in segments], videos.labels[index].moments)


if __name__ == "__main__":
    sys.exit(main())
