"""Which images are the same picture: byte for byte, re-encoded, resized, mirrored or cropped; and which show one scene.

Candidates come from perceptual hashes (searched in buckets, so the time does not grow with the square of the images)
and from the nearest embeddings; each is then laid over the other: an affine alignment that maximises the correlation
(Evangelidis & Psarakis 2008) tells a copy, point matches that agree on one change of view (SIFT, RANSAC) tell the
same things photographed twice.

Letters in shapes: N images, P pairs, K neighbours, D embedding.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from lookalike.auditing.file_facts import Facts
from lookalike.auditing.same_picture import Compared, Prepared, compare_prepared
from lookalike.console import progress, say
from lookalike.files import DiskFullError, atomic_file
from lookalike.parallel import side_by_side

HASH_RADIUS = 3  # bits of 64: two such hashes are equal in one of four tables of 16 bits
_TABLES, _TABLE_BITS = 4, 16
NEAREST = 5  # of every image, laid over it
_AT_ONCE = 20_000  # pairs compared before what was found is kept
_MOST = 50  # pairs of one image by its hash
_PREPARED = 4_000  # images held ready, about 60 KiB each
_FLAT_UP_TO = 50_000  # images whose neighbours are searched exhaustively
_SCHEMA = "1"


def neighbours(embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others of every image.

    Args:
        embeddings: float32 [N, D], unit length.
        k: At most N - 1 are found.

    Returns:
        Rows int64 [N, K] and cosine similarities float32 [N, K], nearest first; row -1 where there is none.
    """
    count, size = embeddings.shape
    wanted = min(k + 1, count)
    index: faiss.Index = faiss.IndexFlatIP(size)
    if count > _FLAT_UP_TO:
        cells = int(4 * np.sqrt(count))
        index = faiss.IndexIVFFlat(index, size, cells, faiss.METRIC_INNER_PRODUCT)
        index.train(embeddings[np.random.default_rng(0).permutation(count)[: 50 * cells]])
        index.nprobe = 24
    index.add(embeddings)
    similarity, rows = index.search(embeddings, wanted)
    own = rows == np.arange(count)[:, None]
    own[~own.any(1), -1] = True  # many copies of one image: it may not be among its own first
    keep = ~own
    shape = (count, wanted - 1)
    return rows[keep].reshape(shape), similarity[keep].reshape(shape)


def hash_pairs(hashes: np.ndarray, mirrored: np.ndarray, radius: int = HASH_RADIUS) -> np.ndarray:
    """Pairs whose hashes, or the hash of one and the mirrored hash of the other, differ in at most `radius` bits.

    Images with one and the same hash (blank ones, exact copies) are chained, not paired all with all; of an image with
    more than 50 others the first 50 are taken.

    Args:
        hashes: int64 [N].
        mirrored: int64 [N], of the mirrored images.
        radius: At most 3 is found for certain.

    Returns:
        int64 [P, 2], each pair once, smaller row first.
    """
    distinct, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    chained = np.stack([order[:-1], order[1:]], 1)[np.diff(group[order]) == 0]
    index = faiss.IndexBinaryMultiHash(64, _TABLES, _TABLE_BITS)
    codes = distinct[:, None].view(np.uint8)
    index.add(codes)
    found = [chained]
    for asked in (codes, np.ascontiguousarray(mirrored[first])[:, None].view(np.uint8)):
        for start in range(0, len(asked), _AT_ONCE):
            limits, _, places = index.range_search(asked[start : start + _AT_ONCE], radius + 1)  # strictly below
            counts = np.asarray(np.diff(limits.astype(np.int64)), np.int64)
            asking = np.repeat(np.arange(start, start + len(counts)), counts)
            few = np.arange(len(places)) - np.repeat(limits[:-1].astype(np.int64), counts) < _MOST
            found.append(np.stack([first[asking[few]], first[places[few]]], 1))
    return _each_once(np.concatenate(found))


def candidates(facts: Facts, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Pairs worth a closer look.

    Args:
        facts: Of N images.
        rows: int64 [M], those that are usable.
        nearest: int64 [M, K], of each of them the nearest others, as places in `rows`.

    Returns:
        int64 [P, 2], rows of `facts`.
    """
    table = facts.table
    by_hash = hash_pairs(table["hash"].to_numpy(np.int64)[rows], table["hash_mirrored"].to_numpy(np.int64)[rows])
    few = nearest[:, :NEAREST]
    by_embedding = np.stack([np.repeat(np.arange(len(rows)), few.shape[1]), few.ravel()], 1)
    pairs = _each_once(np.concatenate([by_hash, by_embedding[by_embedding[:, 1] >= 0]]))
    pairs = rows[pairs]
    return np.asarray(pairs[_differ(facts, pairs)])


def cross_candidates(facts: Facts, rows: np.ndarray, split: np.ndarray) -> np.ndarray:
    """For every image of a split its nearest ones in every other split.

    Args:
        facts: Of N images.
        rows: int64 [M], those that are usable.
        split: int64 [N], a number per split.

    Returns:
        int64 [P, 2], rows of `facts`.
    """
    found = [np.empty((0, 2), np.int64)]
    parts = [rows[split[rows] == one] for one in np.unique(split[rows])]
    parts.sort(key=len)
    for place, answering in enumerate(parts):
        index = faiss.IndexFlatIP(facts.embeddings.shape[1])
        index.add(facts.embeddings[answering])
        for asking in parts[:place]:
            if len(asking):
                _, places = index.search(facts.embeddings[asking], min(NEAREST, len(answering)))
                found.append(np.stack([np.repeat(asking, places.shape[1]), answering[places].ravel()], 1))
    pairs = _each_once(np.concatenate(found))
    return np.asarray(pairs[_differ(facts, pairs)])


def exact_groups(facts: Facts) -> list[np.ndarray]:
    """Rows that are byte for byte the same file (and box), unusable ones aside; each group sorted."""
    table = facts.table[facts.usable]
    groups = table.groupby(["sha256", "box"], sort=True).indices.values()
    return [table.index.to_numpy()[places] for places in groups if len(places) > 1]


def compare_pairs(facts: Facts, pairs: np.ndarray, cache: Path) -> list[Compared]:
    """Lays the images of P pairs over each other; what was compared before is taken from the cache.

    Args:
        facts: Of N images.
        pairs: int64 [P, 2], rows of them.
        cache: Parquet file of earlier comparisons; it may be deleted at any time.
    """
    names = _names(facts)
    keys = [f"{names[a]}|{names[b]}" for a, b in pairs]
    known = _known(cache)
    missing = [place for place, key in enumerate(keys) if key not in known]
    if missing:
        thumbs = facts.table["thumb"].to_numpy()
        seen = {int(row): thumbs[row] for row in np.unique(pairs[missing])}
        for first in range(0, len(missing), _AT_ONCE):
            part = missing[first : first + _AT_ONCE]
            for place, result in zip(part, _compare_all(seen, pairs[part]), strict=True):
                known[keys[place]] = result
            _save(cache, {key: known[key] for key in keys if key in known})
    return [known[key] for key in keys]


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """int64 [N]: images that are joined by pairs, directly or through others, have the same number."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _compare_all(thumbs: dict[int, bytes], pairs: np.ndarray) -> list[Compared]:
    """Pairs in the order of their first image, so that prepared images are used while they are held."""
    cv2.setNumThreads(1)
    results: list[Compared | None] = [None] * len(pairs)

    @lru_cache(maxsize=_PREPARED)
    def prepared(row: int) -> Prepared:
        image = cv2.imdecode(np.frombuffer(thumbs[row], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert image is not None, "a thumbnail is a JPEG of our own"
        return Prepared.of(image)

    def work(places: np.ndarray, advance: Callable[[int], None]) -> None:
        first = prepared(int(pairs[places[0], 0]))
        for place in places:
            results[place] = compare_prepared(first, prepared(int(pairs[place, 1])))
        advance(len(places))

    order = np.argsort(pairs[:, 0], kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(pairs[order, 0])) + 1)
    with progress("comparing pairs", len(pairs)) as advance:
        side_by_side(lambda run: work(runs[run], advance), range(len(runs)))
    return [result for result in results if result is not None]


def _differ(facts: Facts, pairs: np.ndarray) -> np.ndarray:
    """Bool [P]: not byte for byte the same."""
    names = _names(facts)
    return np.asarray(names[pairs[:, 0]] != names[pairs[:, 1]])


def _names(facts: Facts) -> np.ndarray:
    """Of every image a name that only equal files (and boxes) share."""
    return (facts.table["sha256"] + " " + facts.table["box"]).to_numpy(str)


def _each_once(pairs: np.ndarray) -> np.ndarray:
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def _known(cache: Path) -> dict[str, Compared]:
    try:
        table = pd.read_parquet(cache)
        if table.attrs.get("schema") != _SCHEMA:
            return {}
        return {
            str(row[0]): Compared(*row[1:])
            for row in table[["key", "correlation", "colour", "mirrored", "points"]].itertuples(index=False, name=None)
        }
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return {}


def _save(cache: Path, known: dict[str, Compared]) -> None:
    table = pd.DataFrame([{"key": key, **vars(result)} for key, result in known.items()])
    table.attrs["schema"] = _SCHEMA
    try:
        with atomic_file(cache) as handle:
            table.to_parquet(handle, index=False)
    except DiskFullError as error:
        say(f"comparisons cannot be kept ({error})")
