"""A search for the settings that validate best: Optuna draws them, `train` runs them. It never looks at the test split.

The study is kept in `study.db` of the output folder after every epoch, a run in its checkpoint: a killed search goes on
inside the run that was killed, and no finished run is run again.
"""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import timm

from lookalike.bundle import Bundle
from lookalike.checkpoint import best_epoch
from lookalike.errors import LookalikeError, did_you_mean
from lookalike.loss_settings import setting_names
from lookalike.manifest import read_data
from lookalike.models.embedder import HEAD_NAMES, stage_names
from lookalike.progress import say
from lookalike.search_space import Knob
from lookalike.settings import Train, TuneCommand, check, flat
from lookalike.train import Abandoned, DivergedError

UNFROZEN = "model.unfrozen"  # no setting of training: it stands for model.trainable
_UNPRUNED = (5, 2)  # trials, and epochs of a trial, that are never pruned
_FREE = ("logger", "resume", "run", "models_dir", "checkpoint_dir", "trials", "output", "data.root", "data.exclude")

Watch = Callable[[list[dict[str, float]]], bool]
Run = Callable[[Train, Watch], Bundle]


class TuneError(LookalikeError):
    """The search cannot start or go on."""


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        name: Of the search.
        objective: What was maximised: accuracy@1 or map of validation.
        trials: A row per trial that ended, best first: number, run, state (finished, pruned, diverged), score,
            accuracy@1, map, best_epoch, epochs, and a column per setting drawn.
        importance: Setting -> share of the score's variation it explains (fANOVA); empty with few trials.
        command: Arguments of `train` of the best trial.
    """

    name: str
    objective: str
    trials: pd.DataFrame
    importance: dict[str, float]
    command: dict[str, str]

    @property
    def settings(self) -> list[str]:
        """Columns of what was drawn."""
        return [column for column in self.trials.columns if "." in column]

    @property
    def sentence(self) -> str:
        """The best, beside what the search started from."""
        best = self.trials.iloc[0]
        first = self.trials[self.trials["number"] == 0]
        title = "mAP" if self.objective == "map" else self.objective
        given = f"; the settings as given reached {first['score'].iloc[0]:.4f}" if len(first) else ""
        states = self.trials["state"].value_counts()
        told = ", ".join(f"{count} {state}" for state, count in states.items())
        return (
            f"Best validation {title} of {len(self.trials)} runs ({told}): {best['score']:.4f}, run {best['run']}"
            f"{given}. The best of many is flattered by chance: compare it with other settings on several seeds."
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
    base = {name: value for name, value in settings.model_dump().items() if name in Train.model_fields}
    knobs = _checked(settings, base)
    study = _open(optuna, settings, output, knobs)
    _take_up(optuna, study)
    if not study.trials:
        study.enqueue_trial(_as_given(base, knobs))
    while (ended := len(_ended(study))) < settings.trials:
        trial = study.ask()
        drawn = {name: _draw(trial, name, knob) for name, knob in knobs.items()}
        one = _settings(settings.name, base, drawn)
        told = ", ".join(f"{name.rpartition('.')[2]} {_told(value)}" for name, value in drawn.items())
        say(f"trial {ended + 1} of {settings.trials}: {one.run} ({told})")
        _run(optuna, study, trial, one, run, settings)
    return conclude(settings, study, base)


def conclude(settings: TuneCommand, study: Any, base: dict[str, Any]) -> Search:
    """The table of what a study found.

    Raises:
        TuneError: No run of it was finished.
    """
    rows = []
    for trial in _ended(study):
        about = trial.user_attrs.get("result", {})
        state = about.pop("state", "finished")
        rows.append({"number": trial.number, "state": state, "score": trial.value, **about, **trial.params})
    table = pd.DataFrame(rows)
    if table.empty or not (table["state"] == "finished").any():
        raise TuneError(
            f"{settings.name}: no run was finished, so nothing is known: lower the learning rates of tune=, or give "
            "more trials"
        )
    order = table.assign(last=table["state"] != "finished")
    table = table.loc[order.sort_values(["last", "score", "map"], ascending=[True, False, False], kind="stable").index]
    best = table.iloc[0]
    drawn = next(trial.params for trial in _ended(study) if trial.number == best["number"])
    command = {"loss": settings.loss.name, **{name: _text(value) for name, value in drawn.items()}}
    if command.pop(UNFROZEN, None) is not None:
        command["model.trainable"] = _text(_trainable(base["model"]["backbone"], int(drawn[UNFROZEN])))
    return Search(settings.name, settings.objective, table.reset_index(drop=True), _importance(study), command)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise TuneError(f"tune needs optuna ({error}): pip install 'lookalike[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _checked(settings: TuneCommand, base: dict[str, Any]) -> dict[str, Knob]:
    """The knobs that the chosen loss has, every end of every range tried against the settings of training."""
    every, own = setting_names(), setting_names(settings.loss.name)
    knobs = {}
    for name, knob in settings.tune.knobs().items():
        group, _, setting = name.partition(".")
        if group == "loss":
            if setting not in every:
                raise TuneError(f"tune.{name}: no loss has such a setting{did_you_mean(setting, sorted(every))}")
            if setting not in own:
                continue
        for value in knob.extremes():
            _settings("check", base, {name: value})
        knobs[name] = knob
    if not knobs:
        raise TuneError(f"tune: nothing to draw for loss {settings.loss.name}: choose another tune=, or add a setting")
    return knobs


def _open(optuna: Any, settings: TuneCommand, output: Path, knobs: dict[str, Knob]) -> Any:
    """The study, made or found again; one of other settings is refused."""
    output.mkdir(parents=True, exist_ok=True)
    values = {**settings.model_dump(mode="json"), "tune": {name: knob.model_dump() for name, knob in knobs.items()}}
    about = {name: value for name, value in flat(values).items() if not name.startswith(_FREE)}
    about["data_fingerprint"] = read_data(**settings.data.model_dump()).fingerprint()
    about = json.loads(json.dumps(about))
    file = output / "study.db"
    try:
        # A constant seed would draw the same again after every restart.
        study = optuna.create_study(
            study_name=settings.name, storage=f"sqlite:///{file}", direction="maximize", load_if_exists=True
        )
        known = study.user_attrs.get("about")
    except Exception as error:  # whatever SQLAlchemy raises for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TuneError(f"{file}: cannot be used ({reason}): move it away, or give name=<another>") from error
    if known is None:
        study.set_user_attr("about", about)
    elif changed := sorted(name for name in known.keys() | about.keys() if known.get(name) != about.get(name)):
        what = "; ".join(f"{name} was {known.get(name)}, is {about.get(name)}" for name in changed[:4])
        raise TuneError(
            f"search {settings.name} was begun with other settings: {what}; go back to them to go on, or give "
            "name=<another>"
        )
    startup, warmup = _UNPRUNED
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials))
    study.pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=warmup)
        if settings.prune
        else optuna.pruners.NopPruner()
    )
    return study


def _take_up(optuna: Any, study: Any) -> None:
    """Trials that a killed session left are run first, with the same settings: their runs go on from checkpoints."""
    states = optuna.trial.TrialState
    waiting = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(states=(states.WAITING,))]
    for trial in study.get_trials(states=(states.RUNNING,)):
        if trial.params not in waiting:
            study.enqueue_trial(trial.params)
        study.tell(trial.number, state=states.FAIL)


def _ended(study: Any) -> list[Any]:
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def _run(optuna: Any, study: Any, trial: Any, one: Train, run: Run, settings: TuneCommand) -> None:
    """One trial, from its first epoch or from its checkpoint."""
    states, reported = optuna.trial.TrialState, set()

    def watch(history: list[dict[str, float]]) -> bool:
        for line in history:
            if line["epoch"] not in reported:
                trial.report(line[f"validation/{settings.objective}"], int(line["epoch"]))
                reported.add(line["epoch"])
        _note(trial, one, history, "pruned")
        return bool(trial.should_prune())

    try:
        history = run(one, watch).config["training"]["history"]
    except Abandoned:
        say(f"{one.run}: pruned, most others were better at this epoch")
        study.tell(trial, state=states.PRUNED)
        return
    except DivergedError as error:
        say(f"{one.run}: {error}")
        _note(trial, one, [], "diverged")
        study.tell(trial, state=states.PRUNED)
        return
    _note(trial, one, history, "finished")
    study.tell(trial, history[best_epoch(history) - 1][f"validation/{settings.objective}"])


def _note(trial: Any, one: Train, history: list[dict[str, float]], state: str) -> None:
    best = best_epoch(history)
    line = history[best - 1] if history else {}
    scores = {name: line.get(f"validation/{name}") for name in ("accuracy@1", "map")}
    about = {"run": one.run, "state": state, **scores, "best_epoch": best, "epochs": len(history)}
    trial.set_user_attr("result", about)


def _draw(trial: Any, name: str, knob: Knob) -> Any:
    if knob.choices is not None:
        return trial.suggest_categorical(name, knob.choices)
    low, high = knob.extremes()
    draw = trial.suggest_int if knob.whole else trial.suggest_float
    return draw(name, low, high, log=knob.log)


def _settings(search_name: str, base: dict[str, Any], drawn: dict[str, Any]) -> Train:
    """The settings of one run; its name comes from what was drawn, so that the same draw is the same run."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in base.items()}
    for name, value in drawn.items():
        group, _, setting = name.partition(".")
        if name == UNFROZEN:
            setting, value = "trainable", _trainable(base["model"]["backbone"], int(value))
        values[group][setting] = value
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:8]
    return check(Train, {**values, "run": f"{search_name}-{digest}"})  # type: ignore[no-any-return]


def _trainable(backbone: str, unfrozen: int) -> list[str]:
    """The last stages of a backbone, in the order they run, and the head."""
    stages = _stages(backbone)
    return [*stages[len(stages) - unfrozen :], "head"]


def _stages(backbone: str) -> list[str]:
    names = stage_names(timm.create_model(backbone, pretrained=False, num_classes=0))
    return [name for name in names if name not in HEAD_NAMES and not any(n.startswith(f"{name}.") for n in names)]


def _as_given(base: dict[str, Any], knobs: dict[str, Knob]) -> dict[str, Any]:
    """What the settings of the command are in terms of the knobs, where that lies within their ranges."""
    given = flat(base)
    if UNFROZEN in knobs:
        counts = range(len(_stages(base["model"]["backbone"])) + 1)
        alike = [n for n in counts if set(_trainable(base["model"]["backbone"], n)) == set(base["model"]["trainable"])]
        given[UNFROZEN] = alike[0] if alike else None
    found = {}
    for name, knob in knobs.items():
        value, ends = given.get(name), knob.extremes()
        inside = value in ends if knob.choices is not None else value is not None and ends[0] <= value <= ends[1]
        if inside:
            found[name] = value
        else:
            say(f"tune.{name}: {value} is outside of what may be drawn, so the first trial draws another")
    return found


def _importance(study: Any) -> dict[str, float]:
    """How much of the score's variation each setting explains; empty where there is too little to say so."""
    import optuna

    finished = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    fewest = 10
    if len(finished) < fewest or len({trial.value for trial in finished}) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        except (ImportError, RuntimeError, ValueError):  # no scikit-learn, or settings that never varied
            return {}
    return {str(name): float(value) for name, value in found.items()}


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    """A value as it is typed on the command line."""
    return f"[{','.join(value)}]" if isinstance(value, list) else str(value)
