"""Which references count for a query: the one rule.

It is written with `|` and `&` alone, so that it takes booleans, numpy's arrays and torch's tensors, and so that the
compiled loops compile this very function.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Marks = TypeVar("Marks", bool, np.ndarray, "torch.Tensor")

# Cameras that are not known: on either side another number, so that they are the same as no other.
NO_QUERY_CAMERA, NO_REFERENCE_CAMERA = -1, -2

# Milliseconds. Times that are not known are farther from all others than any limit but `ANY_TIME`.
ANY_TIME, NEVER = 1 << 62, -1
NO_QUERY_TIME, NO_REFERENCE_TIME = -(1 << 61), 1 << 61

# One for each query or reference; compiled loops give single numbers.
Numbers = TypeVar("Numbers", np.ndarray, "torch.Tensor")


def left_out(ignored: Marks, itself: Marks, same_label: Marks, same_camera: Marks, elsewhere: Marks) -> Marks:
    """Whether a reference does not count for a query.

    That is junk, the query itself, its label seen by its own camera, or anything that another camera saw at its time.

    Args:
        ignored: Whether the reference is marked as neither helping nor hurting.
        itself: Whether it is the query's own image.
        same_label: Whether it has the query's label.
        same_camera: Whether it comes from the query's camera, and from about its time where the camera rule is limited;
            never where one is unknown or the camera rule is off.
        elsewhere: Whether another camera saw it at the time of the query; never where that rule is off.

    Returns:
        As what was given: one truth, or one for each pair.
    """
    outside: Marks = ignored | itself | (same_label & same_camera) | elsewhere
    return outside


def in_time(since: Numbers, until: Numbers, other_since: Numbers, other_until: Numbers, within: int) -> Numbers:
    """Whether two spans of time overlap, or lie no farther apart than `within` milliseconds; `NEVER` is never."""
    near: Numbers = (within >= 0) & (since - other_until <= within) & (other_since - until <= within)
    return near


def elsewhere(camera: Numbers, other_camera: Numbers, near: Numbers) -> Numbers:
    """Whether another camera saw a reference at the time of a query: both cameras are known, and the times near."""
    away: Numbers = (camera != other_camera) & (camera >= 0) & (other_camera >= 0) & near
    return away
