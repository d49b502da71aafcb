"""pgvector beside Faiss, below one library: `python -m benchmarks.pgvector postgresql://... [--frames N]`.

The database needs pgvector; its table `frames` is replaced. For each size, in one run: ClipSeek's own index in the
indexer's memory, filled from PostgreSQL, and an HNSW index of pgvector over the same vectors as `halfvec`, asked
through one connection. Start is the time until an indexer can answer: one that reads its index from the store, or one
that only connects. Memory is that of each indexer, and of the index in the database, once for all indexers. Recall is
that of the ten nearest frames, for queries as far from pictures as texts are.
"""

import argparse
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import faiss
import numpy as np
import psutil
import psycopg

from benchmarks.search import DIMENSIONS, milliseconds, timed
from benchmarks.synthetic.library import SyntheticFrames
from executors.faiss_indexer.index import kinds, recall

SIZES = (100_000, 1_000_000)
_EXACT_FRAMES = 150_000  # the default, up to which ClipSeek's index compares all frames
_QUERIES, _NEAREST = 100, 64
_BATCH = 50_000
_SEARCHED = (64, 200, 400, 1000)  # candidates that HNSW keeps: `hnsw.ef_search`
_ASK = "SELECT id, -(vector <#> %s::halfvec) FROM frames ORDER BY vector <#> %s::halfvec LIMIT %s"

# A row of PostgreSQL's binary copy: how many columns, and for each how many bytes, then these.
_ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(("bytes_1", ">i4"), ("id", ">i8")),
        *(("bytes_2", ">i4"), ("raw", "<f2", DIMENSIONS)),
        *(("bytes_3", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f2", DIMENSIONS)),
    ]
)
_COPY_BEGINS, _COPY_ENDS = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"

Batches = list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of a database whose table `frames` may be replaced")
    parser.add_argument("--frames", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    print(f"{'frames':>9}  {'index':32}{'ms p50':>8}{'p95':>8}{'recall@10':>11}{'start':>9}{'memory':>9}{'made in':>9}")
    for size in options.frames:
        compare(options.url, size)


def compare(url: str, size: int) -> None:
    """Print the rows of one size."""
    library = SyntheticFrames(size, DIMENSIONS)
    vectors = np.concatenate([video.vectors for video in library.videos()])
    ids = np.arange(size, dtype=np.int64)
    batches = [(vectors[first : first + _BATCH], ids[first : first + _BATCH]) for first in range(0, size, _BATCH)]
    queries = library.queries(_QUERIES)
    truth = recall.find_truth(queries, batches)
    with psycopg.connect(url, autocommit=True) as connection:
        _store(connection, batches)
        _faiss_row(connection, vectors, batches, queries, truth)
        _pgvector_rows(connection, url, size, queries, truth)


def _store(connection: psycopg.Connection, batches: Batches) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute("DROP TABLE IF EXISTS frames")
    connection.execute(f"CREATE TABLE frames (id bigint PRIMARY KEY, raw bytea, vector halfvec({DIMENSIONS}))")
    for vectors, ids in batches:
        rows = np.empty(len(ids), _ROW)
        rows["columns"], rows["bytes_1"], rows["bytes_2"], rows["bytes_3"] = 3, 8, 2 * DIMENSIONS, 4 + 2 * DIMENSIONS
        rows["id"], rows["raw"], rows["dimensions"], rows["unused"], rows["vector"] = (
            ids,
            vectors,
            DIMENSIONS,
            0,
            vectors,
        )
        with connection.cursor().copy("COPY frames (id, raw, vector) FROM STDIN (FORMAT binary)") as copy:
            copy.write(_COPY_BEGINS + rows.tobytes() + _COPY_ENDS)
    connection.execute("VACUUM ANALYZE frames")


def _written(vector: np.ndarray) -> str:
    return f"[{','.join(map(str, vector.astype(np.float32)))}]"


def _faiss_row(
    connection: psycopg.Connection, vectors: np.ndarray, batches: Batches, queries: np.ndarray, truth: recall.Truth
) -> None:
    begun = time.perf_counter()
    index = _empty_index(vectors)
    made, before = time.perf_counter() - begun, psutil.Process().memory_info().rss
    begun = time.perf_counter()
    for read, ids in _read(connection, len(batches)):
        kinds.add(index, read, ids)
    start, memory = time.perf_counter() - begun, psutil.Process().memory_info().rss - before
    if kinds.is_partitioned(index):
        sample = vectors[:: max(1, len(vectors) // recall.QUERIES)][: recall.QUERIES].astype(np.float32)
        likely = recall.make_queries(sample, sample.mean(axis=0), np.random.default_rng(1))
        recall.tune(index, likely, recall.find_truth(likely, batches))
    faiss.omp_set_num_threads(1)
    times = timed([partial(kinds.find_nearest, index, query, _NEAREST) for query in queries])
    share = recall.measure_recall(index, queries, truth)
    _print(len(vectors), f"Faiss, {kinds.describe(index)}", times, share, start, memory, made)


def _empty_index(vectors: np.ndarray) -> faiss.Index:
    if len(vectors) <= _EXACT_FRAMES:
        return kinds.make_flat_index(DIMENSIONS)
    chosen = np.random.default_rng(1).choice(len(vectors), kinds.sample_size(len(vectors)), replace=False)
    sample = vectors[np.sort(chosen)].astype(np.float32)
    return cast(faiss.Index, kinds.make_partitioned_index(sample, len(vectors), lambda: False))


def _read(connection: psycopg.Connection, batches: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number in range(batches):
        between = (number * _BATCH, (number + 1) * _BATCH)
        rows = connection.execute("SELECT id, raw FROM frames WHERE id >= %s AND id < %s", between, binary=True)
        ids, raw = zip(*rows, strict=True)
        yield np.frombuffer(b"".join(raw), np.float16).reshape(-1, DIMENSIONS), np.array(ids, np.int64)


def _pgvector_rows(
    connection: psycopg.Connection, url: str, size: int, queries: np.ndarray, truth: recall.Truth
) -> None:
    begun = time.perf_counter()
    connection.execute("SET maintenance_work_mem = '3GB'")
    connection.execute("CREATE INDEX ON frames USING hnsw (vector halfvec_ip_ops) WITH (m = 16, ef_construction = 64)")
    made = time.perf_counter() - begun
    [[held]] = connection.execute(
        "SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = 'frames'::regclass"
    )
    begun = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as indexer:
        _ask(indexer, queries[0])
        start = time.perf_counter() - begun
        for searched in _SEARCHED:
            indexer.execute(f"SET hnsw.ef_search = {searched}")
            for query in queries:
                _ask(indexer, query)  # the pages are in memory then
            times = timed([partial(_ask, indexer, query) for query in queries])
            found = [_ask(indexer, query)[: recall.RECALL_AT] for query in queries]
            share = np.mean(
                [np.mean(np.array(each) >= least - 1e-3) for each, least in zip(found, truth.least, strict=True)]
            )
            _print(size, f"pgvector, HNSW, ef_search {searched}", times, float(share), start, int(held), made)


def _ask(connection: psycopg.Connection, query: np.ndarray) -> list[float]:
    written = _written(query)
    return [product for _, product in connection.execute(_ASK, (written, written, _NEAREST), prepare=True)]


def _print(size: int, name: str, times: list[float], share: float, start: float, memory: int, made: float) -> None:
    facts = f"{share:11.3f}{start:7.1f} s{memory / 1e6:6.0f} MB{made:7.1f} s"
    print(f"{size:9,}  {name:32}{milliseconds(times)}{facts}", flush=True)


if __name__ == "__main__":
    main()
