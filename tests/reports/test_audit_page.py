"""The page of an audit: what it shows of each finding, and the list that a person takes from it."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from audits import untrained
from browser import Elements, asked, faint_texts, needs_browser, opened, stands_alone
from lookalike.auditing.audit import Audit, audit
from lookalike.auditing.findings_table import KINDS
from lookalike.data.reading import survey_data
from lookalike.export.untrained import identity
from lookalike.reports.audit_page import page

HOSTILE = "<b>&'again\".png"


@pytest.fixture(scope="module")
def spoilt(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Copies in two splits and in one, a file that is no image, a wide picture, a name that is HTML."""
    home = tmp_path_factory.mktemp("audit")
    root = home / "data"
    shutil.copytree(digits, root)
    first, second, *_ = sorted((root / "train" / "digit 0").iterdir())
    shutil.copyfile(first, root / "test" / "digit 0" / HOSTILE)
    shutil.copyfile(second, root / "train" / "digit 0" / "twice.png")
    (root / "train" / "digit 1" / "empty.png").touch()
    wide = np.random.default_rng(0).integers(0, 255, (40, 400, 3)).astype(np.uint8)
    cv2.imwrite(str(root / "train" / "digit 2" / "wide.png"), wide)
    manifest, problems = survey_data(str(root))
    return audit(manifest, problems, untrained, identity(), home)


def written(spoilt: Audit, folder: Path) -> Path:
    file = folder / "audit.html"
    file.write_bytes(page(spoilt))
    return file


def card_of(text: str, name: str) -> str:
    """The card about a file."""
    [card] = [card for card in text.split('<div class="card">')[1:] if f"/{name} out</label>" in card]
    return card


def test_it_shows_every_kind_that_was_found_and_counts_it(spoilt: Audit) -> None:
    text = page(spoilt).decode()
    assert stands_alone(text)
    counts = spoilt.findings["kind"].value_counts()
    assert {"copy", "unusable", "aspect"} <= set(counts.index)
    sections = re.findall(r'<section id="(\w+)">\s*<h2>(.*?) \((\d+)\)</h2>', text)
    assert sections == [(kind, KINDS[kind][0], str(counts[kind])) for kind in KINDS if kind in counts]
    assert re.findall(r'<a href="#(\w+)">.*? <b>(\d+)</b></a>', text) == [(key, count) for key, _, count in sections]
    usable = int(spoilt.facts.usable.sum())
    assert f"{len(spoilt.rows)} images, {usable} of them usable, 5 classes." in text
    assert usable == len(spoilt.rows) - 1


def test_copies_in_two_splits_are_called_leaks_and_no_others(spoilt: Audit) -> None:
    text = page(spoilt).decode()
    copies = spoilt.findings[spoilt.findings["kind"] == "copy"]
    assert copies["reason"].tolist().count("leak: train and test") == 1
    for row in copies.to_dict("records"):
        card = card_of(text, Path(row["path"]).name)
        assert ('class="leak"' in card) == row["reason"].startswith("leak")
        assert card.count("<figure") == 2
    leaks = spoilt.findings["reason"].str.startswith("leak")
    assert text.count('class="leak"') == leaks.sum()


def test_names_are_data(spoilt: Audit) -> None:
    text = page(spoilt).decode()
    seen = Elements(text)
    assert "&lt;b&gt;&amp;&#x27;again&quot;.png" in text
    assert HOSTILE not in text
    findings = int(spoilt.findings["kind"].value_counts().clip(upper=60).sum())
    kinds = spoilt.findings["kind"].nunique()
    assert seen.tags.count("b") == findings + kinds, "a title per finding, a count per kind"


def test_pictures_have_the_shape_of_their_images(spoilt: Audit) -> None:
    text = page(spoilt).decode()
    assert re.search(r'<img width="96" height="10" alt="train/digit 2/wide.png" src="data:image/jpeg;base64,', text)
    assert re.search(r'<img width="96" height="96" alt="train/digit 0/twice.png"', text)
    empty = card_of(text, "empty.png")
    assert "no picture" in empty
    assert "<img" not in empty


def test_figures_of_leaks_are_those_of_the_audit(spoilt: Audit) -> None:
    columns = ["split", "queries", "accuracy", "copies", "without_copies", "scenes", "without_scenes"]
    leaks = pd.DataFrame([["test", 21, 0.5, 1, 0.45, 21, float("nan")]], columns=columns)
    assert spoilt.leaks.columns.tolist() == columns
    [table] = Elements(page(replace(spoilt, leaks=leaks)).decode()).tables
    assert table[1] == ["test", "21", "0.5000", "1", "0.4500", "21", "none left"]
    assert Elements(page(replace(spoilt, leaks=leaks.iloc[:0])).decode()).tables == []


def test_of_many_findings_the_first_are_shown(spoilt: Audit) -> None:
    many = pd.concat([spoilt.findings[spoilt.findings["kind"] == "copy"].iloc[:1]] * 61)
    text = page(replace(spoilt, findings=many)).decode()
    assert "The first 60 are shown, all are in audit.parquet." in text
    assert text.count('<div class="card">') == 60
    assert "The first" not in page(replace(spoilt, findings=many.iloc[:60])).decode()


def test_nothing_found_is_said(spoilt: Audit) -> None:
    text = page(replace(spoilt, findings=spoilt.findings.iloc[:0])).decode()
    assert "Nothing was found." in text
    assert "<nav" not in text


@needs_browser
def test_what_a_person_chooses_is_what_is_saved(spoilt: Audit, tmp_path: Path) -> None:
    """Every finding of copies by the button, one of them taken back, another kind by its box."""
    script = """
        const saved = [], save = document.getElementById("save"), count = document.getElementById("count");
        window.Blob = class { constructor(parts) { saved.push(parts.join("")); } };
        URL.createObjectURL = () => "#";
        const before = save.disabled;
        document.querySelector("#copy .every").click();
        document.querySelector("#copy input").click();
        document.querySelector("#unusable input").click();
        save.click();
        return JSON.stringify({ before, after: save.disabled, count: count.textContent, saved });
    """
    seen = json.loads(asked(script, written(spoilt, tmp_path), tmp_path))
    assert (seen["before"], seen["after"]) == (True, False)
    [table] = seen["saved"]
    lines = list(csv.reader(io.StringIO(table)))
    copies = spoilt.findings[spoilt.findings["kind"] == "copy"].iloc[1:]
    unusable = spoilt.findings[spoilt.findings["kind"] == "unusable"].iloc[:1]
    expected = [
        [row["path"], f"{row['kind']}: {row['reason']}"] for row in pd.concat([copies, unusable]).to_dict("records")
    ]
    assert lines == [["path", "reason"], *expected]
    assert seen["count"] == f"{len(expected)} images chosen"


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_errors_and_can_be_read(spoilt: Audit, tmp_path: Path, dark: bool) -> None:
    file = written(spoilt, tmp_path)
    assert ">0 images chosen</span>" in opened(file, tmp_path, dark=dark)
    assert faint_texts(file, tmp_path, dark=dark) == []


@needs_browser
def test_long_names_stay_inside_their_card(spoilt: Audit, tmp_path: Path) -> None:
    """Names without a place to break, of files, labels and folders: nothing crosses a border, the page is no wider."""
    long = "IMG_20240612_" + "averylongname" * 12
    file = tmp_path / "audit.html"
    text = page(spoilt).decode()
    for name in ["twice.png", "digit 0", "digit 1", "digit 2", "empty.png", "wide.png"]:
        text = text.replace(name, long)
    file.write_text(text)
    script = """
        const crossing = [...document.querySelectorAll(".card *")].filter(element => {
          const border = element.closest(".card").getBoundingClientRect().right;
          return element.getBoundingClientRect().right > border || element.scrollWidth > element.clientWidth + 1
            && getComputedStyle(element).display !== "inline";
        });
        return JSON.stringify([document.querySelectorAll(".card").length, crossing.map(element => element.outerHTML),
          document.documentElement.scrollWidth - document.documentElement.clientWidth]);
    """
    cards, crossing, wider = json.loads(asked(script, file, tmp_path))
    assert cards > 0
    assert crossing == []
    assert wider <= 0
