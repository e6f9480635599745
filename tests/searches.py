"""Searches whose runs do not train, for tests."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.experiments.search import search
from lookalike.experiments.search_result import Search
from lookalike.settings.training import Train
from lookalike.training.callbacks import Abandoned
from lookalike.training.plan import Watch

TRIALS = 4
Score = Callable[[Train, int], float]


def arguments(root: Path, *more: str) -> list[str]:
    return ["tune", f"data.root={root}", "name=t", f"trials={TRIALS}", *TINY, *more]


def settings(root: Path, *more: str) -> Any:
    return read_settings("tune", arguments(root, *more)[1:])


class Pretended:
    """Runs without training: the score of every epoch is a function of what was drawn and the epoch."""

    def __init__(self, score: Score) -> None:
        self.score, self.ran = score, list[Train]()

    def __call__(self, run: Train, watch: Watch) -> Any:
        self.ran.append(run)
        history = []
        for epoch in range(1, run.trainer.max_epochs + 1):
            value = self.score(run, epoch)
            history.append(
                {"epoch": float(epoch), "train/loss": 1.0, "validation/accuracy@1": value, "validation/map": value / 2}
            )
            if watch(history):
                raise Abandoned
        return SimpleNamespace(config=SimpleNamespace(training=SimpleNamespace(history=history)))


def search_with(score: Score, root: Path, output: Path, *more: str) -> tuple[Search, list[Train]]:
    run = Pretended(score)
    return search(settings(root, *more), output, run), run.ran


def by_scale(run: Train, epoch: int) -> float:
    return 1 / (1 + abs(run.loss.scale - 20)) + epoch / 1000  # type: ignore[union-attr]
