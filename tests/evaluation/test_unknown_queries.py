"""Queries of labels that no reference has: counted by hand, in terminal and JSON, and only where there are some."""

import json
import shutil
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.evaluation.assessment import Assessment
from lookalike.evaluation.unknown_queries import UnknownQueries, unknown_queries
from lookalike.inference.bundle import load_bundle
from lookalike.inference.bundle_config import OpenSet
from lookalike.model import Model


@pytest.fixture(scope="module")
def strangers(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits without training images of the last one."""
    root = tmp_path_factory.mktemp("strangers") / "digits"
    shutil.copytree(digits, root)
    shutil.rmtree(root / "train" / "digit 4")
    return root


@pytest.fixture(scope="module")
def assessment(bundle_path: Path, strangers: Path) -> Assessment:
    return Model.load(bundle_path, device="cpu", precision="float32").evaluate(strangers, "validation")


def figures(assessment: Assessment, rate: float | None) -> UnknownQueries:
    """With another threshold in use."""
    assert assessment.open_set is not None
    open_set = assessment.open_set.model_copy(update={"false_accept_rate": rate})
    found = unknown_queries(assessment.identification.result, open_set)
    assert found is not None
    return found


def test_thresholds_do_what_a_count_says(assessment: Assessment, bundle_path: Path) -> None:
    per_query = assessment.identification.result.per_query
    open_set = load_bundle(bundle_path).config.open_set
    found = assessment.unknown_queries
    assert found is not None
    assert (found.enrolled, found.unknown, found.unknown_labels) == (16, 4, 1)
    assert len(found.at_thresholds) == len(open_set.thresholds) == 5
    for entry, threshold in zip(found.at_thresholds, open_set.thresholds, strict=True):
        above = per_query["similarity"] > threshold.similarity
        right = above & (per_query["predicted"] == per_query["label"])
        assert entry.promised == threshold.false_accept_rate
        assert entry.acceptance.unknown_accepted.value == above[per_query["label"] == "digit 4"].mean()
        assert entry.acceptance.named_rightly.value == right[per_query["label"] != "digit 4"].mean()
    assert found.auroc == assessment.metrics["auroc"]
    assert found.detection_rates == {rate: assessment.metrics[f"dir@far{rate:g}"] for rate in (0.01, 0.1)}


def test_terminal_and_json_tell_the_same(assessment: Assessment) -> None:
    used = figures(assessment, 0.1)
    assert used.in_use is not None
    content = json.loads(json.dumps(used.to_dict(), allow_nan=False))
    assert content["balanced_accuracy"] == used.in_use.acceptance.balanced_accuracy
    assert [entry["in_use"] for entry in content["thresholds"]] == [False, False, False, True, False]
    lines = str(used).splitlines()
    assert lines[0] == "unknown: 4 of 20 queries, of 1 label(s) that no reference has"
    (marked,) = [line for line in lines if line.endswith("   in use")]
    assert f"{content['balanced_accuracy']:.3f} (" in marked
    assert marked.split()[:2] == [f"{used.in_use.acceptance.similarity:.3f}", "10"]
    never = figures(assessment, None)
    assert never.in_use is None
    assert never.to_dict()["balanced_accuracy"] is None
    assert str(never).splitlines()[-1].startswith("none is in use: predict names all unless threshold= or false_acc")
    assert str(assessment) == f"{assessment.identification}\n{never}"
    assert assessment.to_dict()["open_set"] == never.to_dict()


def test_thresholds_of_cosines_are_not_tried_on_other_similarities(
    bundle_path: Path, strangers: Path, assessment: Assessment
) -> None:
    far = Model.load(bundle_path, device="cpu").evaluate(strangers, "validation", similarity="euclidean")
    assert far.unknown_queries is not None
    assert far.unknown_queries.at_thresholds == ()
    assert "thresholds are cosine similarities without re-ranking" in str(far.unknown_queries)
    assert far.unknown_queries.to_dict()["no_thresholds"]
    result = assessment.identification.result
    for open_set, missing in ((None, "a checkpoint has none"), (OpenSet(), "the bundle has none")):
        without = unknown_queries(result, open_set)
        assert without is not None
        assert without.missing == missing


def test_without_unknown_queries_nothing_is_told(
    bundle_path: Path,
    digits: Path,
    strangers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for root, name in ((digits, "all"), (strangers, "some")):
        command = ["eval", f"bundle={bundle_path}", f"data.root={root}", "worst=0", f"output={name}.json"]
        assert main([*command, "logger=none"]) == 0
        captured = capsys.readouterr()
        assert ("\nunknown: 4 of 20 queries" in captured.out) == (name == "some")
        assert ("open_set" in json.loads(Path(f"{name}.json").read_text())) == (name == "some")
