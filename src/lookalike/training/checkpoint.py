"""The state a killed run continues from: written whole or not at all, read without executing any pickle.

`checkpoint/<run>/last.ckpt` holds weights, class weights, optimiser, schedule, random state, position inside the epoch
and the curves so far; `best.safetensors` holds the embedder of the best epoch.
"""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from lookalike.errors import CheckpointError
from lookalike.files import write_bytes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, through a temporary file, fsync and a rename."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Writes a checkpoint; the previous one stands until this one is complete."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())


def compare_settings(begun: str, before: dict[str, Any], now: dict[str, Any], way_out: str) -> None:
    """Refuses to continue with settings that would make it something else.

    Args:
        begun: What was begun, such as `run x`.
        before: Settings it was begun with, flat (`trainer.batch_size` -> value).
        now: Settings of this call, flat.
        way_out: What to do instead of going back to them.

    Raises:
        CheckpointError: Names what differs.
    """
    # A setting that an earlier version lacked was off in it.
    same = {name for name in now.keys() - before.keys() if now[name] is False}
    changed = sorted(name for name in (before.keys() | now.keys()) - same if before.get(name) != now.get(name))
    if not changed:
        return
    if "data_fingerprint" in changed:
        what = "another data set, or files of it have changed (or what exclude.csv leaves out)"
    else:
        what = "; ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in changed[:6])
    raise CheckpointError(f"{begun} was started with other settings: {what}; go back to them to continue, {way_out}")
