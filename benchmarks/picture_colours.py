"""A recipe that the starter model does not use: colours of the picture beside the classes of its objects.

A picture is described by the shares of eleven colours where each is strongest, a text by the colours that it names.
`benchmarks/starter_recipes.py` measures it; docs/starter.md says what came out.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Typical tints of each basic colour, in sRGB.
TINTS = {
    "black": [(0, 0, 0), (28, 28, 28)],
    "white": [(255, 255, 255), (228, 228, 228)],
    "grey": [(128, 128, 128), (85, 85, 85), (175, 175, 175)],
    "red": [(200, 20, 20), (140, 15, 15), (230, 60, 50)],
    "orange": [(255, 140, 0), (230, 120, 40)],
    "yellow": [(250, 230, 30), (220, 200, 60)],
    "green": [(30, 160, 40), (20, 90, 30), (120, 180, 60), (90, 110, 40)],
    "blue": [(30, 60, 200), (80, 140, 220), (20, 30, 90), (135, 206, 235)],
    "purple": [(120, 40, 160), (90, 50, 120), (180, 130, 200)],
    "pink": [(255, 150, 180), (230, 90, 150), (240, 190, 200)],
    "brown": [(120, 70, 30), (80, 50, 25), (170, 120, 80)],
}
COLOURS = tuple(TINTS)
_SIDE, _CELLS, _STRONGEST = 64, 4, 3  # pixels and cells on each side; how many cells a colour's share is the mean of
_SIGMA = 12.0  # in CIELAB, where just visible differences are about 2
_RIDGE, _BARE_WEIGHT, _GENERAL_WEIGHT = 1.0, 3.0, 0.2
# Chosen on the tune half of the labels: what a text names less clearly is none, and how much colours count.
_LEAST_NAMED, _COLOUR_WEIGHT = 0.3, 0.3


class ColourShares:
    """Pictures uint8 [N, H, W, 3] to the shares of COLOURS float32 [N, 11], each in the cells where it is strongest."""

    def __init__(self) -> None:
        self._tints = _to_lab(np.array([tint for tints in TINTS.values() for tint in tints], np.uint8)[np.newaxis])[0]
        self._owner = np.repeat(np.arange(len(TINTS)), [len(tints) for tints in TINTS.values()])

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([self._encode_one(picture) for picture in pictures]).astype(np.float32)

    def _encode_one(self, picture: NDArray[np.uint8]) -> Floats:
        pixels = _to_lab(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)).reshape(-1, 3)
        distances = ((pixels[:, np.newaxis] - self._tints) ** 2).sum(axis=-1)
        near = np.exp((distances.min(axis=1, keepdims=True) - distances) / (2 * _SIGMA**2))
        shares = near / near.sum(axis=1, keepdims=True) @ np.eye(len(TINTS))[self._owner]
        cells = shares.reshape(_CELLS, _SIDE // _CELLS, _CELLS, _SIDE // _CELLS, -1).mean(axis=(1, 3))
        strongest: Floats = np.sort(cells.reshape(_CELLS**2, -1), axis=0)[-_STRONGEST:].mean(axis=0)
        return strongest


def _to_lab(rgb: NDArray[np.uint8]) -> Floats:
    lab: Floats = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    return lab


def fit_named_colours(
    encode: Callable[[Sequence[str]], Floats], names: Sequence[str], plain: Floats
) -> Callable[[Floats], Floats]:
    """Fit a ridge regression from text vectors to the colours that a text names.

    Args:
        encode: texts to unit rows float64 [N, D].
        names: of things, which are put together with all colours in turn.
        plain: vectors of texts that name no colour, float64 [M, D].

    Returns: a function from text vectors [N, D] to the weights of colours [N, 11]; 0 for those not clearly named.
    """
    painted = [(f"a {COLOURS[n % len(COLOURS)]} {name}", n % len(COLOURS)) for n, name in enumerate(names)]
    bare = [(text, n) for n, colour in enumerate(COLOURS) for text in (colour, f"something {colour}")]
    vectors = np.concatenate([encode([text for text, _ in painted + bare]), encode([f"a {n}" for n in names]), plain])
    targets = np.zeros((len(vectors), len(COLOURS)))
    targets[np.arange(len(painted + bare)), [colour for _, colour in painted + bare]] = 1.0
    counts = (len(painted), len(bare), len(names), len(plain))
    weight = np.repeat([1.0, _BARE_WEIGHT, 1.0, _GENERAL_WEIGHT], counts)[:, np.newaxis]
    mean, usual = ((rows * weight).sum(axis=0) / weight.sum() for rows in (vectors, targets))
    centred = vectors - mean
    gram = (centred * weight).T @ centred + _RIDGE * np.eye(vectors.shape[1])
    slopes = np.linalg.solve(gram, (centred * weight).T @ (targets - usual))

    def weigh(texts: Floats) -> Floats:
        named = (texts - mean) @ slopes + usual
        return np.where(named > _LEAST_NAMED, _COLOUR_WEIGHT * named, 0.0)

    return weigh
