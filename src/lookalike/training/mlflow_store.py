"""Runs in MLflow's store: made, found again after a crash, or deleted there meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import MLFlowLogger

from lookalike.console import say
from lookalike.errors import install
from lookalike.files import DiskFullError, write_bytes
from lookalike.training.mlflow_database import ready_database
from lookalike.training.mlflow_server import (
    VARIABLES,
    TrackerError,
    address,
    need_answer,
    quiet_mlflow,
    ready_experiment,
)

if TYPE_CHECKING:
    import mlflow

RUN_ID_FILE = "mlflow_run_id"


def mlflow_logger(
    run: str, options: dict[str, str], folder: Path | None, parent_run: str | None
) -> tuple[MLFlowLogger, int] | None:
    """The logger, as a child of another run where one is named, and the last epoch its run already has.

    Args:
        run: Name of the run.
        options: `uri` and `experiment`.
        folder: Where the identity of the run is kept between sessions.
        parent_run: Identity of the run it belongs to.

    Returns:
        None, and a line says why, where the store cannot be used and nobody asked for just this one, or the run was
        begun before: a tracker stops no training.

    Raises:
        TrackerError: MLflow is missing, or a new run was given a store that cannot be used.
    """
    quiet_mlflow()
    try:
        import mlflow
    except ImportError as error:
        raise TrackerError(f"logger=mlflow needs MLflow ({error}): {install('train')}, or logger=none") from error
    chosen = address(options)
    kept = folder / RUN_ID_FILE if folder else None
    earlier = kept.read_text().strip() if kept and kept.is_file() else None
    try:
        need_answer(chosen["uri"])
        ready_database(chosen["uri"])
        client = mlflow.MlflowClient(chosen["uri"])
        ready_experiment(client, chosen["experiment"])
        logger, already = _record(client, run, chosen, earlier, parent_run)
        if kept:
            write_bytes(kept, f"{logger.run_id}\n".encode())
    except DiskFullError:
        raise  # of the folder, not of MLflow's store
    except Exception as error:
        # MLflow passes on whatever its store raises: SQLAlchemy, HTTP, its own types.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        problem = f"logger=mlflow: {chosen['uri']} cannot be used ({reason}): check logger.mlflow.uri, or logger=none"
        if earlier or chosen["uri"] == VARIABLES["uri"][0]:
            say(f"{problem}: this goes on without a record of it")
            return None
        raise TrackerError(problem) from error
    return logger, already


def _record(
    client: "mlflow.MlflowClient", run: str, chosen: dict[str, str], earlier: str | None, parent_run: str | None
) -> tuple[MLFlowLogger, int]:
    """The run of an earlier session or a new one, and the epochs it has."""
    already, uri = 0, chosen["uri"]
    if earlier and not stands_in_mlflow(client, earlier):
        say(f"{uri}: the run {earlier} of {run} was deleted there: it gets a new record")
        earlier = None
    if earlier:
        points = client.get_metric_history(earlier, "train/loss")
        already = max((point.step for point in points), default=0)
    tags = {"mlflow.parentRunId": parent_run} if parent_run else None
    logger = MLFlowLogger(chosen["experiment"], run_name=run, tracking_uri=uri, run_id=earlier, tags=tags)
    before = os.environ.get(VARIABLES["uri"][1])
    assert logger.run_id  # opens the store
    # Lightning tells MLflow the address, which puts it into the environment: the next run would take it for the user's.
    if before is None:
        os.environ.pop(VARIABLES["uri"][1], None)
    else:
        os.environ[VARIABLES["uri"][1]] = before
    if not earlier and not parent_run:
        server = uri.rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
        first = "" if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}, then "
        page = f"{server}/#/experiments/{logger.experiment_id}/runs?workflowType=machine_learning"
        say(f"record: {first}{page} (the view 'Model training')")
    return logger, already


def log_or_say(log: Callable[..., object], *given: object) -> None:
    """Logs something; what a tracker refuses (a deleted record, a full disk, no network) is said, the work goes on."""
    try:
        log(*given)
    except Exception as error:
        # Each tracker passes on whatever its store raises.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        say(f"logger: {reason}: this goes on without a record of it")


def stands_in_mlflow(client: "mlflow.MlflowClient", identity: str) -> bool:
    """Whether a run is in the store and not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(identity).info.lifecycle_stage == "active")
    except MlflowException:
        return False
