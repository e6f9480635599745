"""`gallery.include=[train,validation]`: more images are known, and every figure stays as it was measured."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import processes
from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.data.reading import read_manifest
from lookalike.gallery.gallery import Gallery
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.model import Model
from lookalike.training.run import train
from runs import arguments, start

INCLUDE = "gallery.include=[train,validation]"
TOLD = (
    "20 validation images of 5 labels joined the gallery after all was measured: no figure, threshold or vote is of "
    "the gallery that holds them"
)
# Real SIGKILL when the gallery is in place and the rest of the bundle is not.
KILLER = """
import os, signal, sys
from lookalike.inference import bundle_writer as owner
from lookalike.cli.main import main
owner.write_bytes = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def included(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """As the bundle of `bundle_path`, with the images of validation."""
    home = tmp_path_factory.mktemp("included")
    folders = (f"models_dir={home / 'models'}", f"checkpoint_dir={home / 'checkpoint'}")
    return train(read_settings("train", [f"data.root={digits}", "run=tiny", *folders, *TINY, INCLUDE]))[0]


def test_everything_that_was_measured_is_the_same_to_the_last_digit(
    included: Bundle, bundle_path: Path, digits: Path
) -> None:
    usual = load_bundle(bundle_path)
    whole, plain = included.config.to_json(), usual.config.to_json()
    assert whole.pop("included") == {"images": 20, "labels": 5, "untrained_labels": 0, "copies": 0}
    assert "included" not in plain
    assert plain["training"]["settings"]["gallery"] == {"include": ["train"]}
    for config in (whole, plain):
        del config["training"]["settings"], config["training"]["seconds"]
    assert whole == plain
    known, before = included.references, usual.references
    assert (len(known), len(before)) == (70, 50)
    assert np.array_equal(known.embeddings[:50], before.embeddings)
    assert (known.paths[:50], known.labels[:50]) == (before.paths, before.labels)
    joined = read_manifest(digits).protocol("validation").queries
    assert (known.paths[50:], known.labels[50:]) == (joined["path"].tolist(), joined["label"].tolist())
    fresh = Model.load(included.path, precision=usual.config.precision).embed([known.file(row) for row in range(70)])
    assert np.array_equal(known.embeddings, fresh)


def test_an_evaluation_gives_the_figure_that_training_told(
    included: Bundle, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model.load(included.path, precision=included.config.precision)
    assert repr(model).endswith("knows 70 images of 5 labels)")
    again = model.evaluate(digits, "validation")
    assert "was trained on" not in capsys.readouterr().err, "validation images are known, yet not trained on"
    assert again.identification.result.to_dict()["metrics"] == included.config.metrics["validation"].metrics
    assert len(again.protocol.references) == 50


def test_a_validation_image_finds_itself(included: Bundle, digits: Path) -> None:
    model = Model.load(included.path)
    file = sorted((digits / "validation" / "digit 3").iterdir())[0]
    nearest = model.predict(file).neighbours[0]
    assert (Path(nearest.source), nearest.label) == (file.resolve(), "digit 3")
    assert nearest.similarity == pytest.approx(1, abs=1e-4)


def test_a_threshold_says_that_it_was_chosen_without_them(included: Bundle, bundle_path: Path) -> None:
    usual, more = load_bundle(bundle_path).rejection(None, 0.1), included.rejection(None, 0.1)
    assert usual is not None
    assert more is not None
    assert (more.similarity, more.measured) == (usual.similarity, usual.measured)
    assert more.warning.startswith(
        "measured before 20 validation images joined the gallery: among more images more unknown ones get a name; a "
        f"gallery of them (lookalike gallery import input={included.path}) chooses by all; "
    )
    assert "joined" not in usual.warning
    assert included.rejection(None, None) is None


def test_a_gallery_imports_them(included: Bundle, tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", Model.load(included.path)) as gallery:
        gallery.import_from(included.path)
        assert gallery.labels == {f"digit {number}": 14 for number in range(5)}


@pytest.fixture
def finished(bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A copy of the usual run in the current folder, finished, and the command that made it."""
    shutil.copytree(bundle_path.parents[1], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return ["train", f"data.root={digits}", "run=tiny", *TINY]


def test_a_finished_run_writes_its_bundle_again_when_asked_otherwise(
    finished: list[str], included: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*finished, INCLUDE]) == 0
    out, err = capsys.readouterr()
    assert "run tiny is finished: only its bundle is written again, with gallery.include=[train,validation]" in err
    assert "epoch 1/2" not in err
    assert f"gallery: {TOLD}\nbundle: models/tiny\n" in out
    again = load_bundle(Path("models/tiny"))
    assert again.config.included == included.config.included
    assert (again.path / "gallery/embeddings.npy").read_bytes() == (
        included.path / "gallery/embeddings.npy"
    ).read_bytes()
    kept = [path for path in Path("models").iterdir() if path.name != "tiny"]
    assert [len(load_bundle(path).references) for path in kept] == [50], "the former one has another name"
    assert main([*finished, "gallery.include=[VAL,train]"]) == 0
    assert "run tiny is finished: nothing to do" in capsys.readouterr().err
    assert main(finished) == 0
    assert len(load_bundle(Path("models/tiny")).references) == 50


def test_a_run_killed_while_it_writes_its_bundle_ends_like_an_unbroken_one(
    finished: list[str], included: Bundle, tmp_path: Path
) -> None:
    shutil.rmtree("models/tiny")
    killed = processes.run(KILLER, *finished, INCLUDE, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Path("models/tiny").exists()
    resumed = start(tmp_path, *finished, INCLUDE)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("model.safetensors", "gallery/embeddings.npy", "gallery/rows.csv", "README.md"):
        assert (Path("models/tiny") / name).read_bytes() == (included.path / name).read_bytes(), name
    assert [path.name for path in Path("models").iterdir()] == ["tiny"]


def test_what_was_held_out_joins(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(digits / "train", tmp_path / "d" / "train")
    monkeypatch.chdir(tmp_path)
    command = arguments(Path("d"), "r", "trainer.max_epochs=1", "data.validation_share=0.2", INCLUDE)
    assert main(command) == 0
    bundle = load_bundle(Path("models/r"))
    assert (len(bundle.references), len(bundle.training_references)) == (50, 40)
    assert len({*bundle.references.paths}) == 50
    assert bundle.config.metrics["validation"].counts["references"] == 40
    assert main(["eval", "bundle=models/r", "data.root=d", "logger=none", "worst=0"]) == 0
    metrics = json.loads(Path("reports/r-validation.json").read_text())["metrics"]
    assert metrics["map"] == bundle.config.metrics["validation"].metrics["map"]


def test_people_that_were_not_trained_on_join_under_labels_of_their_own(
    few_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = arguments(few_market, "r", "trainer.max_epochs=1", "data.validation_share=0.2", INCLUDE)
    assert main(command) == 0
    bundle = load_bundle(Path("models/r"))
    rows = bundle.config.included
    assert rows is not None
    assert rows.labels == rows.untrained_labels == 8
    assert f"{rows.images} validation images of 8 labels (8 of them not trained on) joined the gallery" in (
        capsys.readouterr().out
    )
    trained, everyone = set(bundle.config.labels), set(bundle.references.labels)
    assert trained == set(bundle.training_references.labels)
    assert len(everyone - trained) == 8
    model = Model.load(bundle.path)
    stranger = bundle.references.file(len(bundle.references) - 1)
    assert model.predict(stranger, k=1).label in everyone - trained
    assert main(["eval", "bundle=models/r", f"data.root={few_market}", "logger=none", "worst=0"]) == 0
    stored = json.loads(Path("reports/r-validation.json").read_text())
    assert stored["metrics"]["map"] == bundle.config.metrics["validation"].metrics["map"]
