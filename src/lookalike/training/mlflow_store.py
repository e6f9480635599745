"""Runs in MLflow's store: made, found again after a crash, or deleted there meanwhile."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import Logger, MLFlowLogger

from lookalike.console import say
from lookalike.errors import LookalikeError
from lookalike.files import write_bytes

if TYPE_CHECKING:
    import mlflow

RUN_ID_FILE = "mlflow_run_id"


class TrackerError(LookalikeError):
    """A logger cannot be used."""


def mlflow_logger(run: str, options: dict[str, str], folder: Path | None, parent_run: str | None) -> tuple[Logger, int]:
    """The logger, as a child of another run where one is named, and the last epoch its run already has."""
    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    try:
        import mlflow
    except ImportError as error:
        raise TrackerError(
            f"logger=mlflow needs MLflow ({error}): pip install 'lookalike[train]', or logger=none"
        ) from error
    kept = folder / RUN_ID_FILE if folder else None
    earlier = kept.read_text().strip() if kept and kept.is_file() else None
    try:
        client = mlflow.MlflowClient(options["uri"])
        already = 0
        if earlier and not stands_in_mlflow(client, earlier):
            say(f"{options['uri']}: the run {earlier} of {run} was deleted there: it gets a new record")
            earlier = None
        if earlier:
            points = client.get_metric_history(earlier, "train/loss")
            already = max((point.step for point in points), default=0)
        tags = {"mlflow.parentRunId": parent_run} if parent_run else None
        logger = MLFlowLogger(
            options["experiment"], run_name=run, tracking_uri=options["uri"], run_id=earlier, tags=tags
        )
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


def log_or_say(log: Callable[..., object], *given: object) -> None:
    """Logs something; what MLflow refuses (a record that was deleted meanwhile) is said, and the work goes on."""
    try:
        log(*given)
    except Exception as error:
        if not type(error).__module__.startswith("mlflow"):
            raise
        say(f"logger=mlflow: {str(error).splitlines()[0]}: this goes on without a record of it")


def stands_in_mlflow(client: "mlflow.MlflowClient", identity: str) -> bool:
    """Whether a run is in the store and not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(identity).info.lifecycle_stage == "active")
    except MlflowException:
        return False
