"""A checkpoint of `lookalike train`, read without executing any pickle."""

from pathlib import Path
from typing import Any

import torch

from lookalike.errors import CheckpointError

LAST, BEST = "last.ckpt", "best.safetensors"


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Reads a checkpoint with torch's `weights_only=True`.

    Raises:
        CheckpointError: Truncated, damaged, or holding more than tensors and plain values.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # what torch raises for damage is its own affair: IndexError and KeyError, too
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{file}: cannot be read ({reason}): give resume=never to start over; the file is kept"
        ) from error
    return state
