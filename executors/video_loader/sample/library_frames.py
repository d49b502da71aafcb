"""Frames spread over videos, as the sampler takes them, for `clipseek model optimise`.

`python -m executors.video_loader.sample.library_frames FRAMES.npz < asked.json` writes `calibration` and `check`, uint8
[N, height, width, 3], and prints their numbers as JSON; the settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from clipseek.api.errors import MediaMissing, NoFrames
from clipseek.config.libraries import MAIN, media_folder
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from executors.video_loader.decode.picture import Picture, PictureShape
from executors.video_loader.decode.probe import probe
from executors.video_loader.media.media_store import MediaStore
from executors.video_loader.media.shared_media import open_shared_store
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import SampledFrame

_CHUNK_BYTES = 1  # whatever it is: nothing is uploaded here
_STEP_SECONDS = 1.0  # a frame is the first one that sampling by the second finds from its place on
_LEAST = 16  # of each kind: what fewer say of a model is chance

Video = AbstractContextManager[Path]


def spread(videos: Sequence[Video], count: int, shape: PictureShape) -> tuple[list[Picture], list[Picture]]:
    """Take about `count` frames, as many of each video; where there are many videos, of some. Each is opened in its turn.

    Returns: those of the videos' first halves, and those of their second halves.

    Raises:
        NoFrames: there are too few, counted without blank ones. UnreadableVideo: a video cannot be read.
    """
    videos = videos[:: max(1, 2 * len(videos) // count)]
    halves: tuple[list[Picture], list[Picture]] = ([], [])
    for video in videos:
        try:
            with video as path:
                pictures = list(_pictures(path, max(2, count // len(videos)), shape))
        except MediaMissing:  # indexed where it lay, and moved since
            continue
        halves[0].extend(pictures[: len(pictures) // 2])
        halves[1].extend(pictures[len(pictures) // 2 :])
    if min(map(len, halves)) < _LEAST:
        raise NoFrames(
            f"{len(videos)} videos gave {sum(map(len, halves))} frames a second or more apart, with something to see; at "
            f"least {2 * _LEAST} are needed. Give more or longer videos, or index some first"
        )
    return halves


def _pictures(video: Path, count: int, shape: PictureShape) -> Iterator[Picture]:
    """At most `count` frames at equal distances, a step or more apart, without blank ones."""
    duration = probe(video).duration_seconds
    places = min(count, max(1, int(duration / _STEP_SECONDS)))
    with VideoReader(video, 1 / _STEP_SECONDS, shape) as reader:
        for place in range(places):
            start = place * duration / places
            found = reader.read(start, start + _STEP_SECONDS)
            yield from (each.picture for each in found if isinstance(each, SampledFrame) and not each.is_blank)


def main() -> None:
    print_result(_answered)


def _answered() -> dict[str, int]:
    asked, settings = json.load(sys.stdin), Settings.from_env()
    videos = [nullcontext(Path(video)) for video in asked["videos"]] or _of_library(settings)
    calibration, check = spread(videos, asked["frames"], PictureShape(**asked["picture"]))
    np.savez(sys.argv[1], calibration=np.stack(calibration), check=np.stack(check))
    return {"calibration": len(calibration), "check": len(check)}


def _of_library(settings: Settings) -> Sequence[Video]:
    library = settings.library or MAIN
    store = (
        open_shared_store(settings, library, _CHUNK_BYTES)
        if settings.media_url
        else MediaStore(media_folder(settings, library), settings.media_roots, _CHUNK_BYTES)
    )
    return [store.in_use(record.video_id) for record in store.records()]


if __name__ == "__main__":
    main()
