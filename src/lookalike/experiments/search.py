"""A search for the settings that validate best: Optuna draws them, `train` runs them. It never looks at the test split.

The study is kept in `study.db` of the output folder after every epoch, a run in its checkpoint: a killed search goes on
inside the run that was killed, and no finished run is run again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lookalike.console import say
from lookalike.datamodules.sampler import SamplerError
from lookalike.errors import ModelError
from lookalike.experiments.search_result import Search, conclude
from lookalike.experiments.search_settings import TuneError, as_given, checked_knobs, settings_of
from lookalike.experiments.study import (
    database_errors_told,
    ended_trials,
    import_optuna,
    open_study,
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
    optuna = import_optuna()
    if settings.resume == "never":
        raise TuneError("resume=never: a search always goes on where it stopped: give name=<another> to start over")
    base = {name: value for name, value in settings.model_dump().items() if name in Train.model_fields}
    knobs = checked_knobs(settings, base)
    with database_errors_told(optuna, output / "study.db"):
        study = open_study(optuna, settings, output, knobs)
        take_up_killed_trials(optuna, study)
        if not study.trials:
            given = as_given(base, knobs)
            study.enqueue_trial(given, user_attrs={"given": len(given) == len(knobs)})
        repeats = 0
        while (ended := len(ended_trials(study))) < settings.trials and repeats < _REPEATS:
            trial = study.ask()
            drawn = {name: _draw(trial, name, knob) for name, knob in knobs.items()}
            one = settings_of(settings.name, base, drawn)
            if any(other.user_attrs["result"]["run"] == one.run for other in ended_trials(study)):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                repeats += 1
                continue
            repeats = 0
            told = ", ".join(f"{name.rpartition('.')[2]} {_told(value)}" for name, value in drawn.items())
            say(f"trial {trial.number} ({ended + 1} of {settings.trials}): {one.run} ({told})")
            _run(optuna, study, trial, one, run, settings.objective)
        if repeats:
            say(f"{ended} of {settings.trials} trials: nothing that was not drawn before is drawn any more")
        return conclude(optuna, settings, study, base)


def _run(optuna: Any, study: Any, trial: Any, one: Train, run: Run, objective: str) -> None:
    """One trial, from its first epoch or from its checkpoint; one that cannot be trained ends."""
    pruned = optuna.trial.TrialState.PRUNED
    seen: list[dict[str, float]] = []

    def watch(history: list[dict[str, float]]) -> bool:
        for line in history[len(seen) :]:
            trial.report(line[f"validation/{objective}"], int(line["epoch"]))
        seen[:] = history
        _note(trial, one, seen, "pruned")
        return bool(trial.should_prune())

    try:
        watch(run(one, watch).config.training.history)
    except Abandoned:
        say(f"{one.run}: pruned, most others were better at this epoch")
        study.tell(trial, state=pruned)
    except _NOT_TRAINABLE as error:
        reason = str(error).splitlines()[0]
        say(f"{one.run}: {reason}")
        _note(trial, one, seen, f"failed: {reason}")
        study.tell(trial, state=pruned)
    else:
        _note(trial, one, seen, "finished")
        study.tell(trial, seen[best_epoch(seen) - 1][f"validation/{objective}"])


def _note(trial: Any, one: Train, history: list[dict[str, float]], state: str) -> None:
    best = best_epoch(history)
    line = history[best - 1] if history else {}
    scores = {name: line.get(f"validation/{name}") for name in ("accuracy@1", "map")}
    about = {"run": one.run, "state": state, **scores, "best_epoch": best, "epochs": len(history)}
    trial.set_user_attr("result", about)


def _draw(trial: Any, name: str, knob: Knob) -> Any:
    if knob.choices is not None:
        return trial.suggest_categorical(name, knob.choices)
    low, high, *_ = knob.samples()
    draw = trial.suggest_int if knob.whole else trial.suggest_float
    return draw(name, low, high, log=knob.log)


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
