"""Takes frames spread over videos, as the sampler does, for `clipseek model optimise`.

`python -m executors.video_loader.workers.library_frames FRAMES.npz < request.json` writes `calibration` and `check`,
uint8 [N, height, width, 3], and prints how many frames each has as JSON; settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from clipseek.api.errors import MediaMissing, NoFrames
from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from executors.video_loader.decode.picture import Picture, PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.media.shared_media import open_media_files
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import SampledFrame

_CHUNK_BYTES = 1  # any value: nothing is uploaded here
_STEP_SECONDS = 1.0  # each frame is the first sample, at one per second, from its place on
_LEAST_FRAMES = 16  # of each kind: with fewer, the result for a model is chance

VideoFile = AbstractContextManager[Path]


def spread_frames(videos: Sequence[VideoFile], count: int, shape: PictureShape) -> tuple[list[Picture], list[Picture]]:
    """Take about `count` frames, equally many from each video, or from some of many videos. Opens one at a time.

    Returns: frames of the videos' first halves, and frames of their second halves.

    Raises: NoFrames: too few frames that are not blank. UnreadableVideo: a video cannot be read.
    """
    videos = videos[:: max(1, 2 * len(videos) // count)]
    halves: tuple[list[Picture], list[Picture]] = ([], [])
    for video in videos:
        try:
            with video as path:
                pictures = list(_take_pictures(path, max(2, count // len(videos)), shape))
        except MediaMissing:  # a registered video that was moved
            continue
        halves[0].extend(pictures[: len(pictures) // 2])
        halves[1].extend(pictures[len(pictures) // 2 :])
    if min(map(len, halves)) < _LEAST_FRAMES:
        raise NoFrames(
            f"{len(videos)} videos gave {sum(map(len, halves))} frames that are not blank and a second or more apart, "
            f"but {2 * _LEAST_FRAMES} are needed. Give more or longer videos, or index some first"
        )
    return halves


def _take_pictures(video: Path, count: int, shape: PictureShape) -> Iterator[Picture]:
    duration = probe_video(video).duration_seconds
    places = min(count, max(1, int(duration / _STEP_SECONDS)))
    with VideoReader(video, 1 / _STEP_SECONDS, shape) as reader:
        for place in range(places):
            start = place * duration / places
            items = reader.read(start, start + _STEP_SECONDS)
            yield from (item.picture for item in items if isinstance(item, SampledFrame) and not item.is_blank)


def main() -> None:
    print_result(_write_frames)


def _write_frames() -> dict[str, int]:
    request, settings = json.load(sys.stdin), Settings.from_env()
    videos = [nullcontext(Path(video)) for video in request["videos"]] or _library_videos(settings)
    calibration, check = spread_frames(videos, request["frames"], PictureShape(**request["picture"]))
    np.savez(sys.argv[1], calibration=np.stack(calibration), check=np.stack(check))
    return {"calibration": len(calibration), "check": len(check)}


def _library_videos(settings: Settings) -> Sequence[VideoFile]:
    media = open_media_files(settings, settings.library or MAIN, _CHUNK_BYTES)
    return [media.in_use(record.video_id) for record in media.records()]


if __name__ == "__main__":
    main()
