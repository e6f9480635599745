"""What a client sends of an image: bytes that give the same pixels, names, and so many at once as a service takes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lookalike.data.any_image import read_any
from lookalike.data.images import ImageError
from lookalike.data.pixels import PixelSettings
from lookalike.inference.references import GalleryError
from lookalike.serving.sent_images import SentImage, fields_of, in_requests, plain_filter, sent

SIZE = PixelSettings(64, 64)


def test_every_form_gives_the_pixels_that_it_gives_here(produce: Path) -> None:
    file = sorted((produce / "train" / "Kiwi").iterdir())[0]
    picture = Image.open(file)
    array = np.asarray(picture)
    with_alpha = np.dstack([array, np.full(array.shape[:2], 128, np.uint8)])
    given = [file, str(file), file.read_bytes(), picture, array, array[:, :, 0], with_alpha, picture.convert("CMYK")]
    for place, made in enumerate(sent(given)):
        np.testing.assert_array_equal(read_any(made.content, SIZE), read_any(given[place], SIZE), err_msg=str(place))


def test_a_turned_picture_is_sent_upright(tmp_path: Path) -> None:
    lying = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "turned.png", exif=exif)
    (made,) = sent([Image.open(tmp_path / "turned.png")])
    decoded = cv2.imdecode(np.frombuffer(made.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.shape == (30, 20, 3)
    np.testing.assert_array_equal(read_any(made.content, SIZE), read_any(tmp_path / "turned.png", SIZE))


def test_names(tmp_path: Path) -> None:
    (tmp_path / "Kiwi").mkdir()
    file = tmp_path / "Kiwi" / 'a "b"\n.png'
    file.write_bytes(b"x")
    named, bare = sent([file, b"y"])
    assert (named.name, named.sent_name, named.folder) == (str(file), file.name, "Kiwi")
    assert (bare.name, bare.sent_name, bare.folder) == ("image 2", "image 2", "")
    assert named.part(True)[1][0] == f"Kiwi/{file.name}"
    assert named.part(False)[1][0] == file.name
    assert named.told(f"{file.name}: not an image") == f"{file}: not an image"


@pytest.mark.parametrize("image", ["no/where.png", "", "https://shop/a.png", "~nobody-of-that-name/x.png", "a\0b.png"])
def test_what_cannot_be_read_is_noted_in_its_place(image: str) -> None:
    errors: dict[int, str] = {}
    assert [made.place for made in sent([b"x", image, b"y"], errors)] == [0, 2]
    assert list(errors) == [1]
    with pytest.raises(ImageError, match=r"\S+: |expected a path"):
        list(sent([image]))


def made(*sizes: int) -> list[SentImage]:
    return [SentImage(place, b"", "", "", "", bytes(size)) for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "most_images", "most_bytes", "expected"),
    [
        ((), 3, 10**6, []),
        ((10,) * 7, 3, 10**7, [3, 3, 1]),
        ((300_000,) * 5, 64, 10**6, [2, 2, 1]),
        ((10, 5_000_000, 10, 10), 64, 10**6, [1, 1, 2]),
        ((10,) * 3, 64, 100, [1, 1, 1]),
        ((10,) * 3, 1, 10**7, [1, 1, 1]),
    ],
)
def test_requests_hold_what_a_service_takes(
    sizes: tuple[int, ...], most_images: int, most_bytes: int, expected: list[int]
) -> None:
    requests = list(in_requests(made(*sizes), most_images, most_bytes))
    assert list(map(len, requests)) == expected
    assert [image.place for request in requests for image in request] == list(range(len(sizes)))


def test_images_are_read_when_their_request_is_made() -> None:
    read: list[int] = []

    def reading() -> object:
        for image in made(1, 1, 1, 1):
            read.append(image.place)
            yield image

    requests = in_requests(reading(), 2, 10**6)  # type: ignore[arg-type]
    next(requests)
    assert read == [0, 1, 2]


def test_fields_of_a_form() -> None:
    made = fields_of(k=3, threshold=0.5, note="a b", keep_copies=False, where={"label": ["Kiwi"]}, unless=None)
    expected = {"k": "3", "threshold": "0.5", "note": "a b", "keep_copies": "false", "where": '{"label": ["Kiwi"]}'}
    assert made == expected
    with pytest.raises(GalleryError, match="threshold=nan: expected finite numbers"):
        fields_of(threshold=float("nan"))


def test_filters_become_plain_values() -> None:
    given = {
        "day": np.array([1, 2]),
        "camera": np.int64(3),
        "source": Path("a.jpg"),
        "label": ("x", "y"),
        "shelf": None,
    }
    expected = {"day": [1, 2], "camera": 3, "source": "a.jpg", "label": ["x", "y"], "shelf": None}
    assert plain_filter(given) == expected  # type: ignore[arg-type]
    assert plain_filter({}) is None
    assert plain_filter(None) is None
