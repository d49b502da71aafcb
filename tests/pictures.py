"""Real pictures for tests: photographs, stills of the sample videos, and a video of them with exact cuts."""

from pathlib import Path

import cv2
import numpy as np

from benchmarks.synthetic.sample_moments import read_still
from benchmarks.synthetic.videos import make

FOLDER = Path(__file__).parent / "photographs"  # its NOTICE.md has their authors and licences
SECONDS_PER_PICTURE, FPS = 4, 10
SIZE = (640, 480)


def read_photograph(name: str) -> np.ndarray:
    """A photograph of `FOLDER`, uint8 [height, width, 3], RGB."""
    picture = cv2.imread(str(FOLDER / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, name
    return picture


PICTURES = (
    ("astronaut", read_photograph),
    ("a red flower", read_still),
    ("coffee", read_photograph),
    ("rocket", read_photograph),
    ("a man in a suit", read_still),
    ("cat", read_photograph),
)


def make_photographs_video(path: Path) -> Path:
    """A video of `PICTURES`, each for `SECONDS_PER_PICTURE`, in their order."""
    pictures = [cv2.resize(read(name), SIZE) for name, read in PICTURES for _ in range(SECONDS_PER_PICTURE * FPS)]
    return make(path, pictures=pictures, fps=FPS, size=SIZE).path
