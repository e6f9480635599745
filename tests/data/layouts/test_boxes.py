"""Boxes against their images: cut, left out, counted; sizes by headers alone, upright."""

import os
from pathlib import Path

from PIL import Image

from image_folders import picture
from lookalike.data.images import MIN_SIDE, read_image
from lookalike.data.layouts.boxes import Boxes, upright_sizes


def test_boxes_are_cut_to_their_image_and_what_is_left_must_be_usable() -> None:
    boxes = Boxes()
    assert boxes.inside("a.jpg", (2, 3, 20, 30), (48, 36)) == (2, 3, 20, 30)
    assert boxes.notes == []
    assert boxes.inside("b.jpg", (-5, 3, 20, 300), (48, 36)) == (0, 3, 20, 36)
    assert boxes.inside("b.jpg", (40, 3, 60, 30), (48, 36)) == (40, 3, 48, 30)
    assert boxes.inside("c.jpg", (50, 3, 60, 30), (48, 36)) is None  # beside the image
    assert boxes.inside("d.jpg", (5, 5, 5 + MIN_SIDE - 1, 30), (48, 36)) is None
    assert boxes.inside("e.jpg", (30, 30, 20, 20), (48, 36)) is None  # its sides are less than nothing
    assert boxes.inside("f.jpg", (-5, 2, 500, 300), None) == (0, 2, 500, 300)
    boxes.crowds.append("g.jpg")
    assert boxes.notes == [
        "3 box(es) reach beyond their image and are cut to it: b.jpg, f.jpg",
        "3 box(es) hold less than 4 x 4 pixels of their image and are left out: c.jpg, d.jpg, e.jpg",
        "1 box(es) are marked as crowds or groups and are left out: g.jpg",
    ]


def test_a_rounded_share_is_not_beyond_the_image() -> None:
    boxes = Boxes()
    assert boxes.inside("a.jpg", (-0.4, 0, 48.4, 36), (48, 36)) == (0, 0, 48, 36)
    assert boxes.notes == []


def test_sizes_are_those_of_the_upright_image_as_it_is_read(tmp_path: Path) -> None:
    files = []
    for orientation in range(1, 9):
        file = tmp_path / f"{orientation}.jpg"
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (32, 20), "green").save(file, exif=exif)
        files.append(file)
    sizes = upright_sizes(files)
    for file in files:
        high, wide, _ = read_image(file).shape
        assert sizes[file] == (wide, high)


def test_what_has_no_size_says_why(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:20])
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ("good.png", "text.jpg", "cut.png", "pipe.jpg", "none.jpg")
    sizes = upright_sizes([tmp_path / name for name in names])
    assert sizes[tmp_path / "good.png"] == (8, 8)
    assert sizes[tmp_path / "text.jpg"] == "no image"
    assert isinstance(sizes[tmp_path / "cut.png"], str)
    assert sizes[tmp_path / "pipe.jpg"] == "a pipe or a device, expected an image"
    assert sizes[tmp_path / "none.jpg"] == "No such file or directory"
