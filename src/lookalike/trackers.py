"""Where curves are logged besides the checkpoint: MLflow (default), W&B, TensorBoard, CSV, several, or nowhere.

The horizontal axis is the epoch. A resumed run goes on in the same record and logs no epoch twice.
"""

import csv
import io
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from lookalike.errors import LookalikeError
from lookalike.files import write_bytes
from lookalike.progress import say

_RUN_ID = "mlflow_run_id"


class TrackerError(LookalikeError):
    """A logger cannot be used."""


@dataclass(frozen=True)
class Parent:
    """The record of a comparison, under which its runs are logged.

    Attributes:
        name: Of the comparison; the group of its runs in W&B.
        mlflow: Identity of its run in MLflow and the address of the store; None without MLflow.
    """

    name: str
    mlflow: tuple[str, str] | None

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
            kept = folder / _RUN_ID
            known = kept.read_text().strip() if kept.is_file() else None
            if known and _stands(client, known):
                _taken(client.set_tag, known, "mlflow.parentRunId", identity)

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

        _taken(log)


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
        return Parent(name, None)
    logger, _ = _mlflow(name, chosen["mlflow"], folder, None)
    return Parent(name, (str(logger.run_id), chosen["mlflow"]["uri"]))  # type: ignore[attr-defined]


class Tracker:
    """Logs the lines of a run's history to every chosen place.

    Args:
        run: Name of the run.
        chosen: Logger name -> its settings, as under `configs/logger`.
        folder: `checkpoint/<run>`, where the identity of a run is kept between sessions; None for a record of its own.
        resumed: Epochs already in the history.
        parent: The comparison that the run belongs to.

    Raises:
        TrackerError: A package is missing, or the store cannot be opened.
    """

    def __init__(
        self,
        run: str,
        chosen: dict[str, dict[str, str]],
        folder: Path | None,
        resumed: int = 0,
        parent: Parent | None = None,
    ) -> None:
        self._csv = Path(chosen["csv"]["folder"]) / f"{run}.csv" if "csv" in chosen else None
        self._loggers: list[tuple[Logger, int]] = []
        for name, options in chosen.items():
            if name == "mlflow":
                self._loggers.append(_mlflow(run, options, folder, parent))
            elif name == "tensorboard":
                self._loggers.append((_tensorboard(run, options, resumed), 0))
            elif name == "wandb":
                self._loggers.append((_wandb(run, options, folder, parent), 0))

    def settings(self, flat: dict[str, Any]) -> None:
        """Logs the settings of the run."""
        for logger, _ in self._loggers:
            values = {name: "none" if value is None else value for name, value in flat.items()}
            _taken(logger.log_hyperparams, values)

    def epoch(self, history: list[dict[str, float]]) -> None:
        """Logs the last line of the history."""
        line = history[-1]
        for logger, already in self._loggers:
            if line["epoch"] > already:
                # MLflow refuses "@" in the name of a metric, so accuracy@1 is accuracy_at_1 in every record.
                values = {name.replace("@", "_at_"): value for name, value in line.items() if name != "epoch"}
                _taken(logger.log_metrics, values, int(line["epoch"]))
        if self._csv is not None:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(line))
            writer.writeheader()
            writer.writerows(history)
            write_bytes(self._csv, text.getvalue().encode())

    def result(self, metrics: dict[str, float], files: list[Path]) -> None:
        """Logs figures that belong to no epoch, and keeps files beside them where the tracker can (MLflow, W&B)."""
        values = {name.replace("@", "_at_"): value for name, value in metrics.items()}
        for logger, _ in self._loggers:
            _taken(logger.log_metrics, values, 0)
            if isinstance(logger, MLFlowLogger):
                for file in files:
                    _taken(logger.experiment.log_artifact, logger.run_id, str(file))
            elif isinstance(logger, WandbLogger):
                import wandb

                artifact = wandb.Artifact(f"{logger.experiment.id}-files", type="evaluation")
                for file in files:
                    artifact.add_file(str(file))
                logger.experiment.log_artifact(artifact)
        if self._csv is not None:
            text = io.StringIO()
            csv.writer(text).writerows([list(metrics), list(metrics.values())])
            write_bytes(self._csv, text.getvalue().encode())

    def close(self, status: str) -> None:
        """Marks the run as `success`, `failed` or `abandoned`."""
        for logger, _ in self._loggers:
            killed = status == "abandoned" and isinstance(logger, MLFlowLogger)
            _taken(logger.finalize, "KILLED" if killed else status.replace("abandoned", "success"))
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=int(status == "failed"))  # else the next run would go on in it


def _mlflow(run: str, options: dict[str, str], folder: Path | None, parent: Parent | None) -> tuple[Logger, int]:
    """The logger and the last epoch its run already has."""
    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    try:
        import mlflow
    except ImportError as error:
        raise TrackerError(
            f"logger=mlflow needs MLflow ({error}): pip install 'lookalike[train]', or logger=none"
        ) from error
    kept = folder / _RUN_ID if folder else None
    known = kept.read_text().strip() if kept and kept.is_file() else None
    try:
        client = mlflow.MlflowClient(options["uri"])
        already = 0
        if known and not _stands(client, known):
            say(f"{options['uri']}: the run {known} of {run} was deleted there: it gets a new record")
            known = None
        if known:
            points = client.get_metric_history(known, "train/loss")
            already = max((point.step for point in points), default=0)
        tags = {"mlflow.parentRunId": parent.mlflow[0]} if parent and parent.mlflow else None
        logger = MLFlowLogger(options["experiment"], run_name=run, tracking_uri=options["uri"], run_id=known, tags=tags)
        run_id = logger.run_id  # opens the store
        if kept:
            write_bytes(kept, f"{run_id}\n".encode())
    except LookalikeError:
        raise
    except Exception as error:
        # MLflow passes on whatever its store raises: SQLAlchemy, HTTP, its own types.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrackerError(
            f"logger=mlflow: {options['uri']} cannot be used ({reason}): check logger.mlflow.uri, or logger=none"
        ) from error
    return logger, already


def _taken(log: Callable[..., Any], *given: Any) -> None:
    """Logs something; what MLflow refuses (a record that was deleted meanwhile) is said, and the work goes on."""
    try:
        log(*given)
    except Exception as error:
        if not type(error).__module__.startswith("mlflow"):
            raise
        say(f"logger=mlflow: {str(error).splitlines()[0]}: this goes on without a record of it")


def _stands(client: Any, identity: str) -> bool:
    """Whether a run is in the store and not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(identity).info.lifecycle_stage == "active")
    except MlflowException:
        return False


def _tensorboard(run: str, options: dict[str, str], resumed: int) -> Logger:
    try:
        return TensorBoardLogger(options["folder"], name=run, version="", purge_step=resumed + 1)
    except ModuleNotFoundError as error:
        raise TrackerError(f"logger=tensorboard needs a package ({error}): pip install 'lookalike[loggers]'") from error


def _wandb(run: str, options: dict[str, str], folder: Path | None, parent: Parent | None) -> Logger:
    """Off-line when there is no key; the same run goes on after a crash."""
    try:
        import wandb
    except ImportError as error:
        raise TrackerError(f"logger=wandb needs a package ({error}): pip install 'lookalike[loggers]'") from error
    offline = not wandb.login(prompt=False)
    kept = folder / "wandb_run_id" if folder else None
    identity = kept.read_text() if kept and kept.is_file() else uuid4().hex[:8]
    if kept:
        write_bytes(kept, identity.encode())
    return WandbLogger(
        name=run,
        project=options["project"],
        id=identity,
        mode="offline" if offline else "online",
        save_dir=str(Path.cwd()),  # its service keeps the folder that it was started in
        resume="allow",
        group=parent.name if parent else None,
    )
