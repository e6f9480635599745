"""The page about a model: its figures are those of a count by hand, and it opens in a browser."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from browser import asked, faint_texts, needs_browser, opened, stands_alone
from lookalike import Dataset
from lookalike.cli.main import main
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.inference.bundle import load_bundle
from lookalike.reports.model_page import page, sentence
from lookalike.reports.model_report import Report
from lookalike.terminal import show

Gathered = Callable[[Path | Dataset, str], Report]


def points_of(written: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="points">(.*?)</script>', written, re.DOTALL)
    assert block
    data: dict[str, Any] = json.loads(block[1])
    return data


def test_the_page_holds_everything_and_stands_alone(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", f"bundle={bundle_path}", f"data.root={digits}", "umap=false"]) == 0
    file = tmp_path / "reports/tiny-validation.html"
    assert "written: reports/tiny-validation.html" in capsys.readouterr().out
    written = file.read_text()
    assert stands_alone(written)
    for section in ("metrics", "curves", "classes", "worst", "best", "similarities", "map", "card"):
        assert f'id="s-{section}"' in written
    assert 'id="s-cameras"' not in written, "there are no cameras"
    data = points_of(written)
    assert len(data["points"]) == 20 + 50
    assert all(len(flat) == 2 * 70 and min(flat) >= 0 and max(flat) <= 1 for flat in data["layouts"].values())
    for thumb in data["thumbs"]:
        assert cv2.imdecode(np.frombuffer(base64.b64decode(thumb), np.uint8), cv2.IMREAD_COLOR).shape == (56, 56, 3)
    assert load_bundle(bundle_path).fingerprint in written
    assert "5 classes are asked for; 5 of them took part in" in written


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(page(report))
    seen = opened(file, tmp_path)
    assert ">70 points drawn</span>" in seen, "written by the page's own script"
    drawn = seen.partition('<svg id="map"')[2].partition("</svg>")[0]
    assert drawn.count("<circle") + drawn.count("<path") == 70
    assert seen.count("<svg") == 7


def test_equal_embeddings_give_a_page(built: Callable[..., Report], digits: Path) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    equal = np.zeros((50, 16), np.float32)
    equal[:, 0] = 1
    report = built(manifest, protocol, equal[:20], equal)
    assert (report.map.layouts["PCA"] == 0.5).all()
    assert "UMAP" not in report.map.layouts
    written = page(report).decode()
    assert stands_alone(written)
    assert "20.0 % of 20 queries" in written


def test_a_label_makes_no_line_of_the_sentence(
    built: Callable[..., Report], digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "validation"):
        shutil.copytree(digits / split, tmp_path / split)
        (tmp_path / split / "digit 0").rename(tmp_path / split / "digit 0\nwritten: FAKE LINE\n  lookalike: fine")
    manifest = read_manifest(tmp_path)
    equal = np.zeros((50, 16), np.float32)
    equal[:, 0] = 1
    text = sentence(built(manifest, manifest.protocol("validation"), equal[:20], equal))
    assert r"digit 1 for digit 0\nwritten: FAKE LINE\n  lookalike: fine (4 times)" in text
    show(text)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_cameras_have_a_table(gathered: Gathered, digits: Path, tmp_path: Path) -> None:
    table = read_manifest(digits).table.assign(ignore=False)
    table = table[table["split"] != "test"]
    table["path"] = [str(digits / path) for path in table["path"]]
    table["camera"] = np.arange(len(table)) % 3 + 1
    table["role"] = np.where(table["split"] == "validation", "query", "reference")
    table["split"] = "test"
    table[["path", "label", "split", "role", "camera"]].to_csv(tmp_path / "seen.csv", index=False)
    written = page(gathered(tmp_path / "seen.csv", "test")).decode()
    cameras = written.partition('id="s-cameras"')[2].partition("</section>")[0]
    assert cameras.count("<tr>") == 1 + 6, "three cameras, references of another one"


def test_a_picture_that_went_missing_leaves_a_gap(report: Report, tmp_path: Path) -> None:
    gone = replace(report, manifest=Manifest(tmp_path, report.manifest.table))
    written = page(gone).decode()
    assert "no picture" in written
    assert set(points_of(written)["thumbs"]) == {""}


def test_names_of_classes_are_text(built: Callable[..., Report], digits: Path) -> None:
    """HTML, the end of a script, formulas of matplotlib, letters that no font has, lines."""
    names = ["<i>&'\"", "</script><b>", "a$_$b", "果物", "x\n\t"]
    table = read_manifest(digits).table
    table["label"] = table["label"].map(dict(zip(sorted(set(table["label"])), names, strict=True)))
    manifest = Manifest(digits, table)
    protocol = manifest.protocol("validation")
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(len(rows), 8)).astype(np.float32) for rows in (protocol.queries, protocol.references)]
    queries, references = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
    written = page(built(manifest, protocol, queries, references)).decode()
    assert "<i>" not in written
    assert "<b></" not in written.replace("<b>a$_$b</b>", "")
    assert written.count("</script>") == 2
    assert set(points_of(written)["labels"]) == set(names)


def test_the_sentence_warns_of_train_and_of_copies(gathered: Gathered, digits: Path, tmp_path: Path) -> None:
    learnt = sentence(gathered(digits, "train"))
    assert learnt.endswith("The model learnt these very images by heart: this says nothing about new ones.")
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    shutil.copyfile(*(next((root / split / "digit 0").iterdir()) for split in ("train", "validation")))
    kept = gathered(Dataset(root, keep_copies=True), "validation")
    assert "1 queries are also among the references" in sentence(kept)
    assert "also among the references" not in sentence(gathered(root, "validation")), "they are left out"


def test_the_sentence_tells_result_and_mistakes(report: Report) -> None:
    words = sentence(report)
    value = report.identification.result.metrics["accuracy@1"]
    assert words.startswith(
        f"{100 * value:.1f} % of 20 queries are named rightly by their nearest image (95 % interval"
    )
    assert "Most often it takes digit" in words
    assert words.endswith("The epoch was chosen on these images, so this is somewhat optimistic.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=page.pdf"], r"output=page\.pdf: expected a file ending in \.html"),
        (["bundle=nowhere"], r"nowhere"),
        (["split=train", "data.root=nowhere"], r"nowhere"),
        (["splt=test"], r"splt: unknown setting; did you mean split"),
    ],
)
def test_wrong_use_is_one_line(
    bundle_path: Path,
    digits: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", f"bundle={bundle_path}", f"data.root={digits}", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.html"))


@needs_browser
def test_the_map_chooses_a_class_and_a_heading_sorts(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(page(report))
    script = """
        const label = document.getElementById("label");
        label.value = "2";
        label.dispatchEvent(new Event("change"));
        const faint = document.querySelectorAll("#map .faint").length;
        const heads = [...document.querySelectorAll(".sort th")], rows = () =>
          [...document.querySelectorAll(".sort tbody tr")].map(row => row.cells[3].textContent);
        const accuracy = heads.findIndex(head => head.textContent === "accuracy@1");
        heads[accuracy].click();
        const down = rows();
        heads[accuracy].dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
        const names = [...label.options].map(option => option.text);
        return JSON.stringify({ faint, names, down, up: rows(), sorted: heads[accuracy].ariaSort });
    """
    seen = json.loads(asked(script, file, tmp_path))
    assert seen["names"] == ["all", *(f"digit {place}" for place in range(5))]
    assert seen["faint"] == 4 * (4 + 10), "four other classes of four queries and ten references"
    accuracies = sorted(f"{value:.4f}" for value in report.per_class()["accuracy@1"])
    assert (seen["down"], seen["up"]) == (accuracies[::-1], accuracies)
    assert seen["sorted"] == "ascending"


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_on_its_paper(report: Report, tmp_path: Path, dark: bool) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(page(report))
    assert faint_texts(file, tmp_path, dark=dark) == []


@needs_browser
def test_a_script_that_got_into_a_page_does_not_run(report: Report, tmp_path: Path) -> None:
    """Not that one could: the policy is the second wall."""
    file = tmp_path / "report.html"
    intruder = '<script>document.title = "ran"</script><img src="x" onerror="document.title = 1">'
    file.write_text(page(report).decode().replace("</body>", f"{intruder}</body>"))
    with pytest.raises(AssertionError, match="Content Security Policy"):
        opened(file, tmp_path)


@needs_browser
def test_tables_of_figures_have_no_box_of_their_own_and_print_whole(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    text = page(report).decode()
    script = """
        const cut = [...document.querySelectorAll(".scroll")].filter(box => box.scrollHeight > box.clientHeight + 1);
        const svg = document.querySelector('[aria-label="which classes are taken for which"] svg');
        const frame = svg.getBoundingClientRect();
        const clipped = [...svg.querySelectorAll("text")].filter(element => {
          const place = element.getBoundingClientRect();
          return place.left < frame.left - 1 || place.right > frame.right + 1;
        });
        const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
        return JSON.stringify([cut.length, clipped.map(element => element.textContent), wide]);
    """
    for shown in (text, text.replace("@media print", "@media all")):
        file.write_text(shown)
        assert json.loads(asked(script, file, tmp_path)) == [0, [], 0]
    dark = text.partition("prefers-color-scheme")[0].rpartition("@media")[2]
    assert "screen" in dark, "paper is light whatever the reader prefers"
