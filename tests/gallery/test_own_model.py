"""A gallery finds its model by itself: a bundle where it was, or a network that it keeps."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.gallery.own_model import about_model, model_of
from lookalike.inference.kept_network import KeptNetworkError
from lookalike.inference.references import GalleryError
from lookalike.model import Model as Loaded


def test_it_says_what_its_model_is_by_whole_paths(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle_path.parent)
    model = Model.load(bundle_path.name)
    about = json.loads(about_model(model))
    assert about == {**model.about, "bundle": str(bundle_path.resolve())}
    assert about_model(object()) == "{}"


def test_a_gallery_is_read_and_changed_without_its_model(
    gallery: Gallery, bundle_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Path
) -> None:
    gallery.close()

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(Loaded, "load", refused)
    with Gallery.open(gallery.path) as opened:
        assert opened.rename("digit 0", "zero") == 10
        assert opened.merge(["digit 1", "digit 2"], "low") == 20
        assert opened.remove(image=1) == 1
        assert len(opened.images("low")) == 20
        assert opened.undo(opened.log()[0].number) == 1
        assert opened.at(1).labels["digit 0"] == 10
        assert opened.verify()
        assert opened.add_embeddings(np.eye(16, dtype=np.float32)[:2], "axes") == [51, 52]
        with pytest.raises(AssertionError, match="the model was loaded"):
            opened.predict(files_of(digits, "test/*/*.png")[0])
    monkeypatch.undo()
    with Gallery.open(gallery.path) as opened:
        assert opened.predict(files_of(digits, "train/digit 0/*.png")[0]).label == "zero"
        assert isinstance(opened.model, Model)
        assert opened.model is opened.model, "it is loaded once"
        assert opened.model.bundle is not None
        assert opened.model.bundle.path == bundle_path.resolve()


def test_options_reach_its_own_model_and_that_of_the_past(gallery: Gallery, digits: Path) -> None:
    gallery.close()
    file = files_of(digits, "test/*/*.png")[0]
    with Gallery.open(gallery.path, options={"precision": "float32", "workers": 3}) as opened:
        past = opened.at(1)
        assert past.predict(file).label in opened.labels
        assert (past.encoder.precision, past.encoder.workers) == ("float32", 3)
        assert (opened.encoder.precision, opened.encoder.workers) == ("float32", 3)


def test_a_bundle_that_went_away_is_named_and_can_be_given(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(bundle_path, tmp_path / "models" / "mine"))
    file = files_of(digits, "test/*/*.png")[0]
    with Gallery.create(tmp_path / "shop", Model.load(bundle)) as gallery:
        gallery.add(digits / "train")
        expected = gallery.predict(file)
    moved = bundle.rename(tmp_path / "elsewhere")
    text = rf"^{tmp_path / 'shop'}: its model was {bundle}, which is not there any more: give bundle=<its new place>$"
    with Gallery.open(tmp_path / "shop") as opened:
        assert len(opened) == 50
        with pytest.raises(GalleryError, match=text):
            opened.predict(file)
    with Gallery.open(tmp_path / "shop", Model.load(moved)) as opened:
        assert opened.predict(file) == expected


def test_a_bundle_that_was_trained_again_is_refused(gallery: Gallery, model: Model, digits: Path) -> None:
    """At the place of the gallery's model stands one with another fingerprint."""
    gallery._store._connection.execute("UPDATE about SET value = ? WHERE name = 'fingerprint'", ("e" * 64,))
    gallery.close()
    with (
        Gallery.open(gallery.path) as opened,
        pytest.raises(GalleryError, match=r"made by the model eeeeeeeeeeee, the"),
    ):
        opened.predict(files_of(digits, "test/*/*.png")[0])


def test_a_gallery_that_does_not_say_needs_to_be_told(gallery: Gallery, model: Model, digits: Path) -> None:
    file = files_of(digits, "test/*/*.png")[0]
    expected = gallery.predict(file)
    gallery._store._connection.execute("DELETE FROM about WHERE name = 'model'")
    gallery.close()
    with (
        Gallery.open(gallery.path) as opened,
        pytest.raises(GalleryError, match="does not say which model made it: gi"),
    ):
        opened.predict(file)
    with Gallery.open(gallery.path, model) as opened:
        assert opened.predict(file) == expected
    with pytest.raises(GalleryError, match=r"here: does not say which model made it: give bundle=<folder>"):
        model_of(None, "here", {})


@pytest.fixture(scope="module")
def untrained() -> Model:
    return Model.pretrained()


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from lookalike import Gallery
with Gallery.open(sys.argv[1]) as gallery:
    prediction = gallery.predict(sys.argv[2], k=3)
    print(prediction.label, [near.similarity for near in prediction.neighbours], gallery.model, sep="|")
"""


def test_a_network_without_a_bundle_is_kept_and_needs_no_torch(
    untrained: Model, few_produce: Path, tmp_path: Path
) -> None:
    queries = files_of(few_produce, "validation/*/*.jpg")[:6]
    with Gallery.create(tmp_path / "shop", untrained) as gallery:
        gallery.add(files_of(few_produce, "train/*/*.jpg")[::12])
        expected = gallery.predict(queries, k=3)
    assert sorted(file.name for file in (tmp_path / "shop" / "model").iterdir()) == [
        "model.bin",
        "model.xml",
        "network.json",
    ]
    moved = (tmp_path / "shop").rename(tmp_path / "moved")
    with Gallery.open(moved) as opened:
        assert opened.predict(queries, k=3).items == expected.items
        assert repr(opened.model) == repr(untrained)
    command = [sys.executable, "-c", WITHOUT_TORCH, str(moved), str(queries[0])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    similarity = [near.similarity for near in expected[0].neighbours]
    assert done.stdout.strip() == f"{expected[0].label}|{similarity}|{untrained!r}", done.stderr


def test_a_kept_network_that_is_damaged_is_named(untrained: Model, few_produce: Path, tmp_path: Path) -> None:
    file = files_of(few_produce, "train/*/*.jpg")[0]
    with Gallery.create(tmp_path / "shop", untrained) as gallery:
        gallery.add(file)
    with (tmp_path / "shop" / "model" / "model.bin").open("r+b") as handle:
        handle.seek(100)
        handle.write(b"damaged")
    with Gallery.open(tmp_path / "shop") as opened:
        with pytest.raises(
            KeptNetworkError, match=r"shop/model: not a readable network \(model\.bin: its checksum is w"
        ):
            opened.predict(file)
        assert opened.labels == {file.parent.name: 1}
    shutil.rmtree(tmp_path / "shop" / "model")
    with Gallery.open(tmp_path / "shop") as opened:
        assert opened.predict(file).neighbours[0].similarity == pytest.approx(1, abs=1e-5), "made again by its recipe"
