"""What the trials of a search say."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from browser import needs_browser, opened, stands_alone
from lookalike.experiments.search_settings import TuneError
from lookalike.reports.search_page import write
from lookalike.settings.training import Train
from lookalike.training.fit import DivergedError
from searches import by_scale, search_with


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
