"""How well the cut-off of a model with cosines tells matches from noise: `python -m benchmarks.background_noise`.

No weights are needed: the frames are made such that their cosines with the texts are those that are reported for CLIP
and SigLIP models, and the real library searches them. Twenty texts are true of one moment each, twenty of nothing.
Each text has a background of its own, and every frame has noise. For each library it prints how many texts are decided
rightly: by the cut-off, and by the best single cut-off that somebody could set who knows the answers.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipseek.api.score_scale import MATCHES_BEGIN
from executors.clip_encoder.relevance.score_scales import LogitScales
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames, VideoRecord

Floats = NDArray[np.float64]
DIMENSIONS, TEXTS, TRUE = 256, 40, 20
FRAMES_PER_VIDEO, LENGTHS = 60, (5, 13)  # one frame a second; the lengths of true moments in frames
SCALE = LogitScales(100.0).of(np.empty(0, np.float32))
_ALIKE = 0.6  # any two texts have the square of it as their cosine
MODEL = "simulated/model@0123456789ab/1x1"


@dataclass(frozen=True)
class Model:
    """The cosines of a model: its usual background, and by how much right frames lie above it."""

    name: str
    background: float
    least: float
    most: float


FRAMES, NOISES, SPREADS = [60, 600, 2400, 20_000, 100_000], (0.012, 0.02), (0.02, 0.04)
MODELS = (Model("CLIP", 0.17, 0.06, 0.10), Model("SigLIP", 0.02, 0.05, 0.08))


@dataclass(frozen=True)
class Decided:
    """Shares of texts that are decided rightly: true ones answered with their moment, others not at all."""

    true: float
    absurd: float

    @property
    def mean(self) -> float:
        return (self.true + self.absurd) / 2


@dataclass(frozen=True)
class World:
    """Cosines of frames with the texts and, last, with the mean of neutral phrases, float64 [frames, TEXTS + 1].

    `is_true`, bool [frames, TEXTS]: the frames that each text is true of. Text i < TRUE has one moment, in video i.
    """

    cosines: Floats
    is_true: NDArray[np.bool_]


def make_world(model: Model, frames: int, noise: float, spread: float, dice: np.random.Generator) -> World:
    """Draw the moments and the cosines; `spread` is how far the texts' backgrounds lie apart."""
    backgrounds = model.background + np.append(dice.uniform(-spread / 2, spread / 2, TEXTS), 0.0)
    cosines = backgrounds + dice.normal(0, noise, (frames, TEXTS + 1))
    is_true = np.zeros((frames, TEXTS), np.bool_)
    for text in range(TRUE):
        length = int(dice.integers(*LENGTHS))
        start = text * FRAMES_PER_VIDEO % frames + int(dice.integers(0, FRAMES_PER_VIDEO - length))
        is_true[start : start + length, text] = True
        cosines[is_true[:, text], text] += dice.uniform(model.least, model.most)
    return World(cosines, is_true)


def make_texts() -> NDArray[np.float32]:
    """Unit vectors of the texts and of the neutral phrases' mean, float32 [TEXTS + 1, DIMENSIONS], which are alike."""
    texts = np.zeros((TEXTS + 1, DIMENSIONS), np.float32)
    texts[:, 0], texts[:, 1 : TEXTS + 2] = _ALIKE, math.sqrt(1 - _ALIKE**2) * np.eye(TEXTS + 1)
    return texts


def make_frames(cosines: Floats, background: float, dice: np.random.Generator) -> NDArray[np.float16]:
    """Unit vectors, float16 [frames, DIMENSIONS], that have these cosines with the texts."""
    common = np.full((len(cosines), 1), background / _ALIKE)
    own = (cosines - background) / math.sqrt(1 - _ALIKE**2)
    others = dice.normal(size=(len(cosines), DIMENSIONS - cosines.shape[1] - 1))
    left = np.sqrt(1 - common**2 - (own**2).sum(axis=1, keepdims=True))
    others *= left / np.linalg.norm(others, axis=1, keepdims=True)
    return np.concatenate([common, own, others], axis=1).astype(np.float16)


def fill(library: Library, vectors: NDArray[np.float16]) -> None:
    """Store frames, one a second, in videos of a minute."""
    for start in range(0, len(vectors), FRAMES_PER_VIDEO):
        rows = vectors[start : start + FRAMES_PER_VIDEO]
        video_id, seconds = f"{start:064x}", float(len(rows))
        record = VideoRecord(video_id, f"{start}.mp4", 1, seconds, 1, 1, 25.0, "h264", "mp4", 0, False, 1.0)
        library.register(record, MODEL)
        library.put_span(video_id, (0.0, seconds), Frames(np.arange(len(rows), dtype=np.float64) + 0.5, rows), MODEL)


@dataclass(frozen=True)
class Best:
    """The best match of each text: its relevance, float64 [TEXTS], and whether its peak is a true frame."""

    relevance: Floats
    is_right: NDArray[np.bool_]

    def decide(self, cut_off: float) -> Decided:
        is_answered = self.relevance >= cut_off
        return Decided(float((is_answered & self.is_right)[:TRUE].mean()), float((~is_answered)[TRUE:].mean()))

    def decide_best(self) -> Decided:
        """By the best single cut-off for these texts."""
        return max(map(self.decide, [*self.relevance, math.inf]), key=lambda decided: decided.mean)


def search(library: Library, world: World) -> Best:
    texts = make_texts()
    best = Best(np.empty(TEXTS), np.zeros(TEXTS, np.bool_))
    for text in range(TEXTS):
        part = Part(texts[text], scale=SCALE, mean_phrase=texts[TEXTS])
        [match] = library.search([part], SearchOptions(top_k=1, all_matches=True)).matches
        best.relevance[text] = match.segment.score
        frame = int(match.video.video_id, 16) + int(match.segment.peak_seconds)
        best.is_right[text] = world.is_true[min(frame, len(world.is_true) - 1), text]
    return best


def try_library(model: Model, frames: int, noise: float, spread: float, seed: int) -> Best:
    """Search a library of frames that are made for it."""
    dice = np.random.default_rng(seed)
    world = make_world(model, frames, noise, spread, dice)
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder)) as library:
        fill(library, make_frames(world.cosines, model.background, dice))
        return search(library, world)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    print("model    noise  spread  frames       true  absurd    mean     best: true  absurd    mean     points lost")
    for model, noise, spread, frames in product(MODELS, NOISES, SPREADS, options.frames):
        found = [try_library(model, frames, noise, spread, seed) for seed in seeds]
        made, best = [each.decide(MATCHES_BEGIN) for each in found], [each.decide_best() for each in found]
        lost = 100 * (_mean(best, "mean") - _mean(made, "mean"))
        print(f"{model.name:7}{noise:7}{spread:8}{frames:8}{_show(made)}         {_show(best)}{lost:16.1f}", flush=True)
    return 0


def _show(decided: Sequence[Decided]) -> str:
    return "   ".join(f"{100 * _mean(decided, name):8.1f}" for name in ("true", "absurd", "mean"))


def _mean(decided: Sequence[Decided], name: str) -> float:
    return float(np.mean([getattr(each, name) for each in decided]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.background_noise", description=__doc__)
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[60, 600, 2400, 20_000, 100_000], help="in the library"
    )
    parser.add_argument("--seeds", type=int, default=1, help="how many libraries of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
