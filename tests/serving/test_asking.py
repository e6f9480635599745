"""What a client asks: in parts where it is much, what cannot be used, and results that show themselves."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Client, ServiceError
from lookalike.data.images import ImageError
from services import Running


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.png"
    file.write_bytes(b"no image at all")
    return file


def test_many_embeddings_are_asked_in_parts(client: Client, served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = served.service.gallery.references.embeddings
    expected = served.service.gallery.search(embeddings, 3)
    for module in ("asking", "reading"):
        monkeypatch.setattr(f"lookalike.serving.{module}.PAGE", 7)
    for got, wanted in zip(client.search(embeddings, 3), expected, strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    assert len(client.images("digit 1")) == 10


def test_an_embedding_of_what_cannot_be_used(client: Client, digits: Path, broken: Path) -> None:
    file = next((digits / "test").rglob("*.png"))
    with pytest.raises(ImageError, match=r"broken\.png: not an image"):
        client.embed([file, broken])
    errors: dict[int, str] = {}
    embeddings = client.embed([file, broken, broken.parent / "gone.png"], errors=errors)
    assert np.linalg.norm(embeddings, axis=1).tolist() == pytest.approx([1, 0, 0], abs=1e-5)
    assert list(errors) == [1, 2]
    assert errors[2].endswith(
        "gone.png: cannot be read (No such file or directory): check that it exists and its permissions"
    )


def test_an_image_that_cannot_be_used_alone(client: Client, broken: Path) -> None:
    with pytest.raises(ServiceError, match=r"^broken\.png: not an image, whatever its name says") as raised:
        client.predict(broken)
    assert (raised.value.status, raised.value.code) == (422, "image")
    with pytest.raises(
        ImageError, match="image 1: expected a path, bytes, a uint8 array or a picture of Pillow, got int"
    ):
        client.predict(7)  # type: ignore[call-overload]


def test_unknown_images_are_kept_where_the_service_is(client: Client, served: Running, digits: Path) -> None:
    made = client.predict(digits / "test" / "digit 3", threshold=1.0, keep_unknown=True)
    assert all(item.unknown for item in made)
    assert len(served.service.gallery.unknown_files()) == len(made)


def test_a_prediction_shows_itself(client: Client, digits: Path) -> None:
    file = next((digits / "test").rglob("*.png"))
    made = client.predict(file, 3)
    assert (made.image, made.truth) == (str(file), file.parent.name)
    assert made.figure().size == client.predict(file.read_bytes(), 3).figure().size
    assert "<img" in made._repr_html_()
