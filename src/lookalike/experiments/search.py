"""A search for the settings that validate best: Optuna draws them, `train` runs them. It never looks at the test split.

The study is kept in `study.db` of the output folder after every epoch, a run in its checkpoint: a killed search goes on
inside the run that was killed, and no finished run is run again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lookalike.console import say
from lookalike.datamodules.sampler import SamplerError
from lookalike.errors import ModelError
from lookalike.experiments.search_result import Search, conclude
from lookalike.experiments.search_settings import TuneError, checked_knobs, first_draw, settings_of
from lookalike.experiments.study import (
    ended_trials,
    open_study,
    plain_database_errors,
    require_optuna,
    take_up_killed_trials,
)
from lookalike.inference.bundle import Bundle
from lookalike.models.losses import LossError
from lookalike.settings.search_space import Knob
from lookalike.settings.training import Train
from lookalike.settings.verbs import TuneCommand
from lookalike.training.callbacks import Abandoned
from lookalike.training.fit import DivergedError
from lookalike.training.history import best_epoch
from lookalike.training.plan import Watch

if TYPE_CHECKING:
    from optuna import Study, Trial

_REPEATS = 50  # draws in a row that were drawn before: then there is nothing new to draw
_NOT_TRAINABLE = (DivergedError, SamplerError, ModelError, LossError, torch.OutOfMemoryError)
Run = Callable[[Train, Watch], Bundle]


def search(settings: TuneCommand, output: Path, run: Run) -> Search:
    """Runs trials until there are as many as asked for.

    Args:
        settings: Of the search.
        output: Its folder; `study.db` in it holds the study.
        run: Trains, or continues, or finds that a run is finished; hands the history to its watch after every epoch,
            and raises `Abandoned` when the watch says so.

    Raises:
        LookalikeError: A setting does not exist or has a wrong range, or the study is one of other settings.
    """
    require_optuna()
    if settings.resume == "never":
        raise TuneError("resume=never: a search always goes on where it stopped: give name=<another> to start over")
    settings = settings.model_copy(update={"quality": None})  # what is drawn is no preset any more
    base = {name: value for name, value in settings.model_dump().items() if name in Train.model_fields}
    knobs = checked_knobs(settings, base)
    with plain_database_errors(output / "study.db"):
        study = open_study(settings, output, knobs)
        take_up_killed_trials(study)
        if not study.trials:
            draw = first_draw(base, knobs)
            study.enqueue_trial(draw, user_attrs={"given": len(draw) == len(knobs)})
        _run_trials(settings, base, knobs, study, run)
        return conclude(settings, study, base)


def _run_trials(settings: TuneCommand, base: dict[str, Any], knobs: dict[str, Knob], study: "Study", run: Run) -> None:
    """Draws and runs until enough trials ended, or nothing new is drawn any more."""
    from optuna.trial import TrialState

    repeats = 0
    while (ended := len(ended_trials(study))) < settings.trials and repeats < _REPEATS:
        trial = study.ask()
        drawn = {name: _draw(trial, name, knob) for name, knob in knobs.items()}
        training = settings_of(settings.name, base, drawn)
        if any(earlier.user_attrs["result"]["run"] == training.run for earlier in ended_trials(study)):
            study.tell(trial, state=TrialState.FAIL)
            repeats += 1
            continue
        repeats = 0
        values = ", ".join(f"{name.rpartition('.')[2]} {_short(value)}" for name, value in drawn.items())
        say(f"trial {trial.number} ({ended + 1} of {settings.trials}): {training.run} ({values})")
        _run_trial(study, trial, training, run, settings.objective)
    if repeats:
        say(f"{ended} of {settings.trials} trials: nothing that was not drawn before is drawn any more")


def _run_trial(study: "Study", trial: "Trial", settings: Train, run: Run, objective: str) -> None:
    """One trial, from its first epoch or from its checkpoint; one that cannot be trained ends."""
    from optuna.trial import TrialState

    reported: list[dict[str, float]] = []

    def watch(history: list[dict[str, float]]) -> bool:
        for line in history[len(reported) :]:
            trial.report(line[f"validation/{objective}"], int(line["epoch"]))
        reported[:] = history
        _note(trial, settings, reported, "pruned")
        return bool(trial.should_prune())

    try:
        watch(run(settings, watch).config.training.history)
    except Abandoned:
        say(f"{settings.run}: pruned, most others were better at this epoch")
        study.tell(trial, state=TrialState.PRUNED)
    except _NOT_TRAINABLE as error:
        reason = str(error).splitlines()[0]
        say(f"{settings.run}: {reason}")
        _note(trial, settings, reported, f"failed: {reason}")
        study.tell(trial, state=TrialState.PRUNED)
    else:
        _note(trial, settings, reported, "finished")
        study.tell(trial, reported[best_epoch(reported) - 1][f"validation/{objective}"])


def _note(trial: "Trial", settings: Train, history: list[dict[str, float]], state: str) -> None:
    best = best_epoch(history)
    line = history[best - 1] if history else {}
    scores = {name: line.get(f"validation/{name}") for name in ("accuracy@1", "map")}
    about = {"run": settings.run, "state": state, **scores, "best_epoch": best, "epochs": len(history)}
    trial.set_user_attr("result", about)


def _draw(trial: "Trial", name: str, knob: Knob) -> str | int | float | bool | None:
    if knob.choices is not None:
        return trial.suggest_categorical(name, knob.choices)
    low, high = knob.ends
    if knob.whole:
        return trial.suggest_int(name, int(low), int(high), log=knob.log)
    return trial.suggest_float(name, low, high, log=knob.log)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
