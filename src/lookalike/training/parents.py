"""A comparison or search as its runs see it: the record under which they are logged, and the arithmetic they share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lookalike.console import say
from lookalike.files import write_bytes
from lookalike.models.metric_learning_module import TrainPrecision
from lookalike.training.cpu.precision import CHOICES
from lookalike.training.mlflow_server import TrackerError, address
from lookalike.training.mlflow_store import RUN_ID_FILE, log_or_say, mlflow_logger, stands_in_mlflow

ARITHMETIC_FILE = "arithmetic.txt"


@dataclass(frozen=True)
class Parent:
    """The record of a comparison, under which its runs are logged.

    Attributes:
        name: Of the comparison; the group of its runs in W&B.
        mlflow: Identity of its run in MLflow and the address of the store; None without MLflow.
        folder: Where what all its runs share is kept between sessions.
    """

    name: str
    mlflow: tuple[str, str] | None
    folder: Path

    def arithmetic(self, measure: Callable[[], TrainPrecision]) -> TrainPrecision:
        """The one arithmetic of all its runs: decided by the first that asks, kept for the others and later sessions.

        Args:
            measure: Chooses one; called where none was chosen yet.
        """
        file = self.folder / ARITHMETIC_FILE
        if not file.is_file():
            write_bytes(file, f"{measure()}\n".encode())
        text = file.read_text(encoding="utf-8", errors="replace").strip()
        for chosen in CHOICES:
            if text == chosen:
                say(f"arithmetic: {chosen}, as in all runs of {self.name}")
                return chosen
        raise TrackerError(
            f"{file}: expected one of {', '.join(CHOICES)}, the arithmetic of all runs of {self.name}, "
            f"got {text[:40]!r}: write the one that its finished runs had, or give trainer.precision"
        )

    def adopt(self, checkpoints: list[Path]) -> None:
        """Makes the records of finished runs (their checkpoint folders) its children, should they be another's.

        Another's they are when their parent was deleted in MLflow.
        """
        if self.mlflow is None:
            return
        import mlflow

        identity, uri = self.mlflow
        client = mlflow.MlflowClient(uri)
        for folder in checkpoints:
            kept = folder / RUN_ID_FILE
            run_id = kept.read_text().strip() if kept.is_file() else None
            if run_id and stands_in_mlflow(client, run_id):
                log_or_say(client.set_tag, run_id, "mlflow.parentRunId", identity)

    def close(self, metrics: dict[str, float], files: list[Path]) -> None:
        """Logs figures of the comparison and its files, and marks it as finished."""
        if self.mlflow is None:
            return
        import mlflow

        identity, uri = self.mlflow
        client = mlflow.MlflowClient(uri)

        def log() -> None:
            for name, value in metrics.items():
                client.log_metric(identity, re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_")), value)
            for file in files:
                client.log_artifact(identity, str(file))
            client.set_terminated(identity)

        log_or_say(log)


def open_parent(name: str, chosen: dict[str, dict[str, str]], folder: Path) -> Parent:
    """The record of a comparison, made or found again.

    Args:
        name: Of the comparison.
        chosen: Logger name -> its settings.
        folder: Where its identity is kept between sessions.

    Raises:
        TrackerError: A package is missing, or the store cannot be opened.
    """
    if "mlflow" not in chosen:
        return Parent(name, None, folder)
    opened = mlflow_logger(name, chosen["mlflow"], folder, None)
    if opened is None:
        return Parent(name, None, folder)
    return Parent(name, (str(opened[0].run_id), address(chosen["mlflow"])["uri"]), folder)
