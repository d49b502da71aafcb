"""Videos whose pictures stay long: slides, time-lapses, screen recordings."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 48)
GREYS = (40, 200, 120, 240, 80)


def write_slides(
    path: Path, starts: Sequence[float], end: float, pictures: Sequence[int], sound_end: float = 0
) -> Path:
    """Picture `GREYS[pictures[n]]` from `starts[n]` seconds to the next one, the last to `end`; maybe with a tone."""
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=10, options={"bf": "0", "qp": "10"})
        track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
        track.time_base = track.codec_context.time_base = Fraction(1, 1000)
        sound = video.add_stream("aac", rate=48000, layout="mono") if sound_end else None
        for start, until, number in zip(starts, [*starts[1:], end], pictures, strict=True):
            grey = np.full((SIZE[1], SIZE[0], 3), GREYS[number], np.uint8)
            grey[: SIZE[1] // 2, : SIZE[0] // 2] = 255 - GREYS[number]
            frame = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(start * 1000), Fraction(1, 1000)
            for packet in [*track.encode(frame)]:
                packet.duration = round((until - start) * 1000)
                video.mux(packet)
        if sound is not None:
            tone = np.sin(np.arange(round(sound_end * 48000)) / 20).astype(np.float32)[None] / 2
            frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            video.mux(sound.encode(frame))
            video.mux(sound.encode(None))
        for packet in track.encode(None):
            packet.duration = round((end - starts[-1]) * 1000)
            video.mux(packet)
    return path
