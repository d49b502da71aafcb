"""The moments of the sample videos: the truth that searches for them are measured by, and pictures for other videos."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from executors.video_loader.media import sample_videos

FPS = 25
SECONDS_PER_STILL = 4
SIZE = (640, 360)  # pixels of every still
STILLS_VIDEO = "stills.mp4"


@dataclass(frozen=True)
class Moment:
    """What `[start_seconds, end_seconds)` of a video shows: the truth that searches are measured by."""

    video: str
    seen: str
    start_seconds: float
    end_seconds: float


MOMENTS = (
    Moment("nature.mp4", "a stream between rocks", 0.0, 3.0),
    Moment("nature.mp4", "a red flower", 3.0, 8.0),
    Moment("silent-film.mp4", "two men in the street", 0.0, 9.64),
    Moment("space-telescope.mp4", "a worker in a hall", 0.0, 13.0),
    Moment("toys.mp4", "a white toy rabbit", 0.0, 4.0),
    Moment("toys.mp4", "a glowing crystal", 4.0, 8.0),
    Moment("toys.mp4", "a green toy frog", 8.0, 12.0),
    Moment("toys.mp4", "a toy monster", 12.0, 16.0),
    Moment("toys.mp4", "a pink toy pig", 16.0, 20.0),
)
# What a frame shows -> its video and the seconds where it is shown.
STILLS = {
    "a toy monster": ("toys.mp4", 13.0),
    "a red flower": ("nature.mp4", 7.0),
    "a man in a suit": ("silent-film.mp4", 9.0),
    "a glowing crystal": ("toys.mp4", 5.0),
    "a stream between rocks": ("nature.mp4", 2.0),
    "a worker in a hall": ("space-telescope.mp4", 7.0),
}


def read_still(seen: str) -> NDArray[np.uint8]:
    """The frame of the sample videos that shows this. Returns: uint8 [height, width, 3], RGB, of `SIZE`."""
    video, at_seconds = STILLS[seen]
    with av.open(str(sample_videos.FOLDER / video)) as container:
        frame = next(f for f in container.decode(video=0) if f.time is not None and f.time >= at_seconds)
        return np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def make_stills_video(path: Path) -> Path:
    """Make a video that shows each of `STILLS`, in their order, for `SECONDS_PER_STILL`: its cuts are exact."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "veryfast", "g": str(FPS)})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index, seen in enumerate(seen for seen in STILLS for _ in range(FPS * SECONDS_PER_STILL)):
            if index % (FPS * SECONDS_PER_STILL) == 0:
                still = read_still(seen)
            frame = VideoFrame.from_ndarray(still, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


STILL_MOMENTS = tuple(
    Moment(STILLS_VIDEO, seen, float(place * SECONDS_PER_STILL), float((place + 1) * SECONDS_PER_STILL))
    for place, seen in enumerate(STILLS)
)
