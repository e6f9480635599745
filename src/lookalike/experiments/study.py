"""A search that is kept: Optuna's study in a database, opened again after a kill."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.data.reading import read_data
from lookalike.errors import install
from lookalike.experiments.search_settings import TuneError
from lookalike.settings.check import flat
from lookalike.settings.search_space import Knob
from lookalike.settings.verbs import TuneCommand
from lookalike.training.checkpoint import compare_settings
from lookalike.training.plan import FREE

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_UNPRUNED = (5, 2)  # trials, and epochs of a trial, that are never pruned
PLACES = ("resume", "logger", "models_dir", "checkpoint_dir", "run", "data.root")


def require_optuna() -> None:
    """Sees to it that Optuna is there, and silences its chatter.

    Raises:
        TuneError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise TuneError(f"tune needs optuna ({error}): {install('tune')}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def plain_database_errors(file: Path) -> Iterator[None]:
    """Says in one line what a database raises: damaged, locked, a full disk."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TuneError(
            f"{file}: cannot be used ({reason}): the same command goes on when that is mended; if the file is damaged, "
            "move it away, or give name=<another>"
        ) from error


def open_study(settings: TuneCommand, output: Path, knobs: dict[str, Knob]) -> "Study":
    """The study, made or taken up again.

    Args:
        settings: Of the search.
        output: Folder of its database.
        knobs: `group.setting` -> how it is drawn.

    Raises:
        CheckpointError: It was started with other settings.
    """
    import optuna

    output.mkdir(parents=True, exist_ok=True)
    values = {**settings.model_dump(mode="json"), "tune": {name: knob.model_dump() for name, knob in knobs.items()}}
    about = {name: value for name, value in flat(values).items() if not name.startswith((*FREE, *PLACES))}
    about = {name: value for name, value in about.items() if name not in ("trials", "output")}
    about["data_fingerprint"] = read_data(**settings.data.model_dump()).fingerprint()
    about = json.loads(json.dumps(about))
    name, storage = settings.name, f"sqlite:///{output / 'study.db'}"
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    started_with = study.user_attrs.get("about")
    if started_with not in (None, about) and not ended_trials(study):  # no trial yet that this could be mixed with
        optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        started_with = None
    if started_with is None:
        study.set_user_attr("about", about)
    else:
        compare_settings(f"search {name}", started_with, about, "or give name=<another>")
    # A constant seed would draw the same again after every restart.
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials))
    trials, epochs = _UNPRUNED
    study.pruner = (
        # Its steps count from 0, epochs from 1.
        optuna.pruners.MedianPruner(n_startup_trials=trials, n_warmup_steps=epochs + 1)
        if settings.prune
        else optuna.pruners.NopPruner()
    )
    return study


def take_up_killed_trials(study: "Study") -> None:
    """Trials that a killed session left are run first, with the same settings: their runs go on from checkpoints."""
    from optuna.trial import TrialState

    waiting = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(states=(TrialState.WAITING,))]
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        # What it was given before it drew anything, and what it drew.
        drawn = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if drawn not in waiting:
            study.enqueue_trial(drawn, user_attrs=given_attribute(trial))
        study.tell(trial.number, state=TrialState.FAIL)


def given_attribute(trial: "FrozenTrial") -> dict[str, bool]:
    """Whether a trial has the settings as given, as an attribute of a trial."""
    return {"given": bool(trial.user_attrs.get("given", False))}


def ended_trials(study: "Study") -> list["FrozenTrial"]:
    """The trials of a study that are not run again."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
