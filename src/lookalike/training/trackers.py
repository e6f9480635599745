"""Where curves are logged besides the checkpoint: MLflow (default), W&B, TensorBoard, CSV, several, or nowhere.

The horizontal axis is the epoch. A resumed run goes on in the same record and logs no epoch twice.
"""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from lookalike.errors import install
from lookalike.files import write_bytes
from lookalike.training.mlflow_server import TrackerError
from lookalike.training.mlflow_store import log_or_say, mlflow_logger
from lookalike.training.parents import Parent


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
                above = parent.mlflow[0] if parent and parent.mlflow else None
                if opened := mlflow_logger(run, options, folder, above):
                    self._loggers.append(opened)
            elif name == "tensorboard":
                self._loggers.append((_tensorboard(run, options, resumed), 0))
            elif name == "wandb" and not _wandb_is_off():
                self._loggers.append((_wandb(run, options, folder, parent), 0))

    def settings(self, flat: dict[str, Any]) -> None:
        """Logs the settings of the run."""
        for logger, _ in self._loggers:
            values = {name: "none" if value is None else value for name, value in flat.items()}
            log_or_say(logger.log_hyperparams, values)

    def epoch(self, history: list[dict[str, float]]) -> None:
        """Logs the last line of the history."""
        line = history[-1]
        for logger, already in self._loggers:
            if line["epoch"] > already:
                # MLflow refuses "@" in the name of a metric, so accuracy@1 is accuracy_at_1 in every record.
                values = {name.replace("@", "_at_"): value for name, value in line.items() if name != "epoch"}
                log_or_say(logger.log_metrics, values, int(line["epoch"]))
        if self._csv is not None:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(line))
            writer.writeheader()
            writer.writerows(history)
            log_or_say(write_bytes, self._csv, text.getvalue().encode())

    def result(
        self, metrics: dict[str, float], files: list[Path], intervals: dict[str, tuple[float, float]] | None = None
    ) -> None:
        """Logs figures that belong to no epoch, and keeps files beside them where the tracker can (MLflow, W&B).

        Args:
            metrics: Name -> value.
            files: Kept with the record.
            intervals: Name -> (low, high): kept as pairs (MLflow: the tag `intervals_95`), not as figures of their own.
        """
        values = {name.replace("@", "_at_"): value for name, value in metrics.items()}
        pairs = {name.replace("@", "_at_"): [round(end, 6) for end in pair] for name, pair in (intervals or {}).items()}
        for logger, _ in self._loggers:
            log_or_say(logger.log_metrics, values, 0)
            if pairs:
                log_or_say(_log_pairs, logger, pairs)
            if isinstance(logger, MLFlowLogger):
                for file in files:
                    log_or_say(logger.experiment.log_artifact, logger.run_id, str(file))
            elif isinstance(logger, WandbLogger):
                log_or_say(_keep_in_wandb, logger, files)
        if self._csv is not None:
            text = io.StringIO()
            ends = intervals or {}
            rows = [[name, value, *ends.get(name, ("", ""))] for name, value in metrics.items()]
            csv.writer(text).writerows([["metric", "value", "low", "high"], *rows])
            write_bytes(self._csv, text.getvalue().encode())

    def close(self, status: str) -> None:
        """Marks the run as `success`, `failed` or `abandoned`."""
        for logger, _ in self._loggers:
            killed = status == "abandoned" and isinstance(logger, MLFlowLogger)
            log_or_say(logger.finalize, "KILLED" if killed else status.replace("abandoned", "success"))
            if isinstance(logger, WandbLogger):
                log_or_say(logger.experiment.finish, int(status == "failed"))  # else the next run would go on in it


def _keep_in_wandb(logger: WandbLogger, files: list[Path]) -> None:
    import wandb

    artifact = wandb.Artifact(f"{logger.experiment.id}-files", type="evaluation")
    for file in files:
        artifact.add_file(str(file))
    logger.experiment.log_artifact(artifact)


def _wandb_is_off() -> bool:
    """As W&B's own variables say: then nothing is written, not even by us."""
    off = os.environ.get("WANDB_MODE", "").lower() == "disabled"
    return off or os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on")


def _log_pairs(logger: Logger, pairs: dict[str, list[float]]) -> None:
    """95 % intervals beside the figures of a record."""
    if isinstance(logger, MLFlowLogger):
        logger.experiment.set_tag(logger.run_id, "intervals_95", json.dumps(pairs))
    elif isinstance(logger, WandbLogger):
        logger.experiment.summary["intervals_95"] = pairs
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_text("intervals_95", json.dumps(pairs))


def _tensorboard(run: str, options: dict[str, str], resumed: int) -> Logger:
    try:
        return TensorBoardLogger(options["folder"], name=run, version="", purge_step=resumed + 1)
    except ModuleNotFoundError as error:
        raise TrackerError(f"logger=tensorboard needs a package ({error}): {install('loggers')}") from error


def _wandb(run: str, options: dict[str, str], folder: Path | None, parent: Parent | None) -> Logger:
    """Off-line when there is no key; the same run goes on after a crash."""
    try:
        import wandb
    except ImportError as error:
        raise TrackerError(f"logger=wandb needs a package ({error}): {install('loggers')}") from error
    mode = os.environ.get("WANDB_MODE", "").lower()
    offline = mode in ("offline", "dryrun") or not wandb.login(prompt=False)
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
