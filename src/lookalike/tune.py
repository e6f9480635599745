"""A search for the settings that validate best: Optuna draws them, `train` runs them. It never looks at the test split.

The study is kept in `study.db` of the output folder after every epoch, a run in its checkpoint: a killed search goes on
inside the run that was killed, and no finished run is run again.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lookalike.bundle import Bundle
from lookalike.checkpoint import best_epoch, compare_settings
from lookalike.epoch_lines import Abandoned, Watch
from lookalike.errors import LookalikeError, did_you_mean
from lookalike.loss_settings import setting_names
from lookalike.manifest import read_data
from lookalike.models.embedder import HEAD_NAMES, Embedder, ModelError, stage_names
from lookalike.models.losses import LossError
from lookalike.progress import say
from lookalike.sampler import SamplerError
from lookalike.search_space import Knob
from lookalike.settings import SettingsError, Train, TuneCommand, check, flat
from lookalike.train import FREE, DivergedError

UNFROZEN = "model.unfrozen"  # no setting of training: it stands for model.trainable
_UNPRUNED = (5, 2)  # trials, and epochs of a trial, that are never pruned
_IMPORTANT = 10  # finished trials that importance needs
_REPEATS = 50  # draws in a row that were drawn before: then there is nothing new to draw
_PLACES = ("resume", "logger", "models_dir", "checkpoint_dir", "run", "data.root")
_NOT_TRAINABLE = (DivergedError, SamplerError, ModelError, LossError, torch.OutOfMemoryError)

Run = Callable[[Train, Watch], Bundle]


class TuneError(LookalikeError):
    """The search cannot start or go on."""


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        name: Of the search.
        objective: What was maximised: accuracy@1 or map of validation.
        trials: A row per trial that ended, best first: number, run, state (finished, pruned, or why it failed), score,
            accuracy@1, map, best_epoch, epochs, given (whether it had the settings as given), and a column per setting
            drawn. Scores are of the best epoch.
        importance: Setting -> share of what sets the best runs apart (PED-ANOVA, Watanabe et al. 2023); empty with few.
        drawn: What was drawn for the best run, as settings of training.
        best: All other settings of the best run that training does not take from its place.
    """

    name: str
    objective: str
    trials: pd.DataFrame
    importance: dict[str, float]
    drawn: dict[str, Any]
    best: dict[str, Any]

    @property
    def settings(self) -> list[str]:
        """Columns of what was drawn."""
        return [column for column in self.trials.columns if "." in column]

    @property
    def title(self) -> str:
        """What was maximised, as people write it."""
        return "mAP" if self.objective == "map" else self.objective

    @property
    def sentence(self) -> str:
        """The best, beside what the search started from."""
        best = self.trials.iloc[0]
        given = self.trials[self.trials["given"] & (self.trials["state"] == "finished")]
        beside = ""
        if len(given):
            reached = given["score"].iloc[0]
            alike = "the same" if reached == best["score"] and not best["given"] else f"{reached:.4f}"
            beside = (
                "; these are the settings as given" if best["given"] else f"; the settings as given reached {alike}"
            )
        ended = self.trials["state"].where(self.trials["state"].isin(["finished", "pruned"]), "failed").value_counts()
        told = ", ".join(f"{count} {state}" for state, count in ended.items())
        return (
            f"Best validation {self.title} of {len(self.trials)} runs ({told}): {best['score']:.4f}, run {best['run']}"
            f"{beside}. The best of many is flattered by chance: compare it with other settings on several seeds."
        )


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
    optuna = _optuna()
    if settings.resume == "never":
        raise TuneError("resume=never: a search always goes on where it stopped: give name=<another> to start over")
    base = {name: value for name, value in settings.model_dump().items() if name in Train.model_fields}
    knobs = _checked(settings, base)
    with _kept(optuna, output / "study.db"):
        study = _open(optuna, settings, output, knobs)
        _take_up(optuna, study)
        if not study.trials:
            given = _as_given(base, knobs)
            study.enqueue_trial(given, user_attrs={"given": len(given) == len(knobs)})
        repeats = 0
        while (ended := len(_ended(study))) < settings.trials and repeats < _REPEATS:
            trial = study.ask()
            drawn = {name: _draw(trial, name, knob) for name, knob in knobs.items()}
            one = _settings(settings.name, base, drawn)
            if any(other.user_attrs["result"]["run"] == one.run for other in _ended(study)):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                repeats += 1
                continue
            repeats = 0
            told = ", ".join(f"{name.rpartition('.')[2]} {_told(value)}" for name, value in drawn.items())
            say(f"trial {trial.number} ({ended + 1} of {settings.trials}): {one.run} ({told})")
            _run(optuna, study, trial, one, run, settings.objective)
        if repeats:
            say(f"{ended} of {settings.trials} trials: nothing that was not drawn before is drawn any more")
        return _conclude(optuna, settings, study, base)


def _conclude(optuna: Any, settings: TuneCommand, study: Any, base: dict[str, Any]) -> Search:
    """The table of what a study found."""
    ended = _ended(study)
    rows = [
        {"number": trial.number, "given": False, **trial.user_attrs.get("result", {}), **_given(trial), **trial.params}
        for trial in ended
    ]
    table = pd.DataFrame(rows)
    if table.empty or not (table["state"] == "finished").any():
        why = sorted({str(state) for state in table.get("state", [])})
        raise TuneError(
            f"{settings.name}: no run was finished, so nothing is known ({'; '.join(why)}): lower the learning rates "
            "that may be drawn, or give more trials"
        )
    scores = table["accuracy@1" if settings.objective == "accuracy@1" else "map"]
    table.insert(1, "score", scores)
    order = table.assign(last=table["state"] != "finished")
    table = table.loc[order.sort_values(["last", "score", "map"], ascending=[True, False, False], kind="stable").index]
    number = int(table["number"].iloc[0])
    params = next(trial.params for trial in ended if trial.number == number)
    chosen = flat(_settings(settings.name, base, params).model_dump(mode="json"))
    chosen = {name: value for name, value in chosen.items() if not name.startswith((*_PLACES, "loss.name"))}
    names = {"model.trainable" if name == UNFROZEN else name for name in params}
    drawn = {name: value for name, value in chosen.items() if name in names}
    best = {"loss": settings.loss.name, **{name: value for name, value in chosen.items() if name not in names}}
    importance = _importance(optuna, study)
    return Search(settings.name, settings.objective, table.reset_index(drop=True), importance, drawn, best)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise TuneError(f"tune needs optuna ({error}): pip install 'lookalike[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def _kept(optuna: Any, file: Path) -> Iterator[None]:
    """Says in one line what a database raises: damaged, locked, a full disk."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TuneError(
            f"{file}: cannot be used ({reason}): the same command goes on when that is mended; if the file is damaged, "
            "move it away, or give name=<another>"
        ) from error


def _checked(settings: TuneCommand, base: dict[str, Any]) -> dict[str, Knob]:
    """The knobs that the chosen loss has, their values tried against the settings of training and of their types."""
    every, own = setting_names(), setting_names(settings.loss.name)
    knobs = {}
    for name, knob in settings.tune.knobs().items():
        group, _, setting = name.partition(".")
        if group == "loss" and setting not in every:
            raise TuneError(f"tune.{name}: no loss has such a setting{did_you_mean(setting, sorted(every))}")
        if group == "loss" and setting not in own:
            continue
        try:
            values = [_value(base, name, value) for value in knob.samples()]
        except SettingsError as error:
            hint = "" if knob.whole or knob.choices else "; whole=true draws whole numbers, choices=[...] anything else"
            raise TuneError(f"tune.{name}: {error}{hint}") from None
        knobs[name] = knob.model_copy(update={"choices": values}) if knob.choices is not None else knob
    if not knobs:
        raise TuneError(f"tune: nothing to draw for loss {settings.loss.name}: choose another tune=, or add a setting")
    return knobs


def _value(base: dict[str, Any], name: str, value: Any) -> Any:
    """A value as training takes it, such as 16 for the text "16"."""
    if name == UNFROZEN:
        most = len(_stages(base["model"]["backbone"]))
        if not str(value).isdigit() or int(value) > most:
            raise SettingsError(f"{value}: expected a whole number of stages, at most {most} here")
        return int(value)
    return flat(_settings("check", base, {name: value}).model_dump())[name]


def _open(optuna: Any, settings: TuneCommand, output: Path, knobs: dict[str, Knob]) -> Any:
    """The study, made or found again; one of other settings is refused."""
    output.mkdir(parents=True, exist_ok=True)
    values = {**settings.model_dump(mode="json"), "tune": {name: knob.model_dump() for name, knob in knobs.items()}}
    about = {name: value for name, value in flat(values).items() if not name.startswith((*FREE, *_PLACES))}
    about = {name: value for name, value in about.items() if name not in ("trials", "output")}
    about["data_fingerprint"] = read_data(**settings.data.model_dump()).fingerprint()
    about = json.loads(json.dumps(about))
    place = {"study_name": settings.name, "storage": f"sqlite:///{output / 'study.db'}"}
    study = optuna.create_study(**place, direction="maximize", load_if_exists=True)
    known = study.user_attrs.get("about")
    if known not in (None, about) and not _ended(study):  # nothing was found yet that this could be mixed with
        optuna.delete_study(**place)
        study, known = optuna.create_study(**place, direction="maximize"), None
    if known is None:
        study.set_user_attr("about", about)
    else:
        compare_settings(f"search {settings.name}", known, about, "or give name=<another>")
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


def _take_up(optuna: Any, study: Any) -> None:
    """Trials that a killed session left are run first, with the same settings: their runs go on from checkpoints."""
    states = optuna.trial.TrialState
    waiting = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(states=(states.WAITING,))]
    for trial in study.get_trials(states=(states.RUNNING,)):
        drawn = {
            **trial.system_attrs.get("fixed_params", {}),
            **trial.params,
        }  # those before it drew any, and those it drew
        if drawn not in waiting:
            study.enqueue_trial(drawn, user_attrs=_given(trial))
        study.tell(trial.number, state=states.FAIL)


def _given(trial: Any) -> dict[str, bool]:
    return {"given": bool(trial.user_attrs.get("given", False))}


def _ended(study: Any) -> list[Any]:
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


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
        watch(run(one, watch).config["training"]["history"])
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


def _settings(search_name: str, base: dict[str, Any], drawn: dict[str, Any]) -> Train:
    """The settings of one run; its name comes from what was drawn, so that the same draw is the same run."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in base.items()}
    for name, value in drawn.items():
        group, _, setting = name.partition(".")
        if name == UNFROZEN:
            setting, value = "trainable", _trainable(base["model"]["backbone"], value)
        values[group][setting] = value
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:8]
    return check(Train, {**values, "run": f"{search_name}-{digest}"})  # type: ignore[no-any-return]


def _trainable(backbone: str, unfrozen: int) -> list[str]:
    """The last stages of a backbone, in the order they run, and the head."""
    stages = _stages(backbone)
    return [*stages[len(stages) - unfrozen :], "head"]


@cache
def _stages(backbone: str) -> list[str]:
    names = stage_names(Embedder(backbone).backbone)
    return [name for name in names if name not in HEAD_NAMES and not any(n.startswith(f"{name}.") for n in names)]


def _as_given(base: dict[str, Any], knobs: dict[str, Knob]) -> dict[str, Any]:
    """What the settings of the command are in terms of the knobs, where that lies within their ranges."""
    given = flat(base)
    if UNFROZEN in knobs:
        stages, names = _stages(base["model"]["backbone"]), base["model"]["trainable"]
        opened = [stage for stage in stages if any(stage == name or stage.startswith(f"{name}.") for name in names)]
        last = stages[len(stages) - len(opened) :] == opened and any(name in HEAD_NAMES for name in names)
        given[UNFROZEN] = len(stages) if names == ["all"] else len(opened) if last else None
    found = {}
    for name, knob in knobs.items():
        value, ends = given.get(name), knob.samples()
        inside = value in ends if knob.choices is not None else value is not None and ends[0] <= value <= ends[1]
        if inside:
            found[name] = value
        else:
            told = base["model"]["trainable"] if name == UNFROZEN else value
            say(f"tune.{name}: {told}, as given, is not among what may be drawn, so the first trial draws another")
    return found


def _importance(optuna: Any, study: Any) -> dict[str, float]:
    """How much each setting sets the best runs apart; empty where there is too little to say so."""
    finished = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(finished) < _IMPORTANT or len({trial.value for trial in finished}) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {str(name): float(value) for name, value in found.items()}


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
