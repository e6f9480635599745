"""Groups unknown images that probably show the same new thing, and says which of them to label next.

Letters in shapes: N images, R references, D embedding, O observations, C labels.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.data.dates import read_dates
from lookalike.gallery.grouping import (
    bursts,
    cut_of,
    density,
    doubt,
    grouped,
    label_next,
    need_grouping,
    observed,
    own_cut,
)
from lookalike.gallery.suggestions import Group, Suggestions
from lookalike.inference.references import GalleryError, References
from lookalike.settings.paths import path_of

MOST = 5000  # images: all are compared with each other
_BLOCK = 256  # images that are compared with the references at once
_LENGTH_TOLERANCE = 0.01
_EXIF, _TAKEN = 0x8769, 0x9003


def suggest(
    files: Sequence[str | Path],
    embeddings: np.ndarray,
    *,
    references: References | None = None,
    cameras: Sequence[int] | Sequence[str] | None = None,
    times: Sequence[str] | None = None,
    least: int = 2,
) -> Suggestions:
    """Groups unknown images by average linkage, cut by how similar known images of one label and of two are.

    Images that one camera took within seconds of each other and that are alike count as one observation.

    Args:
        files: N images.
        embeddings: float32 [N, D], unit length.
        references: The known images, embedded by the same network; None where there are none: then the cut is the
            one that divides the images best.
        cameras: N of them, text or whole numbers; None for one camera.
        times: N, when they were taken, such as 2024-05-31T14:22:33; "" where that is not known. None for what EXIF
            says.
        least: Observations that make a group, at least 1.

    Returns:
        Groups, single images and the order in which to label; the same for the same input.

    Raises:
        GalleryError: There is no image or there are too many, numbers do not fit, embeddings are not of unit length or
            of another size than the references, a time is no date, or `least` is below 1.
        LookalikeError: scikit-learn is not installed.
    """
    paths = tuple(path_of(file, "suggest") for file in files)
    embeddings = _checked(paths, embeddings, references, least)
    cut = _cut(embeddings, references)
    seconds = _seconds(_as_many("times", times, paths) if times is not None else taken(paths))
    places = np.zeros(len(paths), np.int64) if cameras is None else np.asarray(_as_many("cameras", cameras, paths))
    numbers = bursts(embeddings, places, seconds, cut)
    seen = observed(embeddings, numbers)
    nearest, similarity, _ = _nearest(embeddings, references)
    groups, singles = _groups(embeddings, numbers, seen, grouped(seen, cut), least, references)
    order = _order(embeddings, numbers, seen, references, cut)
    alone = sorted(singles, key=lambda row: (int(order[numbers == numbers[row]].min()), int(order[row])))
    return Suggestions(paths, tuple(groups), tuple(alone), order, tuple(nearest), similarity, cut)


def need_suggestible(count: int, least: int) -> None:
    """Sees that so many images can be put into groups, before any work is spent on them.

    Args:
        count: Of images.
        least: As of `suggest`.

    Raises:
        GalleryError: There is no image or there are too many, or `least` is below 1.
        LookalikeError: scikit-learn is not installed.
    """
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise GalleryError(f"least={least!r}: expected a whole number from 1")
    if not 0 < count <= MOST:
        raise GalleryError(
            f"suggest: expected 1 to {MOST} images, found {count}: "
            + ("label some of them first, and give fewer" if count else "keep unknown images first, see keep_unknown")
        )
    need_grouping()


def taken(files: Sequence[Path]) -> list[str]:
    """When photographs were taken, as EXIF says; "" where it does not. A file's own time says when it was copied.

    Args:
        files: N images.
    """
    times = []
    for file in files:
        text = ""
        with suppress(Exception), Image.open(file) as header:  # parsers raise anything of damaged metadata
            text = str(header.getexif().get_ifd(_EXIF).get(_TAKEN, "")).strip("\0 ")
        times.append("" if read_dates([text]).problems else text)
    return times


def _checked(paths: tuple[Path, ...], embeddings: np.ndarray, references: References | None, least: int) -> np.ndarray:
    """The embeddings as float32 [N, D]."""
    need_suggestible(len(paths), least)
    embeddings = np.asarray(embeddings)
    size = embeddings.shape[-1] if references is None else references.embeddings.shape[1]
    if embeddings.dtype.kind != "f" or embeddings.shape != (len(paths), size):
        raise GalleryError(
            f"suggest: expected embeddings float32 [{len(paths)}, {size}], a row per image, found {embeddings.dtype} "
            f"{list(embeddings.shape)}: embed the images with the model that made the references"
        )
    lengths = np.linalg.norm(embeddings, axis=1)
    if not (wrong := ~(abs(lengths - 1) <= _LENGTH_TOLERANCE)).any():
        return np.ascontiguousarray(embeddings, np.float32)
    row = int(np.argmax(wrong))
    raise GalleryError(
        f"suggest: expected embeddings of length 1, found {lengths[row]:.3g} for {paths[row]}: leave images out that "
        "cannot be used, and divide embeddings by their length"
    )


def _as_many(name: str, values: Sequence[int] | Sequence[str], paths: tuple[Path, ...]) -> list[str]:
    texts = [str(value) for value in values]
    if len(texts) != len(paths):
        raise GalleryError(f"suggest: expected one of {name} per image, found {len(texts)} for {len(paths)} images")
    return texts


def _seconds(texts: list[str]) -> np.ndarray:
    dates = read_dates(texts)
    if dates.problems:
        raise GalleryError(f"suggest: times: {dates.problems[0]}, or an empty text")
    return dates.seconds


def _cut(embeddings: np.ndarray, references: References | None) -> float:
    """That of the references where they have two labels, else that of the images themselves."""
    if references is None or len(set(references.labels)) < 2:
        return own_cut(embeddings)
    return cut_of(references.embeddings, np.asarray(references.labels))


def _nearest(embeddings: np.ndarray, references: References | None) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The nearest label of each image, its similarity, and that of the nearest other label (-1 where there is none)."""
    best, second = (np.full(len(embeddings), value, np.float32) for value in (np.nan, -1))
    if references is None or not len(references):
        return [""] * len(embeddings), best, second
    labels, codes = np.unique(np.asarray(references.labels), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(labels)))
    names: list[str] = []
    for first in range(0, len(embeddings), _BLOCK):
        rows = slice(first, first + _BLOCK)
        by_label = (embeddings[rows] @ references.embeddings.T)[:, order]
        per_label = np.maximum.reduceat(by_label, starts, axis=1)  # [_BLOCK, C]
        winner = per_label.argmax(1)
        names += labels[winner].tolist()
        best[rows] = per_label.max(1)
        np.put_along_axis(per_label, winner[:, None], -1, 1)
        second[rows] = per_label.max(1)
    return names, best, second


def _groups(
    embeddings: np.ndarray,
    numbers: np.ndarray,
    seen: np.ndarray,
    codes: np.ndarray,
    least: int,
    references: References | None,
) -> tuple[list[Group], list[int]]:
    """Groups, the largest first, and the images of none."""
    clusters = []
    singles: list[int] = []
    for code in np.unique(codes):
        observations = np.flatnonzero(codes == code)
        rows = np.flatnonzero(np.isin(numbers, observations))
        if len(observations) < least:
            singles += rows.tolist()
            continue
        mean = observed(seen[observations], np.zeros(len(observations), np.int64))
        central = rows[np.argsort(-np.round(embeddings[rows] @ mean[0], 6), kind="stable")]
        clusters.append((-len(observations), -len(rows), int(rows[0]), central, mean))
    clusters.sort(key=lambda cluster: cluster[:3])
    means = np.concatenate([embeddings[:0], *(cluster[4] for cluster in clusters)])
    nearest, similarity, _ = _nearest(means, references)
    names = _free_names(len(clusters), references)
    return [
        Group(names[i], tuple(central.tolist()), -count, nearest[i], float(similarity[i]))
        for i, (count, _, _, central, _) in enumerate(clusters)
    ], singles


def _free_names(count: int, references: References | None) -> list[str]:
    """`new 1` and so on, without those that are labels already."""
    taken_names = set(references.labels) if references is not None else set()
    numbers = range(1, count + len(taken_names) + 1)
    return [name for name in map("new {}".format, numbers) if name not in taken_names][:count]


def _order(
    embeddings: np.ndarray, numbers: np.ndarray, seen: np.ndarray, references: References | None, cut: float
) -> np.ndarray:
    """When to label each image, from 1: the most central image of every observation first, then the others."""
    _, similarity, second = _nearest(seen, references)
    weights = density(seen) if np.isnan(similarity).any() else density(seen) * doubt(similarity, second, cut)
    rank = np.empty(len(seen), np.int64)
    rank[label_next(seen, weights)] = np.arange(len(seen))
    central = np.einsum("nd,nd->n", embeddings, seen[numbers])
    rows = np.lexsort((np.arange(len(numbers)), -np.round(central, 6), rank[numbers]))
    repeated = np.r_[False, numbers[rows][1:] == numbers[rows][:-1]]
    order = np.empty(len(numbers), np.int64)
    order[np.r_[rows[~repeated], rows[repeated]]] = np.arange(1, len(numbers) + 1)
    return order
