"""What a gallery answers: neighbours, names and unknowns, now and as it was."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.gallery.history import Change
from lookalike.inference.references import GalleryError
from lookalike.inference.rejection import RejectionError

from .conftest import Place


def test_an_empty_gallery_has_nothing_to_find(model: Model, digits: Path, tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "empty", model)
    file = files_of(digits, "test/*/*.png")[0]
    assert (len(gallery), gallery.labels) == (0, {})
    for ask in (lambda: gallery.predict(file), lambda: gallery.search(model.embed(file))):
        with pytest.raises(GalleryError, match=r"empty: is empty, so there is nothing to find: add images first"):
            ask()
    (number,) = gallery.add(file, labels="first")
    prediction = gallery.predict(file, k=10)
    assert (prediction.label, prediction.score, len(prediction.neighbours)) == ("first", 1.0, 1)
    gallery.remove(image=number)
    with pytest.raises(GalleryError, match="is empty"):
        gallery.predict(file)


def test_one_image_or_several_or_none_that_can_be_used(gallery: Gallery, digits: Path) -> None:
    file = files_of(digits, "test/digit 2/*.png")[0]
    alone, (among, missing) = gallery.predict(file), gallery.predict([file, "gone.png"])
    assert alone == among
    assert (
        missing.error
        == "gone.png: cannot be read (No such file or directory): check that it exists and its permissions"
    )
    with pytest.raises(ValueError, match=r"gone\.png: cannot be read"):
        gallery.predict("gone.png")
    with pytest.raises(GalleryError, match=r"k=0: expected a whole number from 1"):
        gallery.predict(file, k=0)
    for odd in (2.5, "5", True):
        with pytest.raises(GalleryError, match=f"k={odd!r}: expected a whole number from 1"):
            gallery.predict(file, k=odd)  # type: ignore[arg-type]
    assert gallery.predict(file, k=np.int64(3)) == gallery.predict(file, k=3)
    assert len(gallery.predict(file, k=1000).neighbours) == 50
    assert gallery.predict([]).items == ()


def test_beyond_a_threshold_an_image_is_unknown(gallery: Gallery, digits: Path) -> None:
    file = files_of(digits, "test/digit 2/*.png")[0]
    near = gallery.predict(file).neighbours[0].similarity
    assert gallery.predict(file, threshold=near - 1e-4).label == gallery.predict(file).label
    stranger = gallery.predict([file], threshold=near)
    assert (stranger[0].label, stranger[0].score, stranger.threshold) == ("unknown", None, near)
    assert len(stranger[0].neighbours) == 10


def test_a_search_gives_numbers_nearest_first(gallery: Gallery, model: Model, digits: Path) -> None:
    queries = model.embed(files_of(digits, "test/*/*.png"))
    numbers, similarity = gallery.search(queries, k=5)
    assert (numbers.dtype, numbers.shape, similarity.dtype) == (np.int64, (20, 5), np.float32)
    exact = queries @ gallery.references.embeddings.T
    assert np.allclose(similarity, -np.sort(-exact, 1)[:, :5], atol=1e-6)
    assert np.allclose(exact[np.arange(20)[:, None], numbers - 1], similarity, atol=1e-6)
    with pytest.raises(GalleryError, match=r"expected finite values \[Q, 16\], got \(1, 8\)"):
        gallery.search(np.ones((1, 8), np.float32))
    with pytest.raises(GalleryError, match=r"query embeddings: expected float32 \[Q, 16\], got <U1"):
        gallery.search(["x"])  # type: ignore[arg-type]
    assert np.array_equal(gallery.search(queries.tolist(), k=np.int32(5))[0], numbers)  # type: ignore[arg-type]
    assert gallery.search(queries, k=1000)[0].shape == (20, 50)


@pytest.mark.parametrize("threshold", [float("nan"), 7, -1.5, "0.5", type(None), True, np.array([0.1, 0.2])])
def test_a_threshold_is_a_cosine_similarity(gallery: Gallery, digits: Path, threshold: object) -> None:
    image = files_of(digits, "test/*/*.png")[0]
    with pytest.raises(RejectionError, match=r"^threshold=.*: expected a cosine similarity, -1 to 1$"):
        gallery.predict(image, threshold=threshold)  # type: ignore[call-overload]
    assert gallery.predict(image, threshold=np.float32(1)).label == "unknown"


def test_a_gallery_answers_as_it_did(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "g", Model.load(bundle_path))
    gallery.add(sorted((digits / "train" / "digit 0").glob("*.png")))
    gallery.add(sorted((digits / "train" / "digit 1").glob("*.png")), note="a second one")
    asked = sorted((digits / "validation").rglob("*.png"))
    before = gallery.predict(asked, k=3)
    gallery.merge(["digit 0", "digit 1"], "digit")
    gallery.move([1, 2], "other")
    gallery.remove(image=[1, 5])
    past = gallery.at(2)
    assert past.labels == {"digit 0": 10, "digit 1": 10}
    assert [item.label for item in past.predict(asked, k=3)] == [item.label for item in before]
    assert past.predict(asked[0]).neighbours[0].thumbnail[:2] == b"\xff\xd8"
    assert repr(past).endswith("20 images of 2 labels after change 2)")
    assert "20 images of 2 labels after change 2" in past._repr_html_()
    assert len(gallery.at(0)) == 0
    for change in gallery.log(3):
        gallery.undo(change.number, note="a mistake")
    assert gallery.labels == past.labels
    assert [change.action for change in gallery.log()] == ["undo"] * 3 + ["remove", "move", "merge", "add", "add"]
    assert isinstance(gallery.log()[0], Change)


def test_a_search_by_embeddings_needs_no_model(place: Place, gallery: Gallery, tmp_path: Path) -> None:
    """The bundle is gone, and embeddings are all that is asked."""
    embeddings, labels = gallery.references.embeddings, gallery.references.labels
    model = SimpleNamespace(encoder=gallery.encoder, about={"bundle": str(tmp_path / "gone")})
    with Gallery.create(place.text, model) as made:
        numbers = made.add_embeddings(embeddings, labels)
    with Gallery.open(place.text) as opened:
        nearest, similarity = opened.search(embeddings, 1)
        assert nearest[:, 0].tolist() == numbers
        assert np.allclose(similarity, 1, atol=1e-5)
        with pytest.raises(GalleryError, match=r"expected finite values \[Q, 16\], got \(1, 8\)"):
            opened.search(np.ones((1, 8), np.float32))
        with pytest.raises(GalleryError, match=r"its model was .*gone, which is not there any more: give bundle="):
            opened.predict(tmp_path / "x.png")
