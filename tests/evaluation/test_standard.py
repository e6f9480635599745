"""What papers print, by the protocol of each data set: drawn galleries against a plain loop, and the real verbs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike.data.layouts.registry import LAYOUTS
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.assessment import Assessment, assess
from lookalike.evaluation.identify import Rules
from lookalike.evaluation.standard import draw, first_view, standard_figures
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from made_layouts import MADE, VEHICLES, Pictures

VEHICLEID = next(entry for entry in LAYOUTS if entry.name == "vehicleid")


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


def measured(encoder: Encoder, root: Path, rules: Rules = Rules()) -> Assessment:  # noqa: B008 - frozen
    return assess(encoder, "tiny", read_manifest(root), "test", rules, {})


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
        assert all(figure.mean == assessment.metrics[key] for key, figure in made.figures["test"].items())
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
        reason = "camera_rule, rerank or pool is another"
        assert f"not as papers on market1501 measure it, as {reason}" in capsys.readouterr().err


def test_the_first_view_is_of_the_largest_test() -> None:
    protocol, embeddings = drawable(list("aabbccdd"), ["test_list_800"] * 4 + ["test_list_2400"] * 4)
    drawn, _, _ = first_view(VEHICLEID.standard, protocol, embeddings)
    assert set(drawn.references["label"]) == {"c", "d"}
