"""Pairs of images worth laying over each other, so that not every image is compared with every other.

They come from perceptual hashes (searched in buckets, so the time does not grow with the square of the images) and from
the nearest embeddings.

Letters in shapes: N images, M usable ones, P pairs, K neighbours, D embedding.
"""

import faiss
import numpy as np

from lookalike.auditing.file_facts import Facts

HASH_RADIUS = 3  # bits of 64: two such hashes are equal in one of four tables of 16 bits
_TABLES, _TABLE_BITS = 4, 16
NEAREST = 5  # of every image, laid over it
_AT_ONCE = 20_000  # hashes searched at once
_MOST = 50  # pairs of one image by its hash
_FLAT_UP_TO = 50_000  # images whose neighbours are searched exhaustively


def neighbours(embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others of every image.

    Args:
        embeddings: float32 [N, D], unit length.
        k: At most N - 1 are found.

    Returns:
        Rows int64 [N, K] and cosine similarities float32 [N, K], nearest first; row -1 where there is none.
    """
    count, size = embeddings.shape
    width = min(k + 1, count)  # every image is among its own nearest
    index: faiss.Index = faiss.IndexFlatIP(size)
    if count > _FLAT_UP_TO:
        cells = int(4 * np.sqrt(count))
        index = faiss.IndexIVFFlat(index, size, cells, faiss.METRIC_INNER_PRODUCT)
        index.train(embeddings[np.random.default_rng(0).permutation(count)[: 50 * cells]])
        index.nprobe = 24
    index.add(embeddings)
    similarity, rows = index.search(embeddings, width)
    own = rows == np.arange(count)[:, None]
    own[~own.any(1), -1] = True  # many copies of one image: it may not be among its own first
    keep = ~own
    shape = (count, width - 1)
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
    parts = [chained]
    for queries in (codes, np.ascontiguousarray(mirrored[first])[:, None].view(np.uint8)):
        for start in range(0, len(queries), _AT_ONCE):
            limits, _, places = index.range_search(queries[start : start + _AT_ONCE], radius + 1)  # strictly below
            counts = np.asarray(np.diff(limits.astype(np.int64)), np.int64)
            asking = np.repeat(np.arange(start, start + len(counts)), counts)
            few = np.arange(len(places)) - np.repeat(limits[:-1].astype(np.int64), counts) < _MOST
            parts.append(np.stack([first[asking[few]], first[places[few]]], 1))
    return _each_once(np.concatenate(parts))


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
    places = _each_once(np.concatenate([by_hash, by_embedding[by_embedding[:, 1] >= 0]]))
    return _different_files(facts, rows[places])


def cross_candidates(facts: Facts, rows: np.ndarray, split: np.ndarray) -> np.ndarray:
    """For every image of a split its nearest ones in every other split.

    Args:
        facts: Of N images.
        rows: int64 [M], those that are usable.
        split: int64 [N], a number per split.

    Returns:
        int64 [P, 2], rows of `facts`.
    """
    pairs = [np.empty((0, 2), np.int64)]
    splits = [rows[split[rows] == number] for number in np.unique(split[rows])]
    splits.sort(key=len)
    for place, answering in enumerate(splits):
        index = faiss.IndexFlatIP(facts.embeddings.shape[1])
        index.add(facts.embeddings[answering])
        for asking in splits[:place]:
            if len(asking):
                _, places = index.search(facts.embeddings[asking], min(NEAREST, len(answering)))
                pairs.append(np.stack([np.repeat(asking, places.shape[1]), answering[places].ravel()], 1))
    return _different_files(facts, _each_once(np.concatenate(pairs)))


def _different_files(facts: Facts, pairs: np.ndarray) -> np.ndarray:
    """Those pairs that are not byte for byte the same."""
    contents = facts.contents
    return np.asarray(pairs[contents[pairs[:, 0]] != contents[pairs[:, 1]]])


def _each_once(pairs: np.ndarray) -> np.ndarray:
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)
