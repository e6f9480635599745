"""Runs one job of lookalike in a process of its own and prints one JSON line: the counterpart of peers/speed.py.

ours.py train SETTING=VALUE ...          `lookalike train`, with the seconds of every part of it
ours.py embed BUNDLE FILES PRECISION     files -> embeddings once (FILES: one path per line), with its memory
"""

import json
import sys
import time

BEGIN = time.perf_counter()

from collections.abc import Callable  # noqa: E402 - the imports are part of the job
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


def _timed(owner: Any, name: str, seconds: dict[str, float]) -> None:
    """Adds up the seconds that a function of a module takes."""
    inner = getattr(owner, name)

    def outer(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return inner(*arguments, **options)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start

    setattr(owner, name, outer)


def train(arguments: list[str]) -> dict[str, Any]:
    """One training run by the settings of the command line.

    Args:
        arguments: As after `lookalike train`.
    """
    from lookalike.cli.arguments import read_settings
    from lookalike.training import build, fit, run

    imported = time.perf_counter() - BEGIN
    parts: dict[str, float] = {}
    owners = {"cached_trunk": build, "_precision": build}
    for name in ("_read_data", "_check_images", "cached_trunk", "_precision", "fit", "finish"):
        _timed(owners.get(name, run), name, parts)
    epochs: list[float] = []
    validations: list[float] = []

    class Clock(fit.EpochLines):
        """Times training and validation of each epoch."""

        def on_train_epoch_start(self, *arguments: Any) -> None:
            """Starts the clock of training."""
            self.mark = time.perf_counter()
            super().on_train_epoch_start(*arguments)

        def on_validation_start(self, *arguments: Any) -> None:
            """Stops it, starts that of validation."""
            now = time.perf_counter()
            epochs.append(now - self.mark)
            self.mark = now
            super().on_validation_start(*arguments)

        def on_validation_end(self, *arguments: Any) -> None:
            """Stops it."""
            validations.append(time.perf_counter() - self.mark)

    fit.EpochLines = Clock  # type: ignore[misc]
    bundle, _ = run.train(read_settings("train", arguments))
    training = bundle.config.training
    return {
        "seconds": time.perf_counter() - BEGIN,
        "import_seconds": imported,
        "parts": parts,
        "epoch_seconds": epochs,
        "validation_seconds": validations,
        "images": training.images,
        "arithmetic": training.arithmetic,
        "history": training.history,
    }


def embed(arguments: list[str]) -> dict[str, Any]:
    """Embeds files; the memory is what rises above the prepared model.

    Args:
        arguments: Folder of a bundle, file of paths, precision.
    """
    from peers.worker import measured

    from lookalike.model import Model

    folder, listed, precision = arguments
    files = [Path(line) for line in Path(listed).read_text().splitlines()]
    encoder = Model.load(folder, precision=precision).encoder  # type: ignore[arg-type]
    encoder.embed(files[:8])
    _, seconds, extra = measured(lambda: encoder.embed(files))
    return {"seconds": seconds, "images": len(files), "extra_mib": extra}


JOBS: dict[str, Callable[[list[str]], dict[str, Any]]] = {"train": train, "embed": embed}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](sys.argv[2:])))
