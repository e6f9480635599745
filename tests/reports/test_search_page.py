"""The files of a search: the same runs in each, and settings that train again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from browser import Elements, asked, faint_texts, needs_browser, opened, stands_alone
from lookalike.experiments.search_result import Search
from lookalike.reports.search_page import command, write

KINDS = ["finished", "finished", "finished", "pruned", "the loss became <nan>"]


@pytest.fixture
def search() -> Search:
    """Three finished runs, one that was ended early, one that failed before its first epoch; best first."""
    scores = [0.9, 0.8, 0.7, 0.5, np.nan]
    trials = pd.DataFrame(
        {
            **{"number": [2, 0, 1, 3, 4], "score": scores, "given": [False, True, False, False, False]},
            **{"run": [f"s-{n}" for n in (2, 0, 1, 3, 4)], "state": KINDS},
            **{"accuracy@1": scores, "map": [value / 2 for value in scores], "best_epoch": 3, "epochs": 4},
            "trainer.learning_rate": [0.01, 0.001, 0.0001, 0.03, 0.1],
            "trainer.batch_size": [8, 16, 8, 16, 8],
            "model.trainable": ["layer4", "all", "fc", "fc", "all"],
        }
    )
    drawn = {"trainer.learning_rate": 0.01, "trainer.batch_size": 8, "model.trainable": ["layer4"]}
    return Search("<s>", "accuracy@1", trials, {}, drawn, {"loss": "arcface", "data.seed": 0})


def page_of(search: Search, folder: Path) -> str:
    write(search, folder)
    return (folder / "tune.html").read_text(encoding="utf-8")


def test_every_run_has_a_row_in_each_file(search: Search, tmp_path: Path) -> None:
    page = page_of(search, tmp_path)
    heads = ["trial", "run", "state", "accuracy@1", "mAP", "best epoch", "epochs"]
    heads += ["learning_rate", "batch_size", "trainable"]
    [table] = Elements(page).tables
    assert table[0] == heads
    assert table[1] == ["2", "s-2", "finished", "0.9000", "0.4500", "3", "4", "0.01", "8", "layer4"]
    assert table[5] == ["4", "s-4", "the loss became <nan>", "", "", "3", "4", "0.1", "8", "all"]
    lines = re.findall(r"^\| (.*) \|$", (tmp_path / "tune.md").read_text(), re.MULTILINE)
    assert [line.split(" | ") for line in (lines[0], *lines[2:])] == table
    assert lines[1] == "--: | --- | --- | --: | --: | --: | --: | --: | --: | --:"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tune.csv"), search.trials)


def test_best_settings_that_a_person_changed_are_kept(search: Search, tmp_path: Path) -> None:
    write(search, tmp_path)
    (tmp_path / "best.yaml").write_text("trainer: {learning_rate: 5}")
    (tmp_path / "tune.csv").write_text("mine")
    write(replace(search, name="other"), tmp_path)
    assert [file.read_text() for file in tmp_path.glob("best.yaml.*")] == ["trainer: {learning_rate: 5}"]
    assert [file.read_text() for file in tmp_path.glob("tune.csv.*")] == ["mine"]
    assert not list(tmp_path.glob("tune.html.*"))


def test_every_setting_has_a_plot_with_plain_numbers(search: Search, tmp_path: Path) -> None:
    page = page_of(search, tmp_path)
    plots = page.split('<div class="plot"')[1:]
    assert len(plots) == 1 + 3
    [rate] = [plot for plot in plots if "against trainer.learning_rate" in plot]
    assert {"0.0001", "0.001", "0.01"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", rate)), "a logarithm"
    assert "mathdefault" not in page
    [progress] = [plot for plot in plots if "in the order they ran" in plot]
    assert {"finished", "ended early", "best so far"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", progress))
    assert stands_alone(page)


def test_what_sets_the_best_apart_is_told_where_it_is_known(search: Search, tmp_path: Path) -> None:
    sentence = "What sets the best runs apart from the others (PED-ANOVA): trainer.learning_rate 75 %, x 25 %."
    assert "PED-ANOVA" not in page_of(search, tmp_path)
    assert (tmp_path / "tune.md").read_text().endswith("|\n")
    weighed = replace(search, importance={"trainer.learning_rate": 0.75, "x": 0.25})
    assert sentence in page_of(weighed, tmp_path)
    assert (tmp_path / "tune.md").read_text().endswith(f"|\n\n{sentence}\n")


def test_names_are_data(search: Search, tmp_path: Path) -> None:
    page = page_of(search, tmp_path / "it's <b>")
    assert "<title>Search &lt;s&gt;</title>" in page
    assert not {"s", "b", "nan"} & set(Elements(page).tags)


def test_the_best_settings_train_again(search: Search, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    files = write(search, folder)
    assert files == [folder / name for name in ("tune.md", "tune.csv", "tune.html", "best.yaml")]
    assert yaml.safe_load((folder / "best.yaml").read_text()) == search.drawn | search.best
    assert command(folder) == f"lookalike train --config '{folder / 'best.yaml'}' data.root=..."
    assert command(folder) in (folder / "best.yaml").read_text()


@needs_browser
def test_headings_sort_numbers_as_numbers_and_leave_gaps_last(search: Search, tmp_path: Path) -> None:
    script = """
        const heads = [...document.querySelectorAll(".sort th")];
        const rows = () => [...document.querySelectorAll(".sort tbody tr")];
        const click = title => {
          const place = heads.findIndex(head => head.textContent === title);
          heads[place].click();
          return rows().map(row => row.cells[place].textContent);
        };
        return JSON.stringify(["mAP", "mAP", "learning_rate", "trainable", "trainable"].map(click));
    """
    page_of(search, tmp_path)
    down, up, rates, names, names_up = json.loads(asked(script, tmp_path / "tune.html", tmp_path))
    assert down == ["0.4500", "0.4000", "0.3500", "0.2500", ""]
    assert up == ["0.2500", "0.3500", "0.4000", "0.4500", ""]
    assert rates == ["0.1", "0.03", "0.01", "0.001", "0.0001"]
    assert names == names_up[::-1] == ["layer4", "fc", "fc", "all", "all"]


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_errors_and_can_be_read(search: Search, tmp_path: Path, dark: bool) -> None:
    page_of(search, tmp_path)
    assert "Best validation accuracy@1 of 5 runs" in opened(tmp_path / "tune.html", tmp_path, dark=dark)
    assert faint_texts(tmp_path / "tune.html", tmp_path, dark=dark) == []
