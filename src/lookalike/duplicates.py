"""Which images are the same picture: byte for byte, re-encoded, resized, mirrored or cropped; and which show one scene.

Candidates come from perceptual hashes (searched in buckets, so the time does not grow with the square of the images)
and from the nearest embeddings; each is then laid over the other: an affine alignment that maximises the correlation
(Evangelidis & Psarakis 2008) tells a copy, point matches that agree on one change of view (SIFT, RANSAC) tell the
same things photographed twice.

Letters in shapes: N images, P pairs, K neighbours, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from lookalike.embed import side_by_side
from lookalike.file_facts import THUMB, Facts
from lookalike.files import DiskFullError, atomic_file
from lookalike.progress import progress, say

HASH_RADIUS = 3  # bits of 64: two such hashes are equal in one of four tables of 16 bits
_TABLES, _TABLE_BITS = 4, 16
NEAREST = 5  # of every image, laid over it
_SIDE, _ROUGH_SIDE = 96, 48  # pixels of the alignment, and of the one before it
_ALIKE, _ROUGHLY_SAME = 0.4, 0.85  # correlations that are worth the next, finer look: as they lie, roughly aligned
_AT_ONCE = 20_000  # pairs compared before what was found is kept
_MOST = 50  # pairs of one image by its hash
_PREPARED = 4_000  # images held ready, about 60 KiB each
# Two pictures are one from this correlation after alignment on, up to this mean difference of a colour (0..255);
# strong compression changes colours more than the next shot of a burst does, but leaves the light where it was.
_SAME = ((0.97, 5.5), (0.997, 9.0))
_SHRINK = (0.6, 1.67)  # factors of scale between copies
_LIGHT = (0.7, 1.4)  # factors of contrast between copies
_SCENE_POINTS = 16  # matched points that agree on one change of view
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_FLAT_UP_TO = 50_000  # images whose neighbours are searched exhaustively
_SCHEMA = "1"


@dataclass(frozen=True)
class Compared:
    """Two images laid over each other.

    Attributes:
        correlation: Of luma after the best affine alignment, -1..1; -1 where none was found.
        colour: Mean absolute difference of the colour channels after it, 0..255.
        mirrored: Whether the second had to be mirrored.
        points: Matched points that agree on one change of view.
    """

    correlation: float
    colour: float
    mirrored: bool
    points: int

    @property
    def same_picture(self) -> bool:
        """One was made from the other."""
        return any(self.correlation >= least and self.colour <= most for least, most in _SAME)

    @property
    def same_scene(self) -> bool:
        """The same things, photographed twice."""
        return self.points >= _SCENE_POINTS


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


def compare(first: np.ndarray, second: np.ndarray) -> Compared:
    """Lays two images over each other.

    Args:
        first: uint8 RGB [160, 160, 3], stretched.
        second: As `first`.
    """
    return _compare(_Prepared.of(first), _Prepared.of(second))


@dataclass(frozen=True)
class _Prepared:
    """An image at the size of the alignment, and its points."""

    colours: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray | None

    @classmethod
    def of(cls, image: np.ndarray) -> "_Prepared":
        colours = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        points, descriptors = cv2.SIFT_create(  # type: ignore[attr-defined]
            nfeatures=200, contrastThreshold=0.03
        ).detectAndCompute(luma, None)
        return cls(
            colours,
            np.array([one.pt for one in points], np.float32),
            None if descriptors is None else descriptors.astype(np.uint8),
        )

    def luma(self, side: int) -> np.ndarray:
        """float32 [side, side], slightly blurred."""
        luma = cv2.resize(cv2.cvtColor(self.colours, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(luma, (5, 5), 0).astype(np.float32)


def _compare(first: _Prepared, second: _Prepared) -> Compared:
    points, warp = _agreeing_points(first, second)
    mirrored = False
    if points < _SCENE_POINTS:  # perhaps mirrored, or too smooth for points: it must lie roughly as the other does
        warp = np.eye(2, 3, dtype=np.float32)
        rough = first.luma(_ROUGH_SIDE), second.luma(_ROUGH_SIDE)
        straight, turned = _correlation(rough[0], rough[1]), _correlation(rough[0], rough[1][:, ::-1])
        mirrored = turned > straight
        if max(straight, turned) < _ALIKE:
            return Compared(-1.0, 255.0, mirrored, points)
    correlation, warp = _aligned(first, second, mirrored, _ROUGH_SIDE, warp)
    if correlation < _ROUGHLY_SAME:
        return Compared(correlation, 255.0, mirrored, points)
    warp[:, 2] *= _SIDE / _ROUGH_SIDE
    correlation, warp = _aligned(first, second, mirrored, _SIDE, warp)
    scales = np.linalg.svd(warp[:, :2])[1]
    colour = 255.0
    if _SHRINK[0] <= scales.min() and scales.max() <= _SHRINK[1]:
        colour = _colour_difference(first.colours, second.colours[:, ::-1] if mirrored else second.colours, warp)
    return Compared(correlation, colour, mirrored, points)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    one, other = first - first.mean(), second - second.mean()
    return float((one * other).sum() / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-9))


def _aligned(
    first: _Prepared, second: _Prepared, mirrored: bool, side: int, warp: np.ndarray
) -> tuple[float, np.ndarray]:
    """The correlation after the best affine alignment, and the alignment; -1 where it does not converge."""
    luma = second.luma(side)
    luma = np.ascontiguousarray(luma[:, ::-1]) if mirrored else luma
    try:
        correlation, found = cv2.findTransformECC(  # type: ignore[call-overload]
            first.luma(side), luma, warp.copy(), cv2.MOTION_AFFINE, _STEPS, None, 1
        )
    except cv2.error:
        return -1.0, warp
    return float(correlation), np.asarray(found, np.float32)


def _colour_difference(first: np.ndarray, second: np.ndarray, warp: np.ndarray) -> float:
    size = (first.shape[1], first.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(np.ascontiguousarray(second), warp, size, flags=flags)
    seen = cv2.warpAffine(np.ones(first.shape[:2], np.uint8), warp, size, flags=flags) > 0
    if seen.mean() < 0.5:
        return 255.0
    one, other = first[seen].astype(np.float32), laid[seen].astype(np.float32)
    gain = np.clip(one.std() / max(float(other.std()), 1e-3), *_LIGHT)  # of all channels alike: light, not colour
    return float(np.abs(one - one.mean() - gain * (other - other.mean())).mean())


def _agreeing_points(first: _Prepared, second: _Prepared) -> tuple[int, np.ndarray]:
    """How many points of both one homography explains, and its affine part for the rough alignment."""
    nothing = 0, np.eye(2, 3, dtype=np.float32)
    if first.descriptors is None or second.descriptors is None or min(len(first.points), len(second.points)) < 8:
        return nothing
    score = _unit(first.descriptors) @ _unit(second.descriptors).T
    best = score.argmax(1)
    top = np.partition(score, -2, axis=1)[:, -2:]
    distinct = (1 - top[:, 1]) < 0.75**2 * (1 - top[:, 0])  # Lowe's ratio of distances; squared, as 1 - cosine is
    mutual = score.argmax(0)[best] == np.arange(len(best))
    chosen = np.flatnonzero(distinct & mutual)
    if len(chosen) < 8:
        return nothing
    # USAC is deterministic; plain RANSAC draws from one state for all threads.
    change, inside = cv2.findHomography(first.points[chosen], second.points[best[chosen]], cv2.USAC_DEFAULT, 3.0)
    if change is None:
        return nothing
    warp = np.asarray(change[:2] / change[2, 2], np.float32)
    warp[:, 2] *= _ROUGH_SIDE / THUMB
    return int(inside.sum()), warp


def _unit(descriptors: np.ndarray) -> np.ndarray:
    """Unit vectors whose product tells Hellinger's distance (Arandjelovic & Zisserman 2012)."""
    values = descriptors.astype(np.float32)
    return np.asarray(np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1e-9)))


def _compare_all(thumbs: dict[int, bytes], pairs: np.ndarray) -> list[Compared]:
    """Pairs in the order of their first image, so that prepared images are used while they are held."""
    cv2.setNumThreads(1)
    results: list[Compared | None] = [None] * len(pairs)

    @lru_cache(maxsize=_PREPARED)
    def prepared(row: int) -> _Prepared:
        image = cv2.imdecode(np.frombuffer(thumbs[row], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert image is not None, "a thumbnail is a JPEG of our own"
        return _Prepared.of(image)

    def work(places: np.ndarray, advance: Callable[[int], None]) -> None:
        first = prepared(int(pairs[places[0], 0]))
        for place in places:
            results[place] = _compare(first, prepared(int(pairs[place, 1])))
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
