"""Where the saved index lies beside the store, and how it numbers the store's frames."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES

Ids = npt.NDArray[np.int64]


def number_frames(span_id: int, count: int) -> Ids:
    """The numbers of a span's frames, int64 [count]: the span id times MAX_SPAN_FRAMES, plus the place in the span."""
    return span_id * MAX_SPAN_FRAMES + np.arange(count, dtype=np.int64)


def cache_file(folder: Path, revision: int) -> Path:
    """The saved index of one revision of the store."""
    return folder / f"frames-{revision}.faiss"


def list_stale_files(folder: Path, revision: int) -> list[Path]:
    """Saved indices of other revisions, and unfinished ones."""
    return [file for file in sorted(folder.glob("frames-*")) if file != cache_file(folder, revision)]
