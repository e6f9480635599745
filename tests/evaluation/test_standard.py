"""What papers print, by the protocol of each data set: drawn galleries against a plain loop, and the real verbs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike.data.layouts.layout import Standard
from lookalike.data.layouts.registry import LAYOUTS
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.assessment import Assessment, assess
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Rules
from lookalike.evaluation.standard import draw, first_view, standard_figures
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from made_layouts import MADE, VEHICLES, Pictures

VEHICLEID = next(entry for entry in LAYOUTS if entry.name == "vehicleid")


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


def measured(encoder: Encoder, root: Path, rules: Rules = Rules(), **selection: bool) -> Assessment:  # noqa: B008 - frozen
    return assess(encoder, "tiny", read_manifest(root, **selection), "test", rules, {})


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    return embeddings.astype(float) / np.linalg.norm(embeddings.astype(float), axis=1, keepdims=True)


def plain_figures(similarity: np.ndarray, right: np.ndarray, out: np.ndarray, depths: list[int]) -> dict[str, float]:
    """Mean cmc@k and average precision (rectangles) of the queries that something answers, all bool or float [Q, R]."""
    rows = []
    for near, good, left_out in zip(similarity, right, out, strict=True):
        order = [place for place in np.argsort(-near, kind="stable") if not left_out[place]]
        hits = good[order]
        if hits.any():
            ranks = np.flatnonzero(hits) + 1
            precision = np.mean(np.arange(1, len(ranks) + 1) / ranks)
            rows.append([float(precision), *(float(ranks[0] <= depth) for depth in depths)])
    means = np.mean(rows, axis=0)
    return dict(zip(["map", *(f"cmc@{depth}" for depth in depths)], means, strict=True))


def plain_single(assessment: Assessment, standard: Standard) -> dict[str, float]:
    """What a data set with one gallery must have, out of names and embeddings alone."""
    sides = assessment.protocol.queries, assessment.protocol.references
    same, alike = (
        sides[0][fact].to_numpy(object)[:, None] == sides[1][fact].to_numpy(object) for fact in ("label", "camera")
    )
    out = (same & alike & standard.camera_rule) | (sides[1]["label"].to_numpy(object) == "-1")[None]
    out |= sides[0]["path"].to_numpy(object)[:, None] == sides[1]["path"].to_numpy(object)
    queries, references = (unit_rows(side) for side in (assessment.embedded.queries, assessment.embedded.references))
    depths = [int(name.partition("@")[2]) for name in standard.metrics if "@" in name]
    made = plain_figures(queries @ references.T, same & ~out, out, depths)
    return {name: made[name] for name in standard.metrics}


def drawable(labels: list[str], tests: list[str]) -> tuple[Protocol, np.ndarray]:
    table = pd.DataFrame(
        {
            "path": [f"{number}.jpg" for number in range(len(labels))],
            "label": labels,
            "camera": pd.array([pd.NA] * len(labels), "Int64"),
            "ignore": False,
            "tests": tests,
        }
    )
    embeddings = np.random.default_rng(7).normal(size=(len(labels), 8)).astype(np.float32)
    return Protocol(table, table, np.arange(len(labels))), embeddings


def test_drawn_galleries_give_what_a_plain_loop_gives() -> None:
    """Nearest of one random image of each label: the share that is right, its mean and deviation over ten draws."""
    labels = [str(number % 9) for number in range(60)] + ["alone"]
    tests = ["test_list_800 test_list_1600" if number < 30 else "test_list_1600" for number in range(61)]
    protocol, embeddings = drawable(labels, tests)
    manifest = Manifest(Path(), protocol.references, layout="vehicleid", standard=VEHICLEID.standard)
    made = standard_figures(manifest, Rules(), protocol=protocol, references=embeddings)
    assert made
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for test, count in (("test_list_800", 30), ("test_list_1600", 61)):
        rates = []
        for seed in range(10):
            drawn, queries, references = draw(protocol, embeddings, test, seed)
            gallery = [int(path.removesuffix(".jpg")) for path in drawn.references["path"]]
            assert sorted(labels[row] for row in gallery) == sorted(set(labels[:count]))
            asking = [row for row in range(count) if row not in gallery]
            assert [int(path.removesuffix(".jpg")) for path in drawn.queries["path"]] == asking
            assert np.array_equal(queries, embeddings[asking])
            assert np.array_equal(references, embeddings[gallery])
            nearest = [gallery[int(np.argmax(unit[gallery] @ unit[row]))] for row in asking]
            rates.append(np.mean([labels[near] == labels[row] for near, row in zip(nearest, asking, strict=True)]))
        figure = made.figures[test]["cmc@1"]
        assert figure.mean == pytest.approx(np.mean(rates), abs=1e-12)
        assert figure.deviation == pytest.approx(np.std(rates, ddof=1), abs=1e-12)
        assert figure.deviation > 0
    assert made.references == {"test_list_800": 9, "test_list_1600": 10}
    assert (made.draws, list(made.figures["test_list_800"])) == (10, ["cmc@1", "cmc@5", "map"])


def test_the_same_seed_draws_the_same_gallery_and_another_another() -> None:
    protocol, embeddings = drawable([str(number % 4) for number in range(40)], [""] * 40)
    first, again, other = (
        draw(protocol, embeddings, "test", seed)[0].references["path"].tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_junk_takes_no_part_and_labels_of_one_image_cannot_be_drawn_from() -> None:
    protocol, embeddings = drawable(["a", "a", "b", "b"], [""] * 4)
    table = protocol.references.assign(ignore=[False, True, False, True])
    with pytest.raises(ManifestError, match="no label has two images, so that one could answer and another ask"):
        draw(Protocol(table, table, np.arange(4)), embeddings, "test", 0)


@pytest.mark.parametrize("name", MADE)
def test_every_layout_is_measured_by_its_own_protocol(
    name: str, encoder: Encoder, tmp_path: Path, pictures: Pictures
) -> None:
    assessment = measured(encoder, MADE[name](tmp_path / "data", pictures))
    standard = next(entry for entry in LAYOUTS if entry.name == name).standard
    made = assessment.standard
    assert made
    assert (made.data_set, made.standard, made.draws) == (name, standard, standard.draws or 1)
    for figures in made.figures.values():
        assert list(figures) == list(standard.metrics)
        assert all((figure.deviation is not None) == bool(standard.draws) for figure in figures.values())
    content = json.loads(json.dumps(assessment.to_dict(), allow_nan=False))["standard"]
    assert content["protocol"] == standard.protocol
    assert content["draws"] == made.draws
    assert f"as papers on {name} print it: {standard.protocol}" in str(assessment)
    assert bool(made.named()) == bool(standard.draws)
    if not standard.draws:
        expected = plain_single(assessment, standard)
        assert {key: figure.mean for key, figure in made.figures["test"].items()} == pytest.approx(expected, abs=1e-12)
    assert assessment.identification.result.conditions.camera_rule == standard.camera_rule


def test_vehicles_are_drawn_of_each_list(encoder: Encoder, tmp_path: Path, pictures: Pictures) -> None:
    assessment = measured(encoder, MADE["vehicleid"](tmp_path, pictures))
    made = assessment.standard
    assert made
    assert made.references == {"test_list_800": 2, "test_list_1600": 3}
    assert len(assessment.protocol.queries) == len(VEHICLES) - 3, "tables are of the largest list"
    assert len(assessment.embedded.references) == 3
    assert "drawn with seed 0" in assessment.protocol.text
    assert "mean and standard deviation of 10 random galleries" in str(assessment)
    assert {"standard/test_list_800/cmc@1", "standard/test_list_1600/map_deviation"} <= set(made.named())


@pytest.mark.parametrize("keep_copies", [False, True])
def test_copies_are_drawn_as_they_are_in_the_papers(
    keep_copies: bool, encoder: Encoder, tmp_path: Path, pictures: Pictures
) -> None:
    """Whatever `keep_copies` says: every listed image takes part in the ten galleries, copies of one file, too."""
    root = MADE["vehicleid"](tmp_path, pictures)
    for copy in ("0000001", "0000005"):  # of their own vehicle, and of another one
        shutil.copyfile(root / "image" / "0000003.jpg", root / "image" / f"{copy}.jpg")
    manifest = replace(read_manifest(root), keep_copies=keep_copies)
    embeddings = unit_rows(embed_protocol(encoder, manifest, manifest.protocol("test"))[1])
    labels = np.array([*VEHICLES.values()])
    rates = []
    for seed in range(10):
        gallery: dict[str, int] = {}
        for row in np.random.default_rng(seed).permutation(len(labels)):
            gallery.setdefault(labels[row], int(row))
        answers = [gallery[label] for label in sorted(gallery)]
        asking = [row for row in range(len(labels)) if row not in answers]
        right = labels[asking][:, None] == labels[answers]
        rates.append(plain_figures(embeddings[asking] @ embeddings[answers].T, right, np.zeros_like(right), [1, 5]))
    assessment = measured(encoder, root, keep_copies=keep_copies)
    made = assessment.standard
    assert made
    for name, figure in made.figures["test_list_1600"].items():
        assert figure.mean == pytest.approx(np.mean([rate[name] for rate in rates]), abs=1e-6)
        assert figure.deviation == pytest.approx(np.std([rate[name] for rate in rates], ddof=1), abs=1e-6)
    assert len(assessment.protocol.queries) == 3
    assert len(assessment.protocol.references) == 3
    assert assessment.protocol.copies > 0, "tables are of a gallery with a copy of a query"
    what = "still answer, so figures are too good" if keep_copies else "left out"
    assert f"copies of {assessment.protocol.copies} queries among the references {what}" in str(assessment)


@pytest.mark.parametrize("keep_copies", [False, True])
def test_tracklets_of_copies_answer_as_they_do_in_the_papers(
    keep_copies: bool, encoder: Encoder, tmp_path: Path, pictures: Pictures
) -> None:
    root = MADE["mars"](tmp_path, pictures)
    folder = root / "bbox_test" / "0002"
    shutil.copyfile(folder / "0002C3T0005F002.jpg", folder / "0002C1T0004F001.jpg")
    assessment = measured(encoder, root, keep_copies=keep_copies)
    made = assessment.standard
    assert made
    assert assessment.protocol.copies == 1
    expected = plain_single(assessment, made.standard)
    assert {key: figure.mean for key, figure in made.figures["test"].items()} == pytest.approx(expected, abs=1e-12)


def test_tracklets_ask_and_answer(encoder: Encoder, tmp_path: Path, pictures: Pictures) -> None:
    assessment = measured(encoder, MADE["mars"](tmp_path, pictures))
    assert len(assessment.protocol.queries) == 2
    assert len(assessment.embedded.references) == 6, "tracklets, junk and distractor among them"
    assert assessment.identification.result.counts["ignored"] == 1
    assert (assessment.protocol.own_row >= 0).all()
    # Tracklet 3 finds 5; 5 finds 3, which asks, too, and 4.
    assert assessment.identification.result.per_query["positives"].tolist() == [1, 2]


def test_other_rules_are_not_what_papers_print(
    encoder: Encoder, tmp_path: Path, pictures: Pictures, capsys: pytest.CaptureFixture[str]
) -> None:
    root = MADE["market1501"](tmp_path, pictures)
    for rules in (Rules(camera_rule=False), Rules(rerank="expand")):
        assessment = measured(encoder, root, rules)
        assert assessment.standard is None
        assert "standard" not in assessment.to_dict()
        reason = "camera_rule, a rule of times, rerank or pool is another"
        assert f"not as papers on market1501 measure it, as {reason}" in capsys.readouterr().err


def test_the_first_view_is_of_the_largest_test() -> None:
    protocol, embeddings = drawable(list("aabbccdd"), ["test_list_800"] * 4 + ["test_list_2400"] * 4)
    manifest = Manifest(Path(), protocol.references, layout="vehicleid", standard=VEHICLEID.standard)
    drawn, _, _ = first_view(manifest, protocol, embeddings)
    assert set(drawn.references["label"]) == {"c", "d"}
