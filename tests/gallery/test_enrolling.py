"""What is given with images is kept with them, and what cannot be enrolled is named before anything is written."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.inference.references import GalleryError


@pytest.fixture
def empty(model: Model, tmp_path: Path) -> Gallery:
    return Gallery.create(tmp_path / "shop", model)


@pytest.fixture
def files(digits: Path) -> list[Path]:
    return sorted((digits / "train" / "digit 3").glob("*.png"))[:4]


def test_cameras_columns_and_parts_are_kept_one_each(empty: Gallery, files: list[Path]) -> None:
    numbers = empty.add(
        files,
        "three",
        camera=[1, None, 3, 3],
        columns={"shelf": ["A", "B", None, "A"], "year": 2026, "ripe": [True, False, True, True]},
        boxes=[None, (0, 0, 4, 8), None, None],
    )
    facts = [(image.camera, image.columns) for image in empty.images("three")]
    assert numbers == [1, 2, 3, 4]
    assert facts == [
        (1, {"shelf": "A", "year": 2026, "ripe": True}),
        (None, {"shelf": "B", "year": 2026, "ripe": False, "box": "0 0 4 8"}),
        (3, {"year": 2026, "ripe": True}),
        (3, {"shelf": "A", "year": 2026, "ripe": True}),
    ]
    whole = empty.encoder.embed([files[1]])
    part = empty.encoder.embed([files[1]], [(0.0, 0.0, 4.0, 8.0)])
    np.testing.assert_array_equal(empty.references.embeddings[1:2], part)
    assert not np.array_equal(whole, part)


def test_the_rest_is_enrolled_where_errors_are_asked_for(empty: Gallery, files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    given = [files[0], broken, files[1]]
    with pytest.raises(GalleryError, match=r"(?s)1 of 3 images cannot be used, so none was added:.*broken\.png"):
        empty.add(given, "three", columns={"place": [1, 2, 3]})
    assert (len(empty), empty.log()) == (0, [])
    errors: dict[int, str] = {}
    done: list[int] = []
    assert empty.add(given, "three", columns={"place": [1, 2, 3]}, errors=errors, progress=done.append) == [1, 0, 2]
    assert list(errors) == [1]
    assert "broken.png" in errors[1]
    assert sum(done) == 3
    assert [image.columns for image in empty.images("three")] == [{"place": 1}, {"place": 3}]
    with pytest.raises(GalleryError, match="1 of 1 image cannot be used, so none was added"):
        empty.add(broken, "three", errors={})


def test_embeddings_of_any_length_are_enrolled_as_directions(empty: Gallery) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, 16)) * np.array([[1e-3], [1], [7], [1e6], [1]])
    assert empty.add_embeddings(vectors, list("abcde")) == [1, 2, 3, 4, 5]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(empty.references.embeddings, vectors / lengths, atol=1e-7)
    assert list(empty.references.paths) == [f"image {place}" for place in range(1, 6)]
    unit = empty.references.embeddings
    assert empty.add_embeddings(unit[:2], ["a", "b"], sources=["image 1", "image 2"]) == [1, 2], "there already"
    near, similarity = empty.search((vectors / lengths)[2:3].astype(np.float32), 1)
    assert (near.tolist(), similarity[0, 0]) == ([[3]], pytest.approx(1))


@pytest.mark.parametrize(
    ("embeddings", "more", "text"),
    [
        (np.eye(16)[0], {}, r"^embeddings: expected numbers \[N, 16\], got float64 \[16\]: embed the images"),
        (np.eye(15), {}, r"^embeddings: expected numbers \[N, 16\], got float64 \[15, 15\]"),
        (np.array([["x"] * 16]), {}, r"^embeddings: expected numbers \[N, 16\], got <U1 \[1, 16\]"),
        (np.zeros((2, 16)), {}, r"^embeddings: row 0 has length 0: expected a direction: leave it out"),
        (np.full((1, 16), np.nan), {}, r"^embeddings: row 0 has length nan"),
        (np.eye(16), {"labels": ["a"]}, r"^add: expected one of labels for each of 16 images, got 1"),
        (np.eye(16), {"sources": ["a"]}, r"^add: expected one of sources for each of 16 images, got 1"),
        (np.eye(16), {"thumbnails": [b""]}, r"^add: expected one of thumbnails for each of 16 images, got 1"),
        (np.eye(16), {"camera": [1, 2]}, r"^add: expected one of camera for each of 16 images, got 2"),
        (np.eye(16), {"camera": "door"}, r"^camera='door': expected a whole number"),
        (np.eye(16), {"columns": {"shelf": ["A"]}}, r"^columns: shelf: expected one value or 16, got 1"),
        (np.eye(16), {"columns": {"label": "A"}}, r"^columns: 'label': expected a name other than label, camera"),
        (np.eye(16), {"labels": " "}, r"expected text that is not empty"),
    ],
)
def test_what_cannot_be_enrolled_is_named(empty: Gallery, embeddings: np.ndarray, more: dict, text: str) -> None:
    with pytest.raises(GalleryError, match=text):
        empty.add_embeddings(embeddings, **{"labels": "x", **more})
    assert (len(empty), empty.log()) == (0, [])
