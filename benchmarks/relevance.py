"""How well "nothing matches" is told from a match: `python -m benchmarks.relevance`.

The labelled videos are put into one library. Every true query of `labels/moments.jsonl` is asked of it, with copies of
its video left out; it is found if the best match's peak lies in a true moment. The absurd ones of
`labels/no_match.jsonl` and the neutral phrases of the encoder are asked of the whole library. Printed: how many of what
was found stays above the cut-off, and how many absurd ones get an answer. `--fit` also fits the coefficients of a model
that has reference vectors, on the tune half of the labels and the neutral phrases, and prints the same with them.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.__main__ import DEFAULT_VIDEOS
from benchmarks.quality.cases import LABELS, TUNE, Label, read_labels
from benchmarks.quality.video_curves import Video, VideoVectors
from benchmarks.quality.video_facts import MONTAGE
from clipseek.api.score_scale import MATCHES_BEGIN
from executors.clip_encoder.model.identity import model_id
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import Coefficients, ReferenceScales, ScoreScales, read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames, VideoRecord

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
# The three videos of one cartoon show the same rabbit.
CARTOON = frozenset({"bigbuckbunny.mp4", "fw_2s.mp4", "moviepy_bbb_0_30.webm"})
KEPT_SHARE = 0.95  # of what is found, by the cut-off that `--fit` chooses
_RIDGE = 0.3  # of the logistic regression, on standardised features
_STEPS = 50


@dataclass(frozen=True)
class Asked:
    """The best match of a query, whatever its score: its relevance, the cosine of that, and whether it is right."""

    text: str
    relevance: float
    cosine: float
    is_right: bool
    is_tuned_on: bool


@dataclass(frozen=True)
class Bench:
    """A library of videos, and what asks it."""

    library: Library
    titles: Sequence[str]
    copies: dict[str, frozenset[str]]
    texts: TextTower
    scales: ScoreScales
    model: str
    mean_phrase: Vectors

    def ask(self, text: str, label: Label | None = None) -> Asked:
        """Search for a text; with a label in all videos but copies of its own."""
        parts = self.parts([text])
        allowed = [t for t in self.titles if label is None or t not in self.copies.get(str(label.video), frozenset())]
        options = SearchOptions(top_k=1, all_matches=True, video_ids=tuple(map(_video_id, allowed)))
        [best] = self.library.search(parts, options).matches
        zero, one = self.library.relevance.find_scale(parts[0])
        relevance = best.segment.score + self.library.relevance.fitted_shift
        right = label is not None and _is_right(best, label)
        tuned = label is None or label.split == TUNE
        return Asked(text, best.segment.score, zero + relevance * (one - zero), right, tuned)

    def parts(self, texts: Sequence[str]) -> list[Part]:
        vectors = self.texts.encode(texts).vectors
        return [
            Part(v, 1.0, self.model, None, self.scales.of(v), self.mean_phrase, self.scales.for_curves(v))
            for v in vectors
        ]


def _is_right(match: VideoMatch, label: Label) -> bool:
    peak = match.segment.peak_seconds
    return match.video.title == label.video and any(start <= peak < end for start, end in label.moments)


def _video_id(title: str) -> str:
    return title.encode().hex().ljust(64, "0")[:64]


def make_bench(folder: Path, cache: Path, store: Path, model: str, rate: float) -> Bench:
    """Encode the videos of a folder, those that are known from an earlier run excepted, and store them."""
    spec = Registry(cache).resolve(model)
    device = choose_device("auto")
    name = model_id(spec, cache)
    tower = ImageTower(spec, device)
    vectors = VideoVectors(cache / "videos", name, tower, spec.preprocessing.picture_format)
    library = Library(store)
    titles = sorted(path.name for path in folder.iterdir() if path.suffix in {".mp4", ".webm"})
    for title in titles:
        _store(library, title, vectors.video(folder / title), rate, name)
    texts = TextTower(spec, device)
    phrase = texts.encode(NEUTRAL_PHRASES).vectors.mean(axis=0)
    return Bench(library, titles, copies_of(folder, titles), texts, read_scales(spec), name, phrase)


def _store(library: Library, title: str, video: Video, rate: float, model: str) -> None:
    record = VideoRecord(
        video_id=_video_id(title),
        title=title,
        size_bytes=1,
        duration_seconds=video.duration_seconds,
        width=1,
        height=1,
        fps=25.0,
        codec="h264",
        container="mp4",
        rotation_degrees=0,
        has_audio=False,
        frames_per_second=rate,
    )
    library.register(record, model)
    kept = np.unique(np.floor(video.pts_seconds * rate + 1e-9), return_index=True)[1]
    frames = Frames(video.pts_seconds[kept], video.vectors[kept].astype(np.float16), np.array(video.cuts))
    library.put_span(record.video_id, (0.0, video.duration_seconds), frames, model)


def copies_of(folder: Path, titles: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each video the others that show what it shows."""
    montage = folder / "montage.json"
    sources = {part["source"] for part in json.loads(montage.read_text())} if montage.exists() else set()
    copies = {title: CARTOON - {title} for title in CARTOON}
    for title in sources:
        copies[title] = copies.get(title, frozenset()) | {MONTAGE}
    copies[MONTAGE] = frozenset(sources) | CARTOON
    return {title: copies.get(title, frozenset()) for title in titles}


@dataclass(frozen=True)
class Answers:
    """What came of the three kinds of queries."""

    true: list[Asked]
    absurd: list[Asked]
    neutral: list[Asked]

    @property
    def found(self) -> list[Asked]:
        return [asked for asked in self.true if asked.is_right]


def ask_all(bench: Bench) -> Answers:
    true = [bench.ask(label.query, label) for label in read_labels(LABELS / "moments.jsonl")]
    absurd = [bench.ask(label.query) for label in read_labels(LABELS / "no_match.jsonl")]
    return Answers(true, absurd, [bench.ask(phrase) for phrase in NEUTRAL_PHRASES])


def show(answers: Answers, verbose: bool) -> None:
    found = answers.found
    reported = [asked for asked in found if not asked.is_tuned_on]
    rows = [
        ("true queries found at all", found, answers.true),
        ("  of these answered", _answered(found), found),
        ("  of these in the report half", _answered(reported), reported),
        ("absurd queries answered", _answered(answers.absurd), answers.absurd),
        ("neutral phrases answered", _answered(answers.neutral), answers.neutral),
    ]
    for what, those, of in rows:
        print(f"{what:34}{len(those):>4} of {len(of):>3}  {100 * len(those) / max(len(of), 1):5.1f} %")
    if verbose:
        _show_wrong("lost", [asked for asked in found if asked not in _answered(found)])
        _show_wrong("absurd", _answered(answers.absurd))
        _show_wrong("neutral", _answered(answers.neutral))


def _answered(asked: Sequence[Asked]) -> list[Asked]:
    return [each for each in asked if each.relevance >= MATCHES_BEGIN]


def _show_wrong(what: str, those: Sequence[Asked]) -> None:
    for each in sorted(those, key=lambda asked: asked.relevance):
        print(f"  {what:8}{each.relevance:6.2f}  {each.text}")


def fit(bench: Bench, answers: Answers) -> Coefficients:
    """Coefficients for which the tune half's found queries lie above the middle and the neutral phrases below.

    A logistic regression on the cosine and the features of the text; the cut-off keeps KEPT_SHARE of the found ones.
    """
    if not isinstance(bench.scales, ReferenceScales):
        sys.exit("This model has no reference vectors: its scale comes from its logit scale.")
    found = [a for a in answers.found if a.is_tuned_on]
    asked = [*found, *answers.neutral]
    nearest, spread = bench.scales.features(bench.texts.encode([a.text for a in asked]).vectors)
    features = np.stack([np.array([a.cosine for a in asked]), nearest, spread], axis=1)
    slopes = _logistic(features, np.arange(len(asked)) < len(found))
    margins = (features[: len(found)] @ slopes) / slopes[0]
    base = float(np.quantile(margins, 1 - KEPT_SHARE))
    contrast = float(np.median(margins) - base) / (1 - MATCHES_BEGIN)  # a usual right frame has relevance 1
    return Coefficients(base, float(-slopes[1] / slopes[0]), float(-slopes[2] / slopes[0]), contrast)


def _logistic(features: Floats, is_positive: NDArray[np.bool_]) -> Floats:
    """Slopes of a ridge logistic regression in the features' own units, by Newton's method."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    penalty = np.diag([_RIDGE, _RIDGE, _RIDGE, 0.0])
    weights = np.zeros(scaled.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-scaled @ weights))
        gradient = scaled.T @ (chance - is_positive) + penalty @ weights
        curvature = (scaled * (chance * (1 - chance))[:, np.newaxis]).T @ scaled + penalty
        weights = weights - np.linalg.solve(curvature, gradient)
    slopes: Floats = weights[:3] / deviation
    return slopes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not options.videos.is_dir():
        print(f"The labelled videos are not in {options.videos}: name their folder by --videos.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as store:
        bench = make_bench(options.videos, options.cache, Path(store), options.model, options.rate)
        answers = ask_all(bench)
        show(answers, options.verbose)
        if options.fit:
            made = fit(bench, answers)
            print(f"\nfitted: {made}\nwith it:")
            assert isinstance(bench.scales, ReferenceScales)
            refitted = replace(bench, scales=replace(bench.scales, coefficients=made))
            show(ask_all(refitted), options.verbose)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relevance", description=__doc__)
    videos = Path(os.environ.get("CLIPSEEK_TEST_VIDEOS") or DEFAULT_VIDEOS)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--videos", type=Path, default=videos, help="folder of the labelled videos")
    parser.add_argument("--cache", type=Path, default=cache, help="where models and vectors are kept between runs")
    parser.add_argument("--model", default="starter", help="what CLIPSEEK_MODEL takes; other models need the hub")
    parser.add_argument("--rate", type=float, default=1.0, help="frames per second: 1, 2 or 4")
    parser.add_argument("--fit", action="store_true", help="fit the coefficients of the model's scale and try them")
    parser.add_argument("--verbose", action="store_true", help="list what is on the wrong side of the cut-off")
    return parser


if __name__ == "__main__":
    sys.exit(main())
