"""Shows HDR as SDR: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67) in BT.2020 become BT.709.

A table of colours is computed once, and FFmpeg's `lut3d` looks each pixel up. Paper white, 203 nits (ITU-R BT.2408),
becomes nearly full white; brighter light is compressed into the rest.
"""

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from executors.video_loader.decode.quirks import make_graph

_BT2020_MATRIX = 9  # SWS_CS_BT2020
PQ, HLG = 16, 18  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_TABLE_STEPS = 33  # a side, as colourists use
_PAPER_WHITE_NITS, _PQ_PEAK_NITS = 203.0, 10_000.0
_HLG_PAPER_WHITE = 0.2648  # scene light of a signal of 75 %
_KNEE = 0.9  # of paper white: darker light stays as it is
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_FORMAT = "gbrp16le"

Floats = NDArray[np.float64]


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame's light is coded as PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


class ToneMapper:
    """Turns HDR frames of one video into SDR. Frames of any size may come."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self._graphs: dict[tuple[int, int, int], Graph] = {}

    def convert(self, frame: VideoFrame, width: int, height: int, interpolation: int) -> VideoFrame:
        """Scale a frame to exactly this size. Returns: 16-bit RGB in BT.709, full range."""
        flat = self._scaler.reformat(
            frame,
            width,
            height,
            _FORMAT,
            src_colorspace=_BT2020_MATRIX,
            interpolation=interpolation,
            dst_color_range="JPEG",
            threads=1,
        )
        flat.pts, flat.time_base = 0, Fraction(1, 90_000)
        key = (frame.color_trc, width, height)
        if key not in self._graphs:
            self._graphs.clear()  # a size that changes seldom changes back
            self._graphs[key] = _make_graph(*key)
        graph = self._graphs[key]
        graph.push(flat)
        mapped = graph.pull()
        assert isinstance(mapped, VideoFrame)
        return mapped


def _make_graph(transfer: int, width: int, height: int) -> Graph:
    graph = make_graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat(_FORMAT), time_base=Fraction(1, 90_000))
    table = graph.add("lut3d", f"file={_table_file(transfer)}:interp=tetrahedral")
    sink = graph.add("buffersink")
    source.link_to(table)
    table.link_to(sink)
    graph.configure()
    return graph


@functools.cache
def _table_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="clipseek-colours-")


@functools.cache
def _table_file(transfer: int) -> Path:
    """A table of BT.709 colours for all signals, red changing fastest, as `.cube` files have it."""
    steps = np.linspace(0, 1, _TABLE_STEPS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colours = map_signal(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    file = Path(_table_folder().name) / f"{transfer}.cube"
    np.savetxt(file, colours, fmt="%.6f", header=f"LUT_3D_SIZE {_TABLE_STEPS}", comments="")
    return file


def map_signal(signal: Floats, transfer: int) -> Floats:
    """BT.709 signals of BT.2020 ones, both [N, 3] RGB from 0 to 1."""
    light = _read_pq(signal) if transfer == PQ else _read_hlg(signal)
    light = np.maximum(light @ _TO_BT709.T, 0)
    peak = light.max(axis=-1, keepdims=True)
    room = 1 - _KNEE
    compressed = _KNEE + room * (1 - np.exp(-(np.maximum(peak, _KNEE) - _KNEE) / room))
    light = light * np.where(peak > _KNEE, compressed / np.maximum(peak, _KNEE), 1.0)
    signal_709: Floats = np.where(light < 0.018, 4.5 * light, 1.099 * np.maximum(light, 1e-9) ** 0.45 - 0.099)
    return np.clip(signal_709, 0, 1)


def _read_pq(signal: Floats) -> Floats:
    """Light, 1 for paper white, by the EOTF of SMPTE ST 2084."""
    power = signal ** (1 / 78.84375)
    light: Floats = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return light * (_PQ_PEAK_NITS / _PAPER_WHITE_NITS)


def _read_hlg(signal: Floats) -> Floats:
    """Scene light, 1 for paper white, by the inverse OETF of ARIB STD-B67."""
    bright = (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    light: Floats = np.where(signal <= 0.5, signal**2 / 3, bright)
    return light / _HLG_PAPER_WHITE
