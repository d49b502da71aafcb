"""Real pictures for tests: photographs, stills of the sample videos, and a video of them with exact cuts."""

from pathlib import Path

import cv2
import numpy as np

from benchmarks.synthetic.sample_moments import read_still
from benchmarks.synthetic.videos import make

FOLDER = Path(__file__).parent / "photographs"  # its NOTICE.md has their authors and licences
SECONDS_PER_PHOTOGRAPH, FPS = 4, 10
SIZE = (640, 480)


def read_photograph(name: str) -> np.ndarray:
    """A photograph of `FOLDER`, uint8 [height, width, 3], RGB."""
    picture = cv2.imread(str(FOLDER / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, name
    return picture


def make_photographs_video(path: Path) -> Path:
    """A video of an astronaut, a cat, a cup of coffee, a stream, a rocket and a crystal, four seconds each."""
    still = [read_photograph(name) for name in ("astronaut", "cat", "coffee", "rocket")]
    still[3:3] = [read_still("a stream between rocks")]
    still.append(read_still("a shiny crystal"))
    pictures = [
        shown for picture in still for shown in [cv2.resize(picture, SIZE)] * (SECONDS_PER_PHOTOGRAPH * FPS)
    ]
    return make(path, pictures=pictures, fps=FPS, size=SIZE).path
