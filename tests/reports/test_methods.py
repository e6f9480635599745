"""The paragraph for a paper: every number in it is a field, and is what was measured."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from lookalike.data.reading import read_manifest
from lookalike.model import Model
from lookalike.reports.methods import methods_of
from lookalike.reports.model_report import Report, gather


def test_the_facts_are_those_of_the_report(strangers: Report) -> None:
    methods = methods_of(strangers)
    assert (methods.queries, methods.query_labels, methods.references, methods.reference_labels) == (20, 5, 40, 4)
    assert (methods.labels_trained_on, methods.without_positive, methods.split) == (5, 4, "validation")
    headline = strangers.identification.headline
    assert (methods.accuracy.value, methods.accuracy.interval_95) == (headline.value, headline.interval)
    content = json.loads(json.dumps(methods.to_dict(), allow_nan=False))
    assert content["unknown"]["queries_unknown"] == 4
    assert "curve" not in content["unknown"]
    assert content["fingerprint"] == strangers.bundle.fingerprint


def test_it_reads_as_paragraphs(strangers: Report) -> None:
    text = str(methods_of(strangers))
    headline = strangers.identification.headline
    low, high = headline.interval or (0, 0)
    assert f"{100 * headline.value:.1f} % were right (95 % interval {100 * low:.1f} to {100 * high:.1f} %)" in text
    assert (
        "20 query images of 5 labels (split validation of digits) were compared with 40 reference images of 4" in text
    )
    assert "4 queries were of 1 labels without any reference, 16 of labels with one." in text
    unknown = strangers.unknown_queries
    assert unknown is not None
    assert unknown.in_use is not None
    used = unknown.in_use.acceptance
    assert (
        f"At a similarity threshold of {used.similarity:.3f}, chosen for a false accept rate of 10 % on 20 images"
        in text
    )
    assert text.count("At a similarity threshold") == 1, "the one in use"
    assert f"balanced accuracy of known and unknown was {100 * used.balanced_accuracy:.1f} % (95 % interval" in text
    assert "percentiles of 1000 resamples in which whole labels were drawn" in text
    assert "  " not in text
    assert "{" not in text
    assert text.endswith(f"{strangers.bundle.fingerprint}.\n")


def test_it_says_how_it_was_measured_not_how_the_bundle_was_made(bundle_path: Path, digits: Path) -> None:
    model = Model.load(bundle_path, device="cpu", precision="float32")
    assert model.bundle is not None
    made = {"precision": "bf16", "versions": {"lookalike": "0.0.1", "openvino": "2000.1", "no-such-package": "3"}}
    bundle = replace(model.bundle, config=model.bundle.config.model_copy(update=made))
    methods = methods_of(gather(model.evaluate(digits), bundle, umap=False))
    assert methods.precision == "float32"
    assert methods.versions == {name: version(name) for name in ("lookalike", "openvino")}
    assert methods.bundle_versions == made["versions"]
    text = str(methods)
    assert "compared by cosine similarity in float32 arithmetic." in text
    assert (
        f"Software: lookalike {version('lookalike')}, openvino {version('openvino')}; in training and export "
        "lookalike 0.0.1, openvino 2000.1, no-such-package 3; model fingerprint "
    ) in text


def test_a_data_set_is_called_as_its_folder_or_table(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.load(bundle_path, device="cpu")
    read_manifest(digits).table.to_csv(tmp_path / "rep.csv", index=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images\nwritten: FAKE"
    folder.symlink_to(digits)
    for data, name in (
        ({"root": "rep.csv", "images": str(digits)}, "rep.csv"),
        ({"root": str(folder)}, r"images\nwritten: FAKE"),
    ):
        methods = methods_of(gather(model.evaluate(data), model.bundle, umap=False))
        assert methods.data == name
        assert f"(split validation of {name})" in str(methods)
    monkeypatch.chdir(digits)
    assert methods_of(gather(model.evaluate("."), model.bundle, umap=False)).data == digits.name


def test_without_unknown_queries_it_says_nothing_of_them(report: Report) -> None:
    methods = methods_of(report)
    assert methods.unknown is None
    assert "false accept" not in str(methods)
    assert "Wilson" not in str(methods)
    assert len(str(methods).splitlines()) == 4
