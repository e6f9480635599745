"""What is told of the images in a gallery, now and as it was."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery
from lookalike.gallery.rows import EnrolledImage
from lookalike.inference.references import GalleryError


def test_labels_images_and_cameras(gallery: Gallery, digits: Path) -> None:
    assert gallery.labels == {f"digit {label}": 10 for label in range(5)}
    assert (len(gallery), gallery.version, gallery.name) == (50, 1, "shop")
    images = gallery.images("digit 3")
    assert [type(image) for image in images] == [EnrolledImage] * 10
    files = sorted((digits / "train" / "digit 3").iterdir())
    assert [image.source for image in images] == [str(file.resolve()) for file in files]
    assert gallery.images("digit 3", first=8, most=5) == images[8:]
    assert gallery.cameras(np.array([image.number for image in images])) == [None] * 10
    with pytest.raises(GalleryError, match=r"digit 33"):
        gallery.images("digit 33")


def test_a_thumbnail_stays_while_an_image_is_removed(gallery: Gallery) -> None:
    number = gallery.images("digit 3")[0].number
    jpeg = gallery.thumbnail(number)
    assert jpeg.startswith(b"\xff\xd8")
    gallery.remove(image=number)
    assert gallery.thumbnail(number) == jpeg
    assert gallery.thumbnail(10**6) == b""


def test_the_number_of_a_change_is_that_of_who_made_it(gallery: Gallery) -> None:
    gallery.rename("digit 3", "three")
    assert gallery.last_change == gallery.version == 2
    other = Gallery.open(gallery.path)
    other.rename("digit 4", "four")
    assert (other.last_change, gallery.last_change, gallery.version) == (3, 2, 3)
    gallery.move(gallery.images("three")[0].number, "three")
    assert gallery.last_change is None, "nothing was changed"
