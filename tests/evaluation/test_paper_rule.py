"""What papers on retrieval benchmarks print, on made sets and through the real verb, against their rules."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike.cli.main import main
from lookalike.data.grades import DIFFICULTIES
from lookalike.data.reading import read_manifest
from lookalike.evaluation.assessment import Assessment, assess
from lookalike.evaluation.identify import Rules
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from made_retrieval import LANDMARKS, MADE, Photographs, revisited

RECALLS = {
    "in-shop": (1, 10, 20, 30, 40, 50),
    "online-products": (1, 10, 100, 1000),
    "cub-200-2011": (1, 2, 4, 8),
    "cars196": (1, 2, 4, 8),
}


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


def measured(encoder: Encoder, root: Path, rules: Rules = Rules(), **selection: bool) -> Assessment:  # noqa: B008 - frozen
    return assess(encoder, "tiny", read_manifest(root, **selection), "test", rules, {})


def recall(assessment: Assessment, k: int, leave_one_out: bool) -> float:
    """The share of all queries of whose k nearest images, itself left out, one has their label."""
    queries, references = (
        side / np.linalg.norm(side, axis=1, keepdims=True)
        for side in (assessment.embedded.queries.astype(float), assessment.embedded.references.astype(float))
    )
    labels = assessment.protocol.references["label"].to_numpy()
    right = []
    for row, label in enumerate(assessment.protocol.queries["label"]):
        similarity = references @ queries[row]
        if leave_one_out:
            similarity[row] = -np.inf
        near = np.argsort(-similarity, kind="stable")[: min(k, len(labels) - leave_one_out)]
        right.append(bool((labels[near] == label).any()))
    return float(np.mean(right))


@pytest.mark.parametrize("name", RECALLS)
def test_recall_is_that_of_the_papers(name: str, encoder: Encoder, tmp_path: Path, photographs: Photographs) -> None:
    assessment = measured(encoder, MADE[name][1](tmp_path, photographs))
    assert assessment.standard
    row = assessment.standard.figures["test"]
    assert list(row) == [f"Recall@{k}" for k in RECALLS[name]]
    for k in RECALLS[name]:
        assert row[f"Recall@{k}"].mean == recall(assessment, k, name != "in-shop")
    said = str(assessment)
    assert f"as papers on {name} print it:" in said
    assert f"test: Recall@1 {row['Recall@1'].mean:.4f}, Recall@" in said
    told = assessment.to_dict()["standard"]
    assert told["names"]["Recall@1"] == "cmc@1"
    assert told["figures"]["test"]["Recall@1"]["mean"] == row["Recall@1"].mean
    low, high = told["figures"]["test"]["Recall@1"]["interval_95"]
    assert low <= row["Recall@1"].mean <= high


def test_a_query_that_nothing_can_answer_is_missed_and_told(
    encoder: Encoder, tmp_path: Path, photographs: Photographs
) -> None:
    root = MADE["online-products"][1](tmp_path, photographs)
    photographs.put(root, "chair_final/alone_0.JPG")
    with (root / "Ebay_test.txt").open("a") as file:
        file.write("59560 22634 3 chair_final/alone_0.JPG\n")
    assessment = measured(encoder, root)
    assert assessment.standard
    assert assessment.standard.figures["test"]["Recall@1000"].mean == 7 / 8
    assert assessment.metrics["cmc@20"] == 1  # which leaves it out
    assert "; 1 queries that no reference can answer are missed" in str(assessment)
    assert assessment.to_dict()["standard"]["queries_without_positive"] == 1


@pytest.mark.parametrize("keep_copies", [False, True])
def test_copies_answer_as_they_do_in_the_papers(
    keep_copies: bool, encoder: Encoder, tmp_path: Path, photographs: Photographs
) -> None:
    """Whatever `keep_copies` says, which decides about all other figures."""
    root = MADE["online-products"][1](tmp_path, photographs)
    first, second = (root / "chair_final" / f"151952108602_{number}.JPG" for number in (0, 1))
    shutil.copyfile(first, second)
    assessment = measured(encoder, root, keep_copies=keep_copies)
    assert assessment.standard
    for k in (1, 10):
        assert assessment.standard.figures["test"][f"Recall@{k}"].mean == recall(assessment, k, leave_one_out=True)
    assert assessment.protocol.copies == 2


@pytest.mark.parametrize("suffix", [".pkl", ".json"])
def test_revisited_figures_are_those_of_the_authors_rule(
    suffix: str, encoder: Encoder, tmp_path: Path, photographs: Photographs
) -> None:
    assessment = measured(encoder, revisited(tmp_path, photographs, suffix))
    assert assessment.standard
    row = assessment.standard.figures["test"]
    asked = assessment.protocol.queries["path"].tolist()
    rows = {Path(path).stem: place for place, path in enumerate(assessment.protocol.references["path"])}
    unit = [
        side / np.linalg.norm(side, axis=1, keepdims=True)
        for side in (assessment.embedded.queries.astype(float), assessment.embedded.references.astype(float))
    ]
    for difficulty in DIFFICULTIES:
        figures = []
        for name, part in zip(LANDMARKS["qimlist"], LANDMARKS["gnd"], strict=True):
            right = {"easy": part["easy"], "medium": part["easy"] + part["hard"], "hard": part["hard"]}[difficulty]
            others = {"easy": part["hard"], "medium": [], "hard": part["easy"]}[difficulty]
            sides = (right, part["junk"] + others)
            ok, junk = ([rows[LANDMARKS["imlist"][place]] for place in places] for places in sides)
            order = np.argsort(-(unit[1] @ unit[0][asked.index(f"jpg/{name}.jpg")]), kind="stable")
            places = [place for place, at in enumerate([at for at in order if at not in junk]) if at in ok]
            if places:
                parts = [((n / p if p else 1) + (n + 1) / (p + 1)) / 2 for n, p in enumerate(places)]
                depth = min(places[-1] + 1, 5)
                figures.append((np.mean(parts), sum(p < depth for p in places) / depth))
        assert len(figures) == {"easy": 2, "medium": 3, "hard": 3}[difficulty]
        area, precision = np.mean(figures, axis=0)
        assert row[f"map_{difficulty}"].mean == pytest.approx(area, abs=1e-12)
        assert row[f"mp@5_{difficulty}"].mean == pytest.approx(precision, abs=1e-12)
    assert assessment.standard.without_positive == 1
    assert "; 1 queries that no reference can answer are left out" in str(assessment)


def test_another_order_is_no_figure_of_the_papers(
    encoder: Encoder, tmp_path: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = MADE["in-shop"][1](tmp_path, photographs)
    assert measured(encoder, root, Rules(rerank="expand")).standard is None
    assert "not as papers on in-shop measure it" in capsys.readouterr().err


def test_eval_prints_and_writes_them_without_a_setting(
    bundle_path: Path, tmp_path: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = MADE["cub-200-2011"][1](tmp_path / "birds", photographs)
    report = tmp_path / "report.json"
    arguments = [f"bundle={bundle_path}", f"data.root={root}", "split=test", f"output={report}", "worst=0"]
    assert main(["eval", *arguments]) == 0
    made = json.loads(report.read_text())["standard"]
    assert made["source"] == "Oh Song et al., CVPR 2016"
    row = made["figures"]["test"]
    line = ", ".join(f"Recall@{k} {row[f'Recall@{k}']['mean']:.4f}" for k in (1, 2, 4, 8))
    shown = capsys.readouterr()
    assert f"test: {line}   4 references" in shown.out
    assert "read as CUB-200-2011, by images.txt, image_class_labels.txt" in shown.err
