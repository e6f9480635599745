"""What every use of MLflow begins with: which store, whether it answers, its experiment. No torch."""

import logging
import os
from typing import TYPE_CHECKING

from lookalike.console import say
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    import mlflow

VARIABLES = {  # setting -> its default in configs/logger/mlflow.yaml, MLflow's own variable
    "uri": ("sqlite:///mlflow.db", "MLFLOW_TRACKING_URI"),
    "experiment": ("lookalike", "MLFLOW_EXPERIMENT_NAME"),
}
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"  # else MLflow 3 opens its GenAI view
_ANSWER_SECONDS = 8
_ENVIRONMENT = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


class TrackerError(LookalikeError):
    """A logger cannot be used."""


def address(options: dict[str, str]) -> dict[str, str]:
    """The settings of the logger; MLflow's own variables take the place of a default that was left as it is.

    Args:
        options: `uri` and `experiment`.
    """
    return {
        name: os.environ.get(variable) or options[name] if options[name] == default else options[name]
        for name, (default, variable) in VARIABLES.items()
    }


def quiet_mlflow() -> None:
    """Before MLflow is imported: no news of itself, no long waits, no lines about its database."""
    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def need_answer(uri: str) -> None:
    """Asks a server for any answer at all, as MLflow itself asks for minutes.

    Raises:
        OSError: There is none.
    """
    if uri.startswith(("http://", "https://")):
        import requests

        try:
            requests.get(uri, timeout=_ANSWER_SECONDS, stream=True, allow_redirects=False).close()
        except requests.RequestException as error:
            raise OSError(f"no answer within {_ANSWER_SECONDS} s: {type(error).__name__}") from error


def ready_experiment(client: "mlflow.MlflowClient", name: str) -> None:
    """Makes an experiment or takes a deleted one back, and marks it so that MLflow opens it on training runs."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        client.create_experiment(name, tags={KIND: TRAINING})
        return
    if experiment.lifecycle_stage == "deleted":
        try:
            client.restore_experiment(experiment.experiment_id)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise TrackerError(
                f"experiment {name} was deleted and cannot be restored ({reason}): "
                "give logger.mlflow.experiment=<another>"
            ) from error
        say(f"logger=mlflow: experiment {name} was deleted: it is restored")
    if KIND not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, KIND, TRAINING)
