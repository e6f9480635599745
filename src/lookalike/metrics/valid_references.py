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


def left_out(ignored: Marks, itself: Marks, same_label: Marks, same_camera: Marks) -> Marks:
    """Whether a reference does not count for a query: junk, the query itself, or its label seen by its own camera.

    Args:
        ignored: Whether the reference is marked as neither helping nor hurting.
        itself: Whether it is the query's own image.
        same_label: Whether it has the query's label.
        same_camera: Whether it comes from the query's camera; never where one is unknown or the camera rule is off.

    Returns:
        As what was given: one truth, or one for each pair.
    """
    outside: Marks = ignored | itself | (same_label & same_camera)
    return outside
