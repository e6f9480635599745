"""The files of a comparison: the same figures in each, and names that are data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from browser import Elements, faint_texts, needs_browser, opened, stands_alone
from lookalike.experiments.comparison import Comparison, MeasuredRun, conclude, tables
from lookalike.reports.comparison_page import write

LABELS = np.repeat(["a", "b", "c"], 20)


def measured(group: str, seed: int, share: float, **about: object) -> MeasuredRun:
    rng = np.random.default_rng([seed, int(100 * share)])
    right = (rng.random(60) < share).astype(float)
    epochs = [{"epoch": float(n), "train/loss": 1 / n, "validation/accuracy@1": share} for n in (1, 2, 2 + seed)]
    facts = {"best_epoch": 2, "epochs": 2, "seconds": 3.0, "parameters": 9, "trained_parameters": 2_500_000}
    per_query = pd.DataFrame(
        {"label": LABELS, "accuracy@1": right, "accuracy@5": right, "map": right / 2, "positives": 1}
    )
    return MeasuredRun(group, seed, f"{group}-s{seed}", {**facts, "history": epochs, **about}, per_query)


def compared(*names: str, **about: object) -> Comparison:
    shares = np.linspace(0.5, 0.9, len(names))
    runs = [measured(name, seed, share, **about) for name, share in zip(names, shares, strict=True) for seed in (0, 1)]
    return conclude(runs, "how it was measured & counted")


def page_of(comparison: Comparison, folder: Path, name: str = "two") -> str:
    write(comparison, folder, name)
    return (folder / "comparison.html").read_text(encoding="utf-8")


def test_the_page_has_the_tables_of_the_comparison(tmp_path: Path) -> None:
    """A name with Markdown's own signs stays in its cell."""
    comparison = compared("arcface", "cos | face", "*triplet*")
    page = page_of(comparison, tmp_path)
    assert Elements(page).tables == [[heads, *rows] for heads, rows in tables(comparison)]
    assert [len(table) for table in Elements(page).tables] == [4, 4]
    assert page.count('<td class="n">') == 3 * 8 + 3 * 4


def test_what_a_person_made_in_its_folder_is_kept(tmp_path: Path) -> None:
    names = ("comparison.md", "comparison.csv", "comparison.png", "comparison.html")
    for name in names:
        (tmp_path / name).write_text("mine")
    write(compared("one", "other"), tmp_path)
    write(compared("one", "third"), tmp_path)
    for name in names:
        assert [file.read_text() for file in tmp_path.glob(f"{name}.*")] == ["mine"]


def test_names_are_data(tmp_path: Path) -> None:
    page = page_of(compared("<x>", "</script>&'\"", "$a_b$"), tmp_path, "<i>name</i>")
    assert "<title>Comparison &lt;i&gt;name&lt;/i&gt;</title>" in page
    assert not {"i", "x", "script"} & set(Elements(page).tags)
    assert page.count("&lt;x&gt;") >= 4, "in the sentence, both tables and both pictures"
    assert "$a_b$" in page
    assert "how it was measured &amp; counted" in page
    assert stands_alone(page)


def test_every_file_is_written_and_returned(tmp_path: Path) -> None:
    comparison = compared("one", "other")
    files = write(comparison, tmp_path)
    names = ["comparison.md", "comparison.csv", "comparison.html", "comparison.png"]
    assert files == [tmp_path / name for name in names]
    text = (tmp_path / "comparison.md").read_text()
    assert text.startswith(comparison.sentence)
    assert text.endswith("how it was measured & counted\n")
    table = pd.read_csv(tmp_path / "comparison.csv")
    pd.testing.assert_frame_equal(table, comparison.table, check_dtype=False)
    picture = np.asarray(Image.open(tmp_path / "comparison.png").convert("RGBA"))
    assert picture[0, 0].tolist() == [255, 255, 255, 255], "on paper of its own, unlike the figures on the page"


def test_what_the_runs_had_in_common_is_told(tmp_path: Path) -> None:
    settings = {
        "data": {"root": "/somewhere/pears"},
        "model": {"backbone": "resnet18"},
        "trainer": {"max_epochs": 4},
    }
    page = page_of(compared("one", "other", settings=settings, arithmetic="32-true"), tmp_path)
    line = "Data: pears. Model: resnet18. Epochs: at most 4.\nArithmetic: 32-true."
    assert line in page
    assert "Data:" not in page_of(compared("one", "other"), tmp_path)


def test_one_setting_alone_has_no_pairs(tmp_path: Path) -> None:
    page = page_of(compared("one"), tmp_path)
    assert len(Elements(page).tables) == 1
    assert page.count("<svg") == 2


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_errors_and_can_be_read(tmp_path: Path, dark: bool) -> None:
    page_of(compared("one", "other", "third"), tmp_path)
    file = tmp_path / "comparison.html"
    assert opened(file, tmp_path, dark=dark).count("<svg") == 2
    assert faint_texts(file, tmp_path, dark=dark) == []
