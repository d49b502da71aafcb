"""The index on disk: a cache beside the store, which is rebuilt where it is missing, stale or broken."""

import logging
from pathlib import Path

import faiss
import numpy as np

from clipseek.machine.sync import sync
from executors.faiss_indexer.index import kinds
from executors.faiss_indexer.store.cache_file import (
    CacheDamaged,
    FrameSum,
    cache_path,
    list_stale_files,
    read_cache,
    write_cache,
)
from executors.faiss_indexer.store.spans import Ids

logger = logging.getLogger(__name__)


class IndexCache:
    """The saved index in `folder`, with the sum of its frames in the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, revision: int, ids: Ids) -> tuple[faiss.Index, FrameSum] | None:
        """The index of this revision of the store, if it was saved, is undamaged and holds exactly these frames."""
        path = cache_path(self._folder, revision)
        self._remove_stale_files(revision)
        if not path.exists():
            return None
        try:
            index, frame_sum = read_cache(path)
        except CacheDamaged:
            logger.warning("The index cache %s is damaged, or of an earlier version. It is rebuilt.", path)
            return None
        except (OSError, RuntimeError) as error:
            logger.warning("The index cache %s cannot be read (%s). It is rebuilt from the store.", path, error)
            return None
        if not kinds.is_known(index) or not np.array_equal(kinds.list_ids(index), ids):
            logger.warning("The index cache %s does not fit the store. It is rebuilt.", path)
            return None
        return index, frame_sum

    def save(self, revision: int, index: faiss.Index, frame_sum: FrameSum) -> bool:
        """Write the index under a temporary name, then rename it. Returns: False on a disk error, which is logged."""
        path = cache_path(self._folder, revision)
        temporary = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_cache(temporary, index, frame_sum)
            sync(temporary)
            temporary.replace(path)
            sync(self._folder)
        except (OSError, RuntimeError) as error:  # Faiss raises the latter
            logger.warning("The index cache %s cannot be written (%s).", path, error)
            return False
        self._remove_stale_files(revision)
        return True

    def _remove_stale_files(self, revision: int) -> None:
        """A store that is restored from a backup reaches the same revisions again, with other frames."""
        for file in list_stale_files(self._folder, revision):
            file.unlink()
