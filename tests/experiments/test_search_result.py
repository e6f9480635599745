"""What the trials of a search say."""

import json
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import yaml

from browser import needs_browser, opened, stands_alone
from lookalike.experiments.search_result import conclude
from lookalike.experiments.search_settings import TuneError
from lookalike.experiments.study import open_study
from lookalike.reports.search_page import write
from lookalike.settings.search_space import Knob
from lookalike.settings.training import Train
from lookalike.training.fit import DivergedError
from searches import by_scale, search_with, settings


def test_nothing_finished_is_an_error_that_keeps_the_study(digits: Path, tmp_path: Path) -> None:
    def score(run: Train, epoch: int) -> float:
        raise DivergedError("the loss became nan")

    with pytest.raises(TuneError, match=r"t: no run was finished, so nothing is known \(failed: the loss became nan\)"):
        search_with(score, digits, tmp_path, "trials=2")
    result, ran = search_with(by_scale, digits, tmp_path, "trials=3")
    assert len(ran) == 1
    assert result.trials["state"].tolist() == ["finished", *["failed: the loss became nan"] * 2]
    assert "as given" not in result.sentence, "those failed"


def test_pages_stand_alone(digits: Path, tmp_path: Path) -> None:
    result, _ = search_with(by_scale, digits, tmp_path, "trials=12")
    files = write(result, tmp_path)
    assert [file.name for file in files] == ["tune.md", "tune.csv", "tune.html", "best.yaml"]
    page = (tmp_path / "tune.html").read_text()
    assert stands_alone(page)
    assert page.count("<svg") == 1 + len(result.settings)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == result.drawn | result.best
    assert json.loads(pd.read_csv(tmp_path / "tune.csv").to_json(orient="records"))[0]["run"] == result.trials["run"][0]
    assert f"lookalike train --config {tmp_path / 'best.yaml'} data.root=..." in (tmp_path / "tune.md").read_text()


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(digits: Path, tmp_path: Path) -> None:
    result, _ = search_with(by_scale, digits, tmp_path, "trials=3")
    write(result, tmp_path)
    assert "Best validation accuracy@1 of 3 runs" in opened(tmp_path / "tune.html", tmp_path)


def study_of(output: Path, root: Path, scores: list[float]) -> optuna.Study:
    """Finished trials whose score is a function of one of two settings."""
    study = open_study(settings(root), output, {"loss.scale": Knob(low=5, high=64)})
    for number, score in enumerate(scores):
        trial = study.ask({"loss.scale": optuna.distributions.FloatDistribution(5, 64)})
        about = {"run": f"t-{number}", "state": "finished", "accuracy@1": score, "map": score / 2}
        trial.set_user_attr("result", {**about, "best_epoch": 1, "epochs": 2})
        study.tell(trial, score)
    return study


def base_of(root: Path) -> dict[str, Any]:
    return {name: value for name, value in settings(root).model_dump().items() if name in Train.model_fields}


def test_the_table_has_the_best_first_and_equal_scores_by_map(digits: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, digits, [0.3, 0.8, 0.8, 0.1])
    result = conclude(settings(digits), study, base_of(digits))
    assert result.trials["number"].tolist() == [1, 2, 0, 3]
    assert result.trials["score"].equals(result.trials["accuracy@1"])
    assert result.settings == ["loss.scale"]
    assert result.drawn == {"loss.scale": result.trials["loss.scale"][0]}
    assert result.best["loss"] == "arcface"
    assert "run" not in result.best
    assert "data.root" not in result.best
    by_map = conclude(settings(digits, "objective=map"), study, base_of(digits))
    assert by_map.trials["score"].tolist() == [0.4, 0.4, 0.15, 0.05]
    assert by_map.title == "mAP"


def test_importance_needs_ten_trials_that_differ(digits: Path, tmp_path: Path) -> None:
    few, alike, enough = ([0.1 * n for n in range(9)], [0.5] * 12, [0.05 * n for n in range(12)])
    for number, (scores, judged) in enumerate([(few, False), (alike, False), (enough, True)]):
        study = study_of(tmp_path / str(number), digits, scores)
        importance = conclude(settings(digits), study, base_of(digits)).importance
        assert importance == ({"loss.scale": 1.0} if judged else {})


def test_a_study_without_trials_says_so(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="t: no run was finished, so nothing is known"):
        conclude(settings(digits), study_of(tmp_path, digits, []), base_of(digits))
