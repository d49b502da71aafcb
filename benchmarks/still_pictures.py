"""Measures what encoding still pictures only once saves and costs: `python -m benchmarks.still_pictures`.

For several limits of "nearly identical" (see `executors/clip_encoder/run/still_pictures.py`), it prints on the labelled
videos

- the share of frames that the model encodes,
- how much a frame's cosine with a labelled query changes: the 95th percentile of frames that reuse an embedding, and
  the largest change,
- R1@.5 and mAP of a search, both halves of the labels together.

Then, with the limits in use, it prints how many frames of an hour of still video are encoded, and how long that takes.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from benchmarks.quality.__main__ import DEFAULT_VIDEOS, Encoder
from benchmarks.quality.cases import LABELS, read_labels
from benchmarks.quality.video_curves import STORED_RATE, Video, Videos
from benchmarks.spans import sample_frames
from benchmarks.synthetic.sample_moments import read_still
from clipseek.evaluation.measures import Answer, evaluate
from executors.clip_encoder.run.still_pictures import MOST_BLOCK_DIFFERENCE, MOST_MEAN_DIFFERENCE, StillPictures
from executors.faiss_indexer.moments.segments import ScoreCurve, find_segments
from executors.faiss_indexer.store.spans import plan_spans
from executors.video_loader.decode.picture import PictureShape

Pictures = NDArray[np.uint8]
Vectors = NDArray[np.float32]
# Mean and block difference: from the noise of lossy coding of one picture to changes that are plainly visible.
LIMITS = ((0.5, 1.5), (1.0, 2.5), (1.5, 2.5), (1.5, 4.0), (2.0, 4.0), (2.0, 8.0), (3.0, 16.0))
HOUR_SECONDS, LOOP_SECONDS, FPS, GRAIN = 3600, 10, 10, 3.0
SIZE = (640, 360)


@dataclass(frozen=True)
class LabelledVideo:
    """A video, the pictures [N, H, W, 3] of its frames, and the indices of its labels."""

    video: Video
    pictures: Pictures
    videos: Videos
    own: Sequence[int]

    def at(self, rate: float) -> LabelledVideo:
        """The same video sampled at a lower rate that divides STORED_RATE."""
        _, places = np.unique(np.floor(self.video.pts_seconds * rate + 1e-9), return_index=True)
        video = Video(
            self.video.pts_seconds[places], self.video.vectors[places], self.video.cuts, self.video.duration_seconds
        )
        return LabelledVideo(video, self.pictures[places], self.videos, self.own)

    def search(self, vectors: Vectors) -> list[Answer]:
        """The results of a search with these frame vectors, for each of its labels."""
        answers = []
        for index in self.own:
            cosines = (vectors @ self.videos.queries[index]).astype(float)
            curve = ScoreCurve(self.video.pts_seconds, cosines, self.video.duration_seconds)
            segments = find_segments(self.videos.calibrated(index, curve), None, self.video.shots)
            times = [(segment.start_seconds, segment.end_seconds) for segment in segments]
            answers.append(Answer(times, self.videos.labels[index].moments))
        return answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path(os.environ.get("CLIPSEEK_TEST_VIDEOS", DEFAULT_VIDEOS)))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "clipseek-benchmarks")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 4.0], help="frames per second (default: 1 4)")
    options = parser.parse_args()
    if not options.videos.is_dir():
        print(f"The labelled videos are not in {options.videos}: give their folder with --videos.", file=sys.stderr)
        return 2
    encoder = Encoder(options.cache, options.model)
    videos = _load_videos(encoder, options.videos)
    for rate in options.rates:
        _print_limits([video.at(rate) for video in videos], rate)
    with tempfile.TemporaryDirectory() as folder:
        _print_hour(encoder, make_still_video(Path(folder) / "still.mkv"))
    return 0


def _load_videos(encoder: Encoder, folder: Path) -> list[LabelledVideo]:
    labels = read_labels(LABELS / "moments.jsonl")
    videos = encoder.videos(folder, labels)
    loaded = []
    for name in sorted({label.video for label in labels if label.video}):
        video = videos.vectors.video(folder / name)
        frames = sample_frames(folder / name, 0.0, video.duration_seconds, STORED_RATE, videos.vectors.shape)
        own = [i for i, label in enumerate(labels) if label.video == name]
        pictures = np.stack([frame.picture for frame in frames])
        loaded.append(LabelledVideo(video, pictures, videos, own))
    return loaded


def _print_limits(videos: Sequence[LabelledVideo], rate: float) -> None:
    frames = sum(len(labelled.pictures) for labelled in videos)
    print(f"\n{len(videos)} labelled videos, {rate:g} fps, {frames} frames")
    print(f"{'mean <=':>8}{'block <=':>9}{'encoded':>9}{'change p95':>12}{'largest':>9}{'R1@.5':>8}{'mAP':>7}")
    _print_row("", "", frames, frames, np.zeros(1), [a for v in videos for a in v.search(v.video.vectors)])
    for most_mean, most_block in LIMITS:
        encoded, changes, answers = 0, [np.zeros(1)], []
        for labelled in videos:
            known = {_hash_picture(p): v for p, v in zip(labelled.pictures, labelled.video.vectors, strict=True)}
            still = StillPictures(partial(_look_up, known), most_mean, most_block)
            result = still.encode("video", labelled.pictures)
            encoded += result.encoded
            change = np.abs((result.vectors - labelled.video.vectors) @ labelled.videos.queries.T).max(axis=1)
            changes.append(change[change > 0])
            answers += labelled.search(result.vectors)
        _print_row(f"{most_mean:g}", f"{most_block:g}", encoded, frames, np.concatenate(changes), answers)


def _print_row(
    mean: str, block: str, encoded: int, frames: int, changes: NDArray[np.floating], answers: list[Answer]
) -> None:
    values = evaluate(answers)
    recall, precision = (100 * float(values[name].mean()) for name in ("R1@.5", "mAP"))
    changed = f"{np.quantile(changes, 0.95):>12.3f}{changes.max():>9.3f}"
    print(f"{mean:>8}{block:>9}{100 * encoded / frames:>8.0f}%{changed}{recall:>8.1f}{precision:>7.1f}", flush=True)


def _hash_picture(picture: Pictures) -> bytes:
    return hashlib.sha256(picture.tobytes()).digest()


def _look_up(known: dict[bytes, Vectors], pictures: Pictures) -> Vectors:
    some = next(iter(known.values()))
    return np.array([known[_hash_picture(picture)] for picture in pictures], np.float32).reshape(-1, len(some))


def make_still_video(path: Path) -> Path:
    """Make an hour of one photograph with grain, H.264, a keyframe every 5 s. The packets of its first 10 s repeat."""
    generator = np.random.default_rng(0)
    photograph = cv2.resize(read_still("a red flower")[:, :, ::-1], SIZE)
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *SIZE, "yuv420p", 5 * FPS
        packets: list[Packet[Stream]] = []
        for index in range(LOOP_SECONDS * FPS):
            noisy = np.clip(photograph + generator.normal(0, GRAIN, photograph.shape), 0, 255).astype(np.uint8)
            frame = VideoFrame.from_ndarray(noisy, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for loop in range(HOUR_SECONDS // LOOP_SECONDS):
            shift = round(loop * LOOP_SECONDS / packets[0].time_base)
            for packet, (pts, dts) in zip(packets, times, strict=True):
                copy: Packet[Stream] = Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = pts + shift, dts + shift, packet.time_base
                copy.is_keyframe, copy.stream, copy.duration = packet.is_keyframe, stream, packet.duration
                video.mux(copy)
    return path


def _print_hour(encoder: Encoder, path: Path) -> None:
    form = encoder.tower.spec.preprocessing.picture_format
    shape = PictureShape(form.width, form.height, form.fit, form.fill)
    still = StillPictures(encoder.tower.encode)
    frames, encoded, still_seconds = 0, 0, 0.0
    pictures: Pictures = np.empty((0, form.height, form.width, 3), np.uint8)
    for start, end in plan_spans(float(HOUR_SECONDS)):
        pictures = np.stack([frame.picture for frame in sample_frames(path, start, end, 1.0, shape)])
        started = time.monotonic()
        result = still.encode("video", pictures)
        still_seconds += time.monotonic() - started
        frames, encoded = frames + len(pictures), encoded + result.encoded
    started = time.monotonic()
    encoder.tower.encode(pictures)
    frame_seconds = (time.monotonic() - started) / len(pictures)
    print(f"\nan hour of still video with grain, 1 fps, limits {MOST_MEAN_DIFFERENCE:g} and {MOST_BLOCK_DIFFERENCE:g}")
    print(f"  frames {frames}, encoded {encoded}")
    print(f"  {still_seconds:.1f} s to compare and encode")
    print(f"  {frames * frame_seconds:.0f} s to encode all ({1 / frame_seconds:.1f}/s)")


if __name__ == "__main__":
    sys.exit(main())
