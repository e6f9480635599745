"""Which unknown images probably show the same new thing, and which to label next: arrays in, arrays out.

Letters in shapes: N images, O observations, R references, D embedding.
"""

import numpy as np

from lookalike.errors import needing

BURST_SECONDS = 3.0  # from one image to the next
_BETWEEN = 0.97  # quantile of the similarities between different labels
_CUTS = np.linspace(0.3, 0.98, 25)  # quantiles of the distances of all joints that are tried
_DENSITY = 5  # observations that say whether one stands among others
_SAMPLE = 2000  # references that are compared with each other


def need_grouping() -> None:
    """Sees that images can be grouped.

    Raises:
        LookalikeError: scikit-learn is not installed.
    """
    with needing("audit", "suggesting groups"):
        import sklearn  # noqa: F401


def cut_of(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """The mean similarity above which images count as of one thing, as references tell it.

    Half-way between what few pairs of different labels reach and the mean of pairs of one label. Measured anew for
    every network, as similarities of one are not those of another.

    Args:
        embeddings: float32 [R, D], unit length.
        labels: [R], text or whole numbers, of which at least two differ.

    Returns:
        A cosine similarity; what few pairs of different labels reach where no label has two images.
    """
    every = max(1, -(-len(embeddings) // _SAMPLE))
    codes = np.unique(labels, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))  # of every label, however few images it has
    kept = np.arange(0, len(codes), every)
    if len(np.unique(codes[kept])) < len(first):
        kept = order[np.union1d(np.arange(0, len(order), every), first[:_SAMPLE])]
    embeddings, codes = embeddings[kept], codes[kept]
    similarity, same = embeddings @ embeddings.T, codes[:, None] == codes[None]
    between = float(np.quantile(similarity[~same], _BETWEEN))
    within = similarity[same & ~np.eye(len(codes), dtype=bool)]
    return (between + float(within.mean(dtype=np.float64))) / 2 if within.size else between


def own_cut(embeddings: np.ndarray) -> float:
    """As `cut_of` where no references tell: the cut with the largest mean silhouette (Rousseeuw, 1987).

    Args:
        embeddings: float32 [O, D], unit length.

    Returns:
        A cosine similarity; 1 where images cannot be divided into groups.

    Raises:
        LookalikeError: scikit-learn is not installed.
    """
    if len(embeddings) <= 2:
        return 1.0
    with needing("audit", "suggesting groups"):
        from sklearn.metrics import silhouette_score
    distances, joints = _joined(embeddings)
    best, chosen = -1.0, 0.0
    for height in np.unique(np.quantile(joints[:, 2], _CUTS)):
        codes = _codes(joints, height)
        if 1 < len(np.unique(codes)) < len(codes):
            score = float(silhouette_score(distances, codes, metric="precomputed"))
            best, chosen = max((best, chosen), (score, float(height)), key=lambda tried: tried[0])
    return 1 - chosen


def bursts(embeddings: np.ndarray, cameras: np.ndarray, seconds: np.ndarray, cut: float) -> np.ndarray:
    """Numbers observations: images that one camera took right after each other and that are alike are one.

    A burst goes on while the next image of its camera comes within `BURST_SECONDS` and is more similar than `cut` to
    its last one: unlike objects before the same camera, and unlike parts of one photograph, stay apart.

    Args:
        embeddings: float32 [N, D], unit length.
        cameras: [N], whole numbers or text.
        seconds: float64 [N], when they were taken; NaN where that is not known: such an image is alone.
        cut: A cosine similarity.

    Returns:
        int64 [N], from 0, in the order of each observation's first image.
    """
    numbers = np.arange(len(embeddings))
    codes = np.unique(cameras, return_inverse=True)[1]
    order = np.lexsort((seconds, codes))  # NaN behind the others of its camera
    ends: list[int] = []  # last images of the bursts that may still go on
    for row in order.tolist():
        ends = [end for end in ends if codes[end] == codes[row] and bool(seconds[row] - seconds[end] <= BURST_SECONDS)]
        alike = embeddings[ends] @ embeddings[row]
        best = int(np.argmax(alike)) if ends else -1
        if ends and alike[best] > cut:
            numbers[row] = numbers[ends[best]]
            ends[best] = row
        elif not np.isnan(seconds[row]):
            ends.append(row)
    first = np.full(len(numbers), len(numbers))
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    firsts: np.ndarray = np.unique(first[numbers], return_inverse=True)[1]
    return firsts


def observed(embeddings: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """One embedding per observation: the mean of its images.

    Args:
        embeddings: float32 [N, D], unit length.
        numbers: int64 [N], as of `bursts`.

    Returns:
        float32 [O, D], unit length.
    """
    sums = np.zeros((int(numbers.max(initial=-1)) + 1, embeddings.shape[1]), np.float64)
    np.add.at(sums, numbers, embeddings)
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return sums.astype(np.float32)


def grouped(embeddings: np.ndarray, cut: float) -> np.ndarray:
    """Numbers groups: average linkage, until the mean similarity between any two groups is below the cut.

    Args:
        embeddings: float32 [O, D], unit length.
        cut: A cosine similarity.

    Returns:
        int64 [O]; which number a group has means nothing.

    Raises:
        LookalikeError: scikit-learn, which brings SciPy, is not installed.
    """
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), np.int64)
    return _codes(_joined(embeddings)[1], 1 - cut)


def _joined(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances float64 [O, O] (1 - cosine), and the joints of average linkage, float64 [O - 1, 4]."""
    with needing("audit", "suggesting groups"):
        from scipy.cluster.hierarchy import linkage  # type: ignore[import-untyped]
    exact = embeddings.astype(np.float64)
    distances = np.clip(1 - exact @ exact.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances, np.asarray(linkage(distances[np.triu_indices(len(exact), 1)], "average"), np.float64)


def _codes(joints: np.ndarray, height: float) -> np.ndarray:
    from scipy.cluster.hierarchy import fcluster

    codes: np.ndarray = fcluster(joints, height, "distance").astype(np.int64)
    return codes


def doubt(similarity: np.ndarray, second: np.ndarray, cut: float) -> np.ndarray:
    """How uncertain each image is: near the cut, or as near to a second label as to the nearest.

    Args:
        similarity: float32 [N], cosine to the nearest reference.
        second: float32 [N], to the nearest one of any other label.
        cut: A cosine similarity.

    Returns:
        float64 [N], 0 to 1; 1 is most uncertain.
    """
    similarity = similarity.astype(np.float64)
    gap = np.minimum(np.abs(similarity - cut), similarity - second)
    return np.asarray(np.clip(1 - gap, 0, 1))


def label_next(embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The order in which labels help most: greedy k-centres (Sener and Savarese, 2018), weighted.

    First the image of the largest weight; then always that of the largest product of weight and distance (1 - cosine)
    to the nearest image before it.

    Args:
        embeddings: float32 [O, D], unit length.
        weights: float64 [O], at least 0; equal values are settled by the place.

    Returns:
        int64 [O], places; the first is to be labelled first.
    """
    waiting = np.ones(len(embeddings), bool)
    order, away = np.empty(len(embeddings), np.int64), np.full(len(embeddings), 2.0)
    for place in range(len(order)):
        order[place] = chosen = int(np.argmax(np.where(waiting, weights * away, -1.0)))
        waiting[chosen] = False
        away = np.minimum(away, np.clip(1 - embeddings @ embeddings[chosen], 0, 2))
    return order


def density(embeddings: np.ndarray) -> np.ndarray:
    """How much each observation stands among others: its mean similarity to the five nearest (of few, half), squared.

    A label of an image that resembles no other helps that image alone.

    Args:
        embeddings: float32 [O, D], unit length.

    Returns:
        float64 [O], 0 to 1; 1 for a lone observation.
    """
    if len(embeddings) < 2:
        return np.ones(len(embeddings))
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, -2)
    count = min(_DENSITY, max(1, (len(embeddings) - 1) // 2))
    nearest = np.partition(similarity, -count, axis=1)[:, -count:].astype(np.float64)
    return np.asarray(np.clip(nearest.mean(1), 0, 1) ** 2)
