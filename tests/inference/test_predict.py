"""Predictions as objects: neighbours, votes, the unknown, pictures, JSON."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from lookalike import Model
from lookalike.data.any_image import truth_of
from lookalike.data.dataset import Dataset
from lookalike.data.images import ImageError
from lookalike.evaluation.split import evaluate_split
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import (
    Prediction,
    Predictions,
    draw,
    predict,
)
from lookalike.inference.queries import PredictError, find_queries, query_base
from lookalike.inference.references import GalleryError
from lookalike.inference.rejection import Rejection


def test_its_labels_are_those_of_the_evaluation(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle)
    result = evaluate_split(bundle, encoder, Dataset(digits), "test")
    prediction = predict(encoder, bundle.references, find_queries(str(digits / "test")), 1, source="tiny")
    assert [item.label for item in prediction.items] == result.per_query["predicted"].tolist()
    assert np.mean([item.label == item.truth for item in prediction.items]) == result.metrics["accuracy@1"]


def test_a_training_image_finds_itself_first(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    files = find_queries(str(digits / "train" / "digit 3"))
    for item, file in zip(
        predict(openvino_encoder(bundle), bundle.references, files, 1, source="tiny"), files, strict=True
    ):
        assert Path(item.neighbours[0].source) == file.resolve()
        assert item.neighbours[0].similarity == pytest.approx(1, abs=1e-5)


def test_patterns_and_folders(digits: Path) -> None:
    assert len(find_queries(str(digits / "test"))) == 20
    assert len(find_queries(str(digits / "te*" / "digit [01]" / "*.png"))) == 8
    assert len(find_queries(str(digits / "**" / "*.png"))) == 90
    assert find_queries("gone.jpg") == [Path("gone.jpg")], "a named file that is missing becomes an item with an error"


@pytest.fixture(scope="module")
def answered(bundle_path: Path, digits: Path) -> Predictions:
    """Two digits that can be used and a file that is gone."""
    bundle = load_bundle(bundle_path)
    files = [*find_queries(str(digits / "test" / "digit 3"))[:2], Path("gone.png")]
    return predict(openvino_encoder(bundle), bundle.references, files, 4, source="tiny")


def test_predictions_are_a_sequence_of_plain_values(answered: Predictions, bundle_path: Path) -> None:
    assert len(answered) == 3
    assert list(answered) == [answered[0], answered[1], answered[2]] == list(answered.items)
    assert answered.failed == (answered[2],)
    content = json.loads(json.dumps(answered.to_dict()))
    assert list(content) == ["schema", "created", "bundle", "fingerprint", "precision", "k", "items"]
    assert content["fingerprint"] == load_bundle(bundle_path).fingerprint
    first, _, last = content["items"]
    assert list(first) == ["image", "label", "score", "truth", "neighbours"]
    assert [list(near) for near in first["neighbours"]] == [["rank", "label", "source", "similarity"]] * 4
    assert (last["label"], last["neighbours"], last["error"].partition(":")[0]) == (None, [], "gone.png")
    assert replace(answered, rejection=Rejection(0.5)).to_dict()["threshold"] == 0.5


def test_a_prediction_reads_as_a_line(answered: Predictions) -> None:
    first = answered[0]
    names = ", ".join(near.label for near in first.neighbours)
    assert str(first) == f"{first.image}: {first.label} ({first.score:.0%})  [{names}]"
    assert repr(first) == f"Prediction({first})"
    assert str(replace(first, label="unknown", score=None)) == f"{first.image}: unknown  [{names}]"
    assert str(answered[2]).startswith("gone.png: cannot be read")
    assert str(answered).splitlines() == [str(item) for item in answered]
    assert repr(answered) == "Predictions(3 images by 'tiny', k=4, 1 not usable)"


def test_the_votes_are_a_share_of_the_neighbours(answered: Predictions) -> None:
    for item in answered.items[:2]:
        names = [near.label for near in item.neighbours]
        assert item.label in names
        assert item.score == names.count(item.label) / 4
        assert [near.rank for near in item.neighbours] == [1, 2, 3, 4]


def test_the_truth_is_the_folder_where_that_is_a_label(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(bundle_path)
    file = find_queries(str(digits / "test" / "digit 3"))[0]
    for folder in ("digit 3", "Digit 3"):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copyfile(file, tmp_path / folder / "x.png")
    monkeypatch.chdir(tmp_path / "digit 3")
    images = [Path("x.png"), "x.png", tmp_path / "Digit 3" / "x.png", file.read_bytes()]
    predictions = predict(openvino_encoder(bundle), bundle.references, images, 1, source="tiny")
    assert [item.truth for item in predictions] == ["digit 3", "digit 3", None, None]
    assert [item.image for item in predictions] == ["x.png", "x.png", str(images[2]), "image 4"]


def known_images(root: Path, digits: Path) -> Path:
    """Three test images of each of three digits: nested, behind a link, and in a folder of the first one's name."""
    for label, places in (("digit 0", "a/b"), ("digit 1", "digit 0"), ("digit 2", "")):
        for file in sorted((digits / "test" / label).iterdir())[:3]:
            inner = root / "test" / label / places
            inner.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, inner / file.name)
    (root / "test" / "digit 2").rename(root.parent / f"{root.name}-store")
    (root / "test" / "digit 2").symlink_to(root.parent / f"{root.name}-store")
    return root


@pytest.mark.parametrize("pattern", ["test", ".", "test/*", "test/**/*.png", "*/digit ?"])
def test_nested_and_linked_folders_are_counted_as_the_class_above_them(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(known_images(tmp_path, digits))
    bundle, files = load_bundle(bundle_path), find_queries(pattern)
    truths = [truth_of(file, {*bundle.references.labels}, query_base(pattern)) for file in files]
    counted = {label: truths.count(label) for label in sorted({*filter(None, truths)})}
    assert counted == {"digit 0": 3, "digit 1": 3, "digit 2": 3}
    if pattern == "test":
        given = (openvino_encoder(bundle), bundle.references, files, 3)
        assert [item.truth for item in predict(*given, source="t", base=query_base(pattern))] == truths
    assert truth_of("digit 0/x/1.png", {"digit 0"}) is None, "a file alone is named by its own folder"


@pytest.mark.parametrize("name", ["Jalapeño", "unknown"])
def test_folders_of_any_unicode_form_count_and_a_rejection_is_never_right(
    bundle_path: Path, digits: Path, tmp_path: Path, name: str
) -> None:
    bundle = load_bundle(bundle_path)
    names = [name if label == "digit 0" else label for label in bundle.references.labels]
    references = replace(bundle.references, labels=names)
    folders = {normalize("NFD", name), name}
    for folder in folders:
        shutil.copytree(digits / "test" / "digit 0", tmp_path / folder)
    given = (openvino_encoder(bundle), references, find_queries(str(tmp_path)), 3)
    items = predict(*given, source="t", base=tmp_path)
    assert [item.truth for item in items] == [name] * 4 * len(folders)
    assert [item.right for item in items] == [item.label == name for item in items]
    rejected = predict(*given, source="t", base=tmp_path, rejection=Rejection(2.0))
    assert {(item.label, item.right) for item in rejected} == {("unknown", False)}
    assert all(item.cells()[0].right is False for item in rejected)


def test_not_above_the_threshold_is_unknown(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    files = find_queries(str(digits / "test"))
    given = (openvino_encoder(bundle), bundle.references, files, 3)
    plain = predict(*given, source="tiny")
    nearest = sorted(item.neighbours[0].similarity for item in plain)
    strict = predict(*given, source="tiny", rejection=Rejection(nearest[9]))
    assert sum(item.label == "unknown" for item in strict) == sum(value <= nearest[9] for value in nearest)
    for item, before in zip(strict, plain, strict=True):
        near_enough = item.neighbours[0].similarity > nearest[9]
        assert (item.label, item.score) == ((before.label, before.score) if near_enough else ("unknown", None))
        assert (item.truth, item.neighbours) == (before.truth, before.neighbours)


def test_strict_refuses_what_cannot_be_used(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    files = [*find_queries(str(digits / "test"))[:2], Path("gone.png")]
    with pytest.raises(ImageError, match=r"^gone\.png: cannot be read"):
        predict(openvino_encoder(bundle), bundle.references, files, 1, source="tiny", strict=True)


def test_a_wrong_k_or_gallery_is_refused_before_any_image_is_read(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle)
    for k in (0, 51):
        with pytest.raises(GalleryError, match=rf"^k={k}: expected 1 to 50, the number of images in the gallery"):
            predict(encoder, bundle.references, ["gone.png"], k, source="tiny", strict=True)
    other = replace(bundle.references, fingerprint="e" * 64)
    with pytest.raises(GalleryError, match=r"^the gallery was made by the model eeeeeeeeeeee, the query by "):
        predict(encoder, other, ["gone.png"], 1, source="tiny", strict=True)


def test_each_picture_shows_the_query_and_its_neighbours(answered: Predictions, tmp_path: Path) -> None:
    one_row, all_rows = answered[0].figure(), answered.figure()
    assert one_row.width > 5 * 148
    assert one_row.height < all_rows.height < 4 * one_row.height
    cells = answered[0].cells()
    assert [cell.title for cell in cells] == [Path(answered[0].image).name, *(n.label for n in answered[0].neighbours)]
    right = replace(answered[0], label="digit 3", score=0.75)
    assert (right.cells()[0].note, right.cells()[0].right) == ("looks like digit 3 (75 %)", True)
    assert cells[0].right == (answered[0].label == answered[0].truth)
    assert [cell.right for cell in cells[1:]] == [near.label == "digit 3" for near in answered[0].neighbours]
    (grey,) = answered[2].cells()
    assert (grey.title, grey.right) == ("cannot be used", None)
    draw(answered.items[:2], tmp_path / "two.png")
    with Image.open(tmp_path / "two.png") as drawn:
        assert drawn.size[0] == one_row.width
    unsure = replace(answered[0], label="unknown", score=None, truth=None)
    assert (unsure.cells()[0].note, unsure.cells()[0].right) == ("unknown: too far from all", None)
    refused = replace(unsure, truth="digit 3")
    assert (refused.cells()[0].note, refused.cells()[0].right) == ("is digit 3, called unknown", False)
    wrong = replace(answered[0], label="digit 9", truth="digit 3", score=0.5)
    assert (wrong.cells()[0].note, wrong.cells()[0].right) == ("is digit 3, looks like digit 9 (50 %)", False)


def test_a_thumbnail_is_drawn_in_place_of_a_file_that_is_gone(answered: Predictions) -> None:
    gone = [replace(near, source="/gone.png") for near in answered[0].neighbours]
    data = answered[0].query
    assert isinstance(data, Path)
    kept = [replace(near, thumbnail=data.read_bytes()) for near in gone]
    empty, drawn = (
        np.asarray(replace(answered[0], neighbours=tuple(near)).figure()).astype(int) for near in (gone, kept)
    )
    assert empty.shape == drawn.shape
    first = slice(188, 330)
    assert drawn[20:150, first].std() > 2 * empty[20:150, first].std(), "a grey field holds a few letters"


def test_several_writes_in_a_second_replace_nothing(answered: Predictions, tmp_path: Path) -> None:
    written = [answered.write(tmp_path / "deep" / "folder") for _ in range(3)]
    assert len(set(written)) == 3
    assert len({file.read_text() for file in written}) == 1


@pytest.mark.parametrize("image", ["no where/*.jpg", "**/*.nothing", ""])
def test_a_pattern_or_folder_without_images_is_refused(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PredictError, match=r"image=.*: no image there: give a file, a folder or a quoted pattern such"):
        find_queries(image)


def test_one_image_or_several(bundle_path: Path, digits: Path) -> None:
    model = Model.load(bundle_path)
    file = find_queries(str(digits / "test"))[0]
    alone = model.predict(file, k=2)
    assert isinstance(alone, Prediction)
    for several in ([file], (file,), iter([file]), np.array([str(file)])):
        among = model.predict(several, k=2)
        assert isinstance(among, Predictions)
        assert among[0] == alone
