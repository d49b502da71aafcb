"""Ways to build the starter model from its two halves, and how good each is: `python -m benchmarks.starter_recipes`.

Each recipe turns the classifier's thousand scores of a picture, and a text, into vectors. It prints, for the tune half
of the labels, on which recipes were chosen, and for the report half:

- video: for queries that are true in a range of their video, how often its best frame lies in a true moment,
- library: how often the best frame of all videos, except copies, lies in a true moment,
- AUC: how often a frame of a true moment scores above one of another video,
- no match: how often the best score of a query that succeeds in the library is above that of an absurd one.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray

from benchmarks.picture_colours import ColourShares, fit_named_colours
from benchmarks.quality.__main__ import DEFAULT_VIDEOS
from benchmarks.quality.cases import LANGUAGES, REPORT, TUNE, Label, read_queries
from benchmarks.quality.video_curves import VideoVectors
from benchmarks.relevance import find_copies
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.preprocessing import prepare
from executors.clip_encoder.run.towers import TextTower
from executors.clip_encoder.starter.class_texts import CLASSES, ClassText, list_class_texts
from executors.clip_encoder.starter.recipe import ARCHITECTURE, find_classifier, read_classifier

Floats = NDArray[np.float64]
_RATE = 1.0
_TEXT_BATCH = 64


class Classifier:
    """EfficientNet-Lite2 as it is: pictures uint8 [N, H, W, 3] to the scores of its classes float32 [N, 1000]."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._module = timm.create_model(ARCHITECTURE)
        self._module.load_state_dict(read_classifier(find_classifier()))
        self._module.eval()

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = self._module(torch.from_numpy(prepare(pictures, self._preprocessing))).numpy()
        return scores


@dataclass(frozen=True)
class Recipe:
    """`pictures` takes centred class scores [N, 1000], `texts` the sentence encoder's [M, 512], both to unit rows.

    With `pool_shots` each frame gets the mean score of its shot. `colours` weighs the colours that texts name.
    """

    name: str
    pictures: Callable[[Floats], Floats]
    texts: Callable[[Floats], Floats]
    pool_shots: bool = False
    colours: Callable[[Floats], Floats] | None = None


def to_unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


@dataclass(frozen=True)
class Encoded:
    """The sentence encoder's vectors of all class texts, unit rows float64 [N, 512]."""

    texts: Sequence[ClassText]
    vectors: Floats

    @cached_property
    def first_names(self) -> NDArray[np.bool_]:
        """Whether each text is the first name of its class: a class's own texts come in the order of the classes."""
        numbers = [text.classes[0] if not text.is_general else CLASSES for text in self.texts]
        return np.array([before < now < CLASSES for before, now in pairwise([-1, *numbers])])

    @property
    def is_general(self) -> NDArray[np.bool_]:
        return np.array([text.is_general for text in self.texts])

    def fold(self, weights: Floats, ridge: float, centred: bool = True) -> Recipe:
        """Fit the ridge regression from text vectors to class weights."""
        is_used = weights > 0
        vectors, weight = self.vectors[is_used], weights[is_used][:, np.newaxis]
        targets = np.zeros((int(is_used.sum()), CLASSES))
        for row, text in zip(targets, np.array(self.texts, dtype=object)[is_used], strict=True):
            row[list(text.classes)] = 1 / np.sqrt(len(text.classes))
        if centred:
            vectors = vectors - (vectors * weight).sum(axis=0) / weight.sum()
        gram = (vectors * weight).T @ vectors + ridge * np.eye(vectors.shape[1])
        head = np.linalg.solve(gram, (vectors * weight).T @ targets)
        return Recipe("", lambda scores: to_unit(scores @ head.T), lambda texts: texts)

    def average_names(self, temperature: float, classes: int) -> Recipe:
        """ConSE: average the class names' vectors by the likeliest classes' probabilities (M. Norouzi et al. 2014)."""
        names = self.vectors[self.first_names]
        mean = names.mean(axis=0)

        def pictures(scores: Floats) -> Floats:
            likeliest = np.where(scores >= np.sort(scores, axis=1)[:, -classes][:, np.newaxis], scores, -np.inf)
            odds = np.exp((likeliest - likeliest.max(axis=1, keepdims=True)) / temperature)
            return to_unit(odds / odds.sum(axis=1, keepdims=True) @ (names - mean))

        return Recipe("", pictures, lambda texts: to_unit(texts - mean))

    def weigh_nearest_names(self, sharpness: float) -> Recipe:
        """Take the class scores as they are, weighted by a softmax of the text's cosines with the class names."""
        names = self.vectors[self.first_names]

        def texts(vectors: Floats) -> Floats:
            near = np.exp(sharpness * (vectors @ names.T))
            return to_unit(near / near.sum(axis=1, keepdims=True))

        return Recipe("", to_unit, texts)

    def list_recipes(self) -> list[Recipe]:
        first, general = self.first_names.astype(np.float64), self.is_general
        names_and_definitions = (~general).astype(np.float64)

        def with_general(weight: float) -> Floats:
            return np.where(general, weight, 1.0)

        recipes = {
            "ConSE, 10 classes": self.average_names(1.0, 10),
            "ConSE, 1000 classes": self.average_names(1.0, CLASSES),
            "nearest class names, sharp": self.weigh_nearest_names(40.0),
            "nearest class names, soft": self.weigh_nearest_names(10.0),
            "fold of first names, ridge 10": self.fold(first, 10.0),
            "fold of names and definitions": self.fold(names_and_definitions, 10.0),
            "  and hypernyms x .1": self.fold(with_general(0.1), 10.0),
            "  and hypernyms x .2 (in use)": self.fold(with_general(0.2), 10.0),
            "  and hypernyms x .6": self.fold(with_general(0.6), 10.0),
            "  and hypernyms x 6": self.fold(with_general(6.0), 10.0),
            "  x .2, ridge 3": self.fold(with_general(0.2), 3.0),
            "  x .2, ridge 30": self.fold(with_general(0.2), 30.0),
            "  x .2, not centred": self.fold(with_general(0.2), 10.0, centred=False),
        }
        pooled = self.fold(with_general(0.2), 10.0)
        recipes["  x .2, scores pooled over shots"] = Recipe("", pooled.pictures, pooled.texts, pool_shots=True)
        return [replace(recipe, name=name) for name, recipe in recipes.items()]


@dataclass(frozen=True)
class Frames:
    """All frames of all videos: class scores [N, 1000] and colours [N, 11], centred; each frame's video, time, shot."""

    scores: Floats
    colours: Floats
    videos: NDArray[np.str_]
    pts_seconds: Floats
    shots: NDArray[np.intp]

    def are_inside(self, label: Label) -> NDArray[np.bool_]:
        """Whether each frame lies in one of the label's moments."""
        times = self.pts_seconds
        moments = [(times >= start) & (times < end) for start, end in label.moments]
        are_inside: NDArray[np.bool_] = (self.videos == label.video) & np.any(moments, axis=0)
        return are_inside


def read_frames(videos: VideoVectors, colours: VideoVectors, folder: Path) -> Frames:
    names: list[str] = []
    scores: list[Floats] = []
    shares: list[Floats] = []
    times: list[Floats] = []
    shots: list[NDArray[np.intp]] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".mp4", ".webm"}):
        video = videos.video(path)
        sampled = np.unique(np.floor(video.pts_seconds * _RATE + 1e-9), return_index=True)[1]
        rows = video.vectors[sampled].astype(np.float64)
        scores.append(rows - rows.mean(axis=1, keepdims=True))
        shares.append(colours.video(path).vectors[sampled].astype(np.float64))
        names += [path.name] * len(sampled)
        times.append(video.pts_seconds[sampled])
        shots.append(np.searchsorted(video.cuts, video.pts_seconds[sampled], side="right") + 1000 * len(shots))
    centred = np.concatenate(shares) - np.concatenate(shares).mean(axis=0)
    return Frames(np.concatenate(scores), centred, np.array(names), np.concatenate(times), np.concatenate(shots))


@dataclass(frozen=True)
class QueryMeasures:
    """Measures of one query; nan if one does not apply."""

    in_video: float
    in_library: float
    above_others: float
    best: float


def measure_query(label: Label, scores: Floats, frames: Frames, copies: frozenset[str]) -> QueryMeasures:
    inside, own = frames.are_inside(label), frames.videos == label.video
    others = ~own & ~np.isin(frames.videos, sorted(copies))
    in_video = np.nan if inside[own].all() or not inside.any() else float(inside[own][scores[own].argmax()])
    candidates = np.where(inside | others, scores, -np.inf)
    above = (scores[inside][:, np.newaxis] > scores[others]).mean() if inside.any() else np.nan
    return QueryMeasures(in_video, float(inside[candidates.argmax()]), float(above), float(candidates.max()))


def score_frames(recipe: Recipe, frames: Frames, texts: Floats) -> Floats:
    """Returns: the scores of all frames for all texts, float64 [frames, texts]."""
    scores = recipe.pictures(frames.scores) @ recipe.texts(texts).T
    if recipe.colours:
        scores += frames.colours @ recipe.colours(texts).T
    if recipe.pool_shots:
        _, shot = np.unique(frames.shots, return_inverse=True)
        totals = np.zeros((shot.max() + 1, scores.shape[1]))
        np.add.at(totals, shot, scores)
        scores = (totals / np.bincount(shot)[:, np.newaxis])[shot]
    return scores


def show(
    recipe: Recipe, frames: Frames, labels: Sequence[Label], texts: Floats, copies: dict[str, frozenset[str]]
) -> None:
    scores = score_frames(recipe, frames, texts)
    absurd = scores[:, len(labels) :].max(axis=0)
    columns = []
    for split in (TUNE, REPORT):
        indices = [i for i, label in enumerate(labels) if label.split == split]
        queries = [measure_query(labels[i], scores[:, i], frames, copies[str(labels[i].video)]) for i in indices]
        best = np.array([query.best for query in queries if query.in_library])
        columns += [
            100 * np.nanmean([query.in_video for query in queries]),
            100 * np.mean([query.in_library for query in queries]),
            100 * np.nanmean([query.above_others for query in queries]),
            100 * float((best[:, np.newaxis] > absurd).mean()) if len(best) else np.nan,
        ]
    print(f"{recipe.name:40}" + "".join(f"{value:9.1f}" for value in columns), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not options.videos.is_dir():
        print(f"The labelled videos are not in {options.videos}. Name their folder with --videos.", file=sys.stderr)
        return 2
    spec = Registry(options.cache).resolve("starter")
    picture_format = spec.preprocessing.picture_format
    folder = options.cache / "videos"
    videos = VideoVectors(folder, "class scores", Classifier(spec.preprocessing), picture_format)
    colours = VideoVectors(folder, "colours", ColourShares(), picture_format)
    frames = read_frames(videos, colours, options.videos)
    tower = TextTower(spec, choose_device("cpu"))
    class_texts = list_class_texts()
    encoded = Encoded(class_texts, _encode_texts(tower, [text.text for text in class_texts]))
    labels, nothing = read_queries(options.everyday, options.language)
    texts = _encode_texts(tower, [label.query for label in labels + nothing])
    copies = find_copies(options.videos, sorted(set(frames.videos.tolist())))
    head = "".join(f"{name:>9}" for name in ("video", "library", "AUC", "no match"))
    print(f"{'':40}{'tune half':>36}{'report half':>36}\n{'recipe':40}{head}{head}")
    names = [text.text for text, is_first in zip(class_texts, encoded.first_names, strict=True) if is_first]
    named = fit_named_colours(lambda texts: _encode_texts(tower, texts), names, encoded.vectors)
    used = encoded.fold(np.where(encoded.is_general, 0.2, 1.0), 10.0)
    for recipe in [*encoded.list_recipes(), replace(used, name="  x .2, and colours of the picture", colours=named)]:
        show(recipe, frames, labels, texts, copies)
    return 0


def _encode_texts(tower: TextTower, texts: Sequence[str]) -> Floats:
    batches = [texts[i : i + _TEXT_BATCH] for i in range(0, len(texts), _TEXT_BATCH)]
    return np.concatenate([tower.encode(batch).vectors for batch in batches]).astype(np.float64)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starter_recipes", description=__doc__)
    videos = Path(os.environ.get("CLIPSEEK_TEST_VIDEOS") or DEFAULT_VIDEOS)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--videos", type=Path, default=videos, help="folder of the labelled videos")
    parser.add_argument("--everyday", action="store_true", help="the queries in everyday words, not the first ones")
    parser.add_argument("--language", default="en", choices=list(LANGUAGES), help="of the labelled queries")
    parser.add_argument("--cache", type=Path, default=cache, help="folder that keeps models and scores between runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
