"""What a search found: its trials, the best of them, and which settings matter."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from lookalike.experiments.search_settings import UNFROZEN, TuneError, settings_of
from lookalike.experiments.study import PLACES, ended_trials, given_attribute
from lookalike.settings.check import flat
from lookalike.settings.verbs import TuneCommand

if TYPE_CHECKING:
    from optuna import Study

_IMPORTANT = 10  # finished trials that importance needs


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
        start = self.trials[self.trials["given"] & (self.trials["state"] == "finished")]
        beside = ""
        if len(start):
            reached = start["score"].iloc[0]
            alike = "the same" if reached == best["score"] and not best["given"] else f"{reached:.4f}"
            beside = (
                "; these are the settings as given" if best["given"] else f"; the settings as given reached {alike}"
            )
        ended = self.trials["state"].where(self.trials["state"].isin(["finished", "pruned"]), "failed").value_counts()
        ends = ", ".join(f"{count} {state}" for state, count in ended.items())
        return (
            f"Best validation {self.title} of {len(self.trials)} runs ({ends}): {best['score']:.4f}, run {best['run']}"
            f"{beside}. The best of many is flattered by chance: compare it with other settings on several seeds."
        )


def conclude(settings: TuneCommand, study: "Study", base: dict[str, Any]) -> Search:
    """What the trials of a study say.

    Args:
        settings: Of the search.
        study: Its trials.
        base: The settings of training in the command, by group.

    Raises:
        TuneError: No run was finished.
    """
    ended = ended_trials(study)
    rows = [
        {
            "number": trial.number,
            "given": False,
            **trial.user_attrs.get("result", {}),
            **given_attribute(trial),
            **trial.params,
        }
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
    chosen = flat(settings_of(settings.name, base, params).model_dump(mode="json"))
    chosen = {name: value for name, value in chosen.items() if not name.startswith((*PLACES, "loss.name"))}
    names = {"model.trainable" if name == UNFROZEN else name for name in params}
    drawn = {name: value for name, value in chosen.items() if name in names}
    best = {"loss": settings.loss.name, **{name: value for name, value in chosen.items() if name not in names}}
    importance = _importance(study)
    return Search(settings.name, settings.objective, table.reset_index(drop=True), importance, drawn, best)


def _importance(study: "Study") -> dict[str, float]:
    """How much each setting sets the best runs apart; empty where there is too little to say so."""
    finished = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(finished) < _IMPORTANT or len({trial.value for trial in finished}) == 1:
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {str(name): float(value) for name, value in shares.items()}
