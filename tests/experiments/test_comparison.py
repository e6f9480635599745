"""What the figures of measured runs say."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from browser import needs_browser, opened
from lookalike.errors import LookalikeError
from lookalike.experiments.comparison import conclude, markdown, tables
from lookalike.metrics.paired_tests import Group, compare_groups, holm
from runs_measured import measured


def test_the_sentence_says_what_the_data_can_tell() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([f"class {i}" for i in range(40)], 10)
    runs = [
        measured(name, seed, (rng.random(400) < chance).astype(float), labels)
        for name, chance in (("low", 0.6), ("high", 0.9), ("equal", 0.895))
        for seed in range(3)
    ]
    comparison = conclude(runs, "how")
    best = comparison.table["group"].iloc[0]
    assert best in ("high", "equal")
    assert "better than low by" in comparison.sentence
    assert (
        f"400 queries and 3 seed(s) cannot tell it from {'equal' if best == 'high' else 'high'}" in comparison.sentence
    )
    assert (comparison.tests["p_holm"] >= comparison.tests["p"]).all()


def test_without_runs_or_with_other_queries_nothing_is_compared() -> None:
    with pytest.raises(LookalikeError, match="no finished run to compare"):
        conclude([], "")
    labels = np.array(["a", "b"])
    first, second = measured("x", 0, np.ones(2), labels), measured("y", 0, np.ones(2), labels[::-1])
    with pytest.raises(LookalikeError, match="y-0: measured on other queries than x-0"):
        conclude([first, second], "")


def test_runs_of_two_arithmetics_are_not_compared_unless_asked_for() -> None:
    labels = np.array(["a", "b"])
    runs = [measured(name, 0, np.ones(2), labels) for name in "xy"]
    for run, arithmetic in zip(runs, ("32-true", "bf16-mixed"), strict=True):
        run.about["arithmetic"] = arithmetic
    with pytest.raises(
        LookalikeError, match=r"expected one arithmetic for all runs, got 32-true \(x-0\), bf16-mixed \(y-0\)"
    ):
        conclude(runs, "")
    for run in runs:
        run.about["settings"] = {"trainer": {"precision": run.about["arithmetic"]}}
    assert conclude(runs, "").arithmetic == "arithmetic: 32-true, bf16-mixed", "that is what is compared"
    runs[1].about["arithmetic"] = "32-true"
    told = "arithmetic: 32-true (trainer.precision=32-true gives the same elsewhere)"
    assert told in str(conclude(runs, "")).splitlines()


def test_two_levels_of_chance_cover_the_truth() -> None:
    """Of 60 experiments with equal settings few are told apart; the interval mostly holds the true mean."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(30).astype(str), 6)
    covered = wrong = 0
    for _ in range(60):
        by_label = rng.normal(0, 0.5, 30)[None, :, None]
        groups = []
        for name in ("one", "other"):
            by_seed = rng.normal(0, 0.3, (5, 1, 1))
            chance = 1 / (1 + np.exp(-(1.0 + by_label + by_seed)))
            groups.append(Group(name, (rng.random((5, 30, 6)) < chance).reshape(5, -1).astype(float)))
        intervals, tests = compare_groups(groups, labels)
        truth = float(np.mean(1 / (1 + np.exp(-(1.0 + rng.normal(0, 0.5, 5000) + rng.normal(0, 0.3, 5000))))))
        covered += intervals["one"][0] <= truth <= intervals["one"][1]
        wrong += tests["p"].iloc[0] < 0.05
    assert covered >= 50
    assert wrong <= 8


def test_holm_is_that_of_scipy_for_two_and_of_the_paper() -> None:
    # Holm 1979: the smallest of n is multiplied by n, the next by n - 1, and none falls below one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
    assert stats.false_discovery_control(np.array([0.01]))[0] == holm(np.array([0.01]))[0]


def test_pages_stand_alone(tmp_path: Path) -> None:
    from lookalike.reports.comparison_page import write

    labels = np.repeat(["a", "b", "c"], 20)
    rng = np.random.default_rng(0)
    runs = [
        measured(name, seed, (rng.random(60) < 0.7).astype(float), labels) for name in ("<x>", "y") for seed in (0, 1)
    ]
    line = {"train/loss": 1.0, "validation/accuracy@1": 0.5}
    for run in runs:
        run.about["history"] = [{"epoch": 1.0, **line}, {"epoch": 2.0, **line}]
    files = write(conclude(runs, "how it was measured"), tmp_path)
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("<svg") == 2
    assert "<x>" not in page
    assert "&lt;x&gt;" in page
    assert not any(link in page.replace("http://www.w3.org", "") for link in ("http://", "https://", "<script"))
    assert {file.name for file in files} == {"comparison.md", "comparison.csv", "comparison.html", "comparison.png"}
    assert json.dumps(pd.read_csv(tmp_path / "comparison.csv")["seeds"].tolist()) == "[2, 2]"


def test_a_survivor_is_not_called_the_best() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    runs = [
        measured("lucky", 0, np.ones(60), labels),
        *(measured("steady", s, np.ones(60) * 0.9, labels) for s in (0, 1)),
    ]
    comparison = conclude(runs, "how", {"lucky": 1})
    assert comparison.sentence == (
        "steady has the highest mean accuracy@1 of the settings that lost no run (0.9000). With one seed, what another "
        "seed would change is not measured. 1 of 2 runs of lucky diverged and are left out, so its figure flatters it."
    )
    both = conclude(runs, "how", {"lucky": 1, "steady": 1}).sentence
    assert both.startswith("Every setting lost runs, so none is named the best.")


def test_a_tie_is_called_one() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    right = (np.arange(60) % 3 > 0).astype(float)
    runs = [measured(name, seed, right, labels) for name in ("x", "y") for seed in (0, 1)]
    assert conclude(runs, "how").sentence == (
        "x and y have the highest mean accuracy@1 (0.6667); 60 queries and 2 seed(s) cannot tell them from each other."
    )


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(tmp_path: Path) -> None:
    from lookalike.reports.comparison_page import write

    labels = np.repeat(["a", "b", "c"], 20)
    runs = [measured(name, 0, np.ones(60), labels) for name in ("x", "y")]
    line = {"train/loss": 1.0, "validation/accuracy@1": 0.5}
    for run in runs:
        run.about["history"] = [{"epoch": 1.0, **line}, {"epoch": 2.0, **line}]
    write(conclude(runs, "how"), tmp_path, "two")
    page = opened(tmp_path / "comparison.html", tmp_path)
    assert page.count("<svg") == 2
    assert "60 queries and 1 seed(s) cannot tell them from each other" in page
    assert "<title>Comparison two</title>" in page
    assert "With one seed, what another seed would change is not measured." in page


def test_the_table_is_of_means_over_seeds_and_the_best_first() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    halves, thirds = (np.arange(60) % 2).astype(float), (np.arange(60) % 3 > 0).astype(float)
    runs = [measured("x", 0, halves, labels), measured("x", 1, np.ones(60), labels), measured("y", 0, thirds, labels)]
    comparison = conclude(runs, "how", {"y": 1})
    table = comparison.table.set_index("group")
    assert table.index.tolist() == ["x", "y"]
    assert table.loc["x", ["accuracy@1", "mAP", "seeds", "best_epoch", "seconds"]].tolist() == [0.75, 0.75, 2, 3, 10]
    assert table.loc["x", "spread"] == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert np.isnan(table.loc["y", "spread"]), "one seed has none"
    assert table.loc["x", "low"] < 0.75 < table.loc["x", "high"]
    figures = comparison.figures()
    assert figures["x/accuracy@1"] == 0.75
    assert set(figures) == {f"{group}/{name}" for group in "xy" for name in ("accuracy@1", "low", "high", "mAP")}
    assert comparison.diverged == {"y": 1}


def test_queries_without_a_positive_count_for_accuracy_and_not_for_map() -> None:
    run = measured("x", 0, np.array([1.0, 0.0, 0.0, 1.0]), np.array(list("aabb")))
    run.per_query["positives"] = [1, 1, 0, 0]
    table = conclude([run], "how").table
    assert table[["accuracy@1", "mAP"]].values.tolist() == [[0.5, 0.5]]
    run.per_query["map"] = [1.0, 1.0, 0.0, 0.0]
    assert conclude([run], "how").table["mAP"].tolist() == [1.0]


def test_markdown_has_the_groups_and_their_pairs() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    alone = conclude([measured("x", 0, np.ones(60), labels)], "how")
    assert len(tables(alone)) == 1
    assert alone.sentence.startswith("accuracy@1 1.0000, mean of 1 seed(s); there is nothing to compare.")
    both = conclude([measured(name, 0, np.ones(60), labels) for name in "xy"], "how")
    text = markdown(both)
    assert [line.count("|") for line in text.splitlines() if line] == [10] * 4 + [6] * 3
    assert "| y - x | +0.0000 |" in text or "| x - y | +0.0000 |" in text
    assert str(both).startswith(text)
