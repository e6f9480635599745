"""Whether two images are one picture, or show one scene.

Each is laid over the other: an affine alignment that maximises the correlation (Evangelidis & Psarakis 2008) tells a
copy, point matches that agree on one change of view (SIFT, RANSAC) tell the same things photographed twice.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from lookalike.auditing.file_facts import THUMB

SIDE, _ROUGH_SIDE = 96, 48  # pixels of the alignment, and of the one before it
_ALIKE, _ROUGHLY_SAME = 0.4, 0.85  # correlations that are worth the next, finer look: as they lie, roughly aligned


# Two pictures are one from this correlation after alignment on, up to this mean difference of a colour (0..255);
# strong compression changes colours more than the next shot of a burst does, but leaves the light where it was.
_SAME = ((0.97, 5.5), (0.997, 9.0))
_SHRINK = (0.6, 1.67)  # factors of scale between copies
_LIGHT = (0.7, 1.4)  # factors of contrast between copies
_SCENE_POINTS = 16  # matched points that agree on one change of view
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)


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


def compare(first: np.ndarray, second: np.ndarray) -> Compared:
    """Lays two images over each other.

    Args:
        first: uint8 RGB [160, 160, 3], stretched.
        second: As `first`.
    """
    return compare_prepared(Prepared.of(first), Prepared.of(second))


@dataclass(frozen=True)
class Prepared:
    """An image at the size of the alignment, and its points."""

    colours: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray | None

    @classmethod
    def of(cls, image: np.ndarray) -> "Prepared":
        """uint8 RGB [160, 160, 3], stretched."""
        colours = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        points, descriptors = cv2.SIFT_create(  # type: ignore[attr-defined]
            nfeatures=200, contrastThreshold=0.03
        ).detectAndCompute(luma, None)
        return cls(
            colours,
            np.array([point.pt for point in points], np.float32),
            None if descriptors is None else descriptors.astype(np.uint8),
        )

    def luma(self, side: int) -> np.ndarray:
        """float32 [side, side], slightly blurred."""
        luma = cv2.resize(cv2.cvtColor(self.colours, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(luma, (5, 5), 0).astype(np.float32)


def compare_prepared(first: Prepared, second: Prepared) -> Compared:
    """`compare` for images that are prepared already."""
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
    warp[:, 2] *= SIDE / _ROUGH_SIDE
    correlation, warp = _aligned(first, second, mirrored, SIDE, warp)
    scales = np.linalg.svd(warp[:, :2])[1]
    colour = 255.0
    if _SHRINK[0] <= scales.min() and scales.max() <= _SHRINK[1]:
        colour = _colour_difference(first.colours, second.colours[:, ::-1] if mirrored else second.colours, warp)
    return Compared(correlation, colour, mirrored, points)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum() / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-9))


def _aligned(
    first: Prepared, second: Prepared, mirrored: bool, side: int, warp: np.ndarray
) -> tuple[float, np.ndarray]:
    """The correlation after the best affine alignment, and the alignment; -1 where it does not converge."""
    luma = second.luma(side)
    luma = np.ascontiguousarray(luma[:, ::-1]) if mirrored else luma
    try:
        correlation, aligned = cv2.findTransformECC(  # type: ignore[call-overload]
            first.luma(side), luma, warp.copy(), cv2.MOTION_AFFINE, _STEPS, None, 1
        )
    except cv2.error:
        return -1.0, warp
    return float(correlation), np.asarray(aligned, np.float32)


def _colour_difference(first: np.ndarray, second: np.ndarray, warp: np.ndarray) -> float:
    size = (first.shape[1], first.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(np.ascontiguousarray(second), warp, size, flags=flags)
    shared = cv2.warpAffine(np.ones(first.shape[:2], np.uint8), warp, size, flags=flags) > 0
    if shared.mean() < 0.5:
        return 255.0
    below, above = first[shared].astype(np.float32), laid[shared].astype(np.float32)
    gain = np.clip(below.std() / max(float(above.std()), 1e-3), *_LIGHT)  # of all channels alike: light, not colour
    return float(np.abs(below - below.mean() - gain * (above - above.mean())).mean())


def _agreeing_points(first: Prepared, second: Prepared) -> tuple[int, np.ndarray]:
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
