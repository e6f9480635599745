"""The page about a model: its figures are those of a count by hand, and it opens in a browser."""

import base64
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from browser import needs_browser, opened, stands_alone
from lookalike.cli.main import main
from lookalike.data.dataset import read_manifest
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.evaluation.identify import Rules, identify
from lookalike.inference.bundle import load_bundle
from lookalike.reports.map import lay_out
from lookalike.reports.model_page import page, sentence
from lookalike.reports.model_report import Report, gather
from lookalike.reports.similarities import BINS, compare_similarities

EXACT = {"camera_rule": True, "umap": False, "device": "cpu", "precision": "float32"}


def data_of(root: Path) -> dict[str, Any]:
    return {"root": str(root), "validation_share": 0.0, "seed": 0, "archive": None, "exclude": None}


@pytest.fixture(scope="module")
def report(bundle_path: Path, digits: Path) -> Report:
    return gather(bundle_path, data_of(digits), "validation", **EXACT)


def built(bundle: Path, manifest: Manifest, protocol: Protocol, queries: np.ndarray, references: np.ndarray) -> Report:
    """A report of given embeddings."""
    found = identify(queries, references, protocol, Rules())
    similarities = compare_similarities(queries, references, protocol, True)
    flat = lay_out(queries, references, protocol, True)
    return Report(load_bundle(bundle), manifest, protocol, "validation", found, similarities, flat)


def points_of(written: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="points">(.*?)</script>', written, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
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


def test_classes_and_mistakes_are_those_of_a_count(report: Report) -> None:
    per_query = report.identification.result.per_query
    table = report.per_class().set_index("label")
    assert table["references"].tolist() == [10] * 5
    for label, row in table.iterrows():
        of_label = per_query[per_query["label"] == label]
        assert row["accuracy@1"] == pytest.approx((of_label["predicted"] == label).mean())
    mistakes = report.mistakes()
    assert mistakes["count"].sum() == (per_query["predicted"] != per_query["label"]).sum()
    assert (mistakes["label"] != mistakes["predicted"]).all()
    assert mistakes["count"].is_monotonic_decreasing
    assert (mistakes["share"] == mistakes["count"] / 4).all()


def test_best_and_worst_queries(report: Report) -> None:
    per_query = report.identification.result.per_query
    best, worst = report.best(12), report.worst(12)
    labels = per_query.loc[best, "label"]
    assert labels.is_unique
    assert (per_query.loc[best, "predicted"] == labels).all()
    assert per_query.loc[worst, "map"].is_monotonic_increasing
    assert per_query.loc[worst[0], "map"] == per_query["map"].min()


def protocol_with_everything(rng: np.random.Generator) -> Protocol:
    """Cameras, missing cameras, ignored references, and queries that are references themselves."""

    def rows(count: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "path": [f"{i}.jpg" for i in range(count)],
                "label": rng.choice(list("abcd"), count),
                "camera": pd.array(rng.choice([1, 2, None], count), dtype="Int64"),
                "ignore": rng.random(count) < 0.2,
            }
        )

    own = np.where(rng.random(300) < 0.3, rng.integers(0, 90, 300), -1)
    return Protocol(rows(90), rows(300).assign(ignore=False), own, "text")


@pytest.mark.parametrize("rule", [True, False])
def test_similarities_are_those_of_all_valid_pairs(rule: bool) -> None:
    rng = np.random.default_rng(0)
    protocol = protocol_with_everything(rng)
    both = [rng.normal(size=(count, 8)).astype(np.float32) for count in (300, 90)]
    queries, references = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in both)
    found = compare_similarities(queries, references, protocol, rule)
    genuine, impostor = [], []
    asked, known = protocol.queries.to_dict("records"), protocol.references.to_dict("records")
    for i, query in enumerate(asked):
        for_query: dict[bool, list[float]] = {True: [], False: []}
        for j, reference in enumerate(known):
            same = query["label"] == reference["label"]
            seen = not pd.isna(query["camera"]) and query["camera"] == reference["camera"]
            if not (reference["ignore"] or protocol.own_row[i] == j or (rule and same and seen)):
                for_query[same].append(float(queries[i] @ references[j]))
        assert found.nearest_genuine[i] == pytest.approx(max(for_query[True]), abs=1e-5)
        genuine += for_query[True]
        impostor += for_query[False]
    for counts, values in ((found.genuine, genuine), (found.impostor, impostor)):
        assert counts.sum() == len(values)
        expected = np.histogram(values, BINS, (-1, 1))[0]
        assert np.abs(counts.cumsum() - expected.cumsum()).max() <= 1, "one may fall to either side of an edge"


def test_a_query_without_its_label_has_no_genuine_pair() -> None:
    rows = pd.DataFrame({"path": ["a", "b"], "label": ["a", "b"], "camera": [None, None], "ignore": False})
    protocol = Protocol(rows.iloc[1:], rows.iloc[:1], np.array([-1]), "")
    found = compare_similarities(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32), protocol, True)
    assert np.isnan(found.nearest_genuine[0])
    assert found.impostor.sum() == 1
    assert found.genuine.sum() == 0


def test_the_map_keeps_distances_of_a_plane_and_samples_what_is_many() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(500, 2)) * [3, 1]
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0][:2]
    points = (flat @ turn).astype(np.float32)
    rows = pd.DataFrame({"path": [str(i) for i in range(500)], "ignore": False})
    found = lay_out(points[:100], points[100:], Protocol(rows[100:], rows[:100], np.full(100, -1), ""), umap=False)
    assert list(found.layouts) == ["PCA"]
    ours = found.layouts["PCA"]
    distances = [np.linalg.norm(part[:, None] - part[None], axis=2)[np.triu_indices(500, 1)] for part in (flat, ours)]
    np.testing.assert_allclose(distances[1] / distances[1].max(), distances[0] / distances[0].max(), atol=1e-3)
    many = np.repeat(points, 10, axis=0)
    rows = pd.DataFrame({"path": [str(i) for i in range(5000)], "ignore": False})
    found = lay_out(many[:2500], many[2500:], Protocol(rows[2500:], rows[:2500], np.full(2500, -1), ""), umap=False)
    assert ((found.query >= 0).sum(), (found.reference >= 0).sum()) == (2000, 1000)
    assert found.drawn_from == (2500, 2500)
    assert len(np.unique(found.query)) == 2000 + 1


def test_umap_keeps_classes_together(bundle_path: Path, digits: Path) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    rng = np.random.default_rng(0)
    centres = {label: rng.normal(size=16) * 4 for label in manifest.labels}

    def near(rows: pd.DataFrame) -> np.ndarray:
        points = np.stack([centres[label] + rng.normal(size=16) for label in rows["label"]])
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    found = built(bundle_path, manifest, protocol, near(protocol.queries), near(protocol.references))
    flat = found.map.layouts["UMAP"]
    labels = np.concatenate([protocol.queries["label"], protocol.references["label"]])
    nearest = np.linalg.norm(flat[:, None] - flat[None], axis=2) + 9 * np.eye(len(flat))
    assert (labels[nearest.argmin(1)] == labels).mean() > 0.9


def test_equal_embeddings_give_a_page(bundle_path: Path, digits: Path) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    equal = np.zeros((50, 16), np.float32)
    equal[:, 0] = 1
    found = built(bundle_path, manifest, protocol, equal[:20], equal)
    assert (found.map.layouts["PCA"] == 0.5).all()
    assert "UMAP" not in found.map.layouts
    written = page(found).decode()
    assert stands_alone(written)
    assert "20.0 % of 20 queries" in written


def test_cameras_have_a_table(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    table = read_manifest(digits).table.assign(ignore=False)
    table = table[table["split"] != "test"]
    table["path"] = [str(digits / path) for path in table["path"]]
    table["camera"] = np.arange(len(table)) % 3 + 1
    table["role"] = np.where(table["split"] == "validation", "query", "reference")
    table["split"] = "test"
    table[["path", "label", "split", "role", "camera"]].to_csv(tmp_path / "seen.csv", index=False)
    found = gather(bundle_path, data_of(tmp_path / "seen.csv"), "test", **EXACT)
    written = page(found).decode()
    cameras = written.partition('id="s-cameras"')[2].partition("</section>")[0]
    assert cameras.count("<tr>") == 1 + 6, "three cameras, references of another one"


def test_a_picture_that_went_missing_leaves_a_gap(report: Report, tmp_path: Path) -> None:
    gone = replace(report, manifest=Manifest(tmp_path, report.manifest.table))
    written = page(gone).decode()
    assert "no picture" in written
    assert set(points_of(written)["thumbs"]) == {""}


def test_names_of_classes_are_text(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    """HTML, the end of a script, formulas of matplotlib, letters that no font has, lines."""
    names = ["<i>&'\"", "</script><b>", "a$_$b", "果物", "x\n\t"]
    table = read_manifest(digits).table
    table["label"] = table["label"].map(dict(zip(sorted(set(table["label"])), names, strict=True)))
    manifest = Manifest(digits, table)
    protocol = manifest.protocol("validation")
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(len(rows), 8)).astype(np.float32) for rows in (protocol.queries, protocol.references)]
    queries, references = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
    written = page(built(bundle_path, manifest, protocol, queries, references)).decode()
    assert "<i>" not in written
    assert "<b></" not in written.replace("<b>a$_$b</b>", "")
    assert written.count("</script>") == 2
    assert set(points_of(written)["labels"]) == set(names)


def test_the_sentence_warns_of_train_and_of_copies(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    known = gather(bundle_path, data_of(digits), "train", **EXACT)
    assert sentence(known).endswith("The model learnt these very images by heart: this says nothing about new ones.")
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    shutil.copyfile(*(next((root / split / "digit 0").iterdir()) for split in ("train", "validation")))
    assert "1 queries are also among the references" in sentence(
        gather(bundle_path, data_of(root), "validation", **EXACT)
    )


def test_the_sentence_tells_result_and_mistakes(report: Report) -> None:
    told = sentence(report)
    value = report.identification.result.metrics["accuracy@1"]
    assert told.startswith(f"{100 * value:.1f} % of 20 queries are named rightly by their nearest image (95 % interval")
    assert "Most often it takes digit" in told
    assert told.endswith("The epoch was chosen on these images, so this is somewhat optimistic.")


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
    told = capsys.readouterr().err
    assert re.search(message, told)
    assert told.count("\n") == 1
    assert not list(tmp_path.rglob("*.html"))
