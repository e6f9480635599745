"""Which files are images, and which of them cannot be used."""

import os
from pathlib import Path

import pytest

from image_folders import pictures
from lookalike.data.image_files import PassedOver, find_broken, find_images, gallery_above
from lookalike.data.reading import read_manifest
from lookalike.inference.queries import find_queries
from market_layout import SMALL, layout
from pictures import JPEG, PNG


def test_find_broken_keeps_the_order_and_looks_at_every_file(tmp_path: Path) -> None:
    contents: list[bytes] = [JPEG, b"", PNG, JPEG[:500], b"text", PNG]
    files = [tmp_path / f"{name}.jpg" for name in "fedcba"]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    missing = tmp_path / "0.jpg"
    looked: list[None] = []
    texts = find_broken([*files, missing], threads=4, progress=lambda: looked.append(None))
    assert [text.split(":")[0] for text in texts] == [str(file) for file in (files[1], files[3], files[4], missing)]
    assert len(looked) == 7
    assert find_broken([]) == []


def test_find_images_goes_by_the_extension_and_skips_the_hidden(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "deep/er/c.webp", ".d.png", ".hidden/e.png", "f.txt", "png", "g.png.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)] == [
        "a.jpeg",
        "b.JPG",
        "deep/er/c.webp",
    ]


def names(root: Path, passed: PassedOver | None = None) -> list[str]:
    return [file.relative_to(root).as_posix() for file in find_images(root, passed)]


def test_linked_folders_are_followed_and_loops_told(tmp_path: Path) -> None:
    root = pictures(tmp_path / "Kiwi", "1.png", "2.png")
    pictures(tmp_path / "store", *(f"{number}.png" for number in range(6)))
    pictures(tmp_path / "Leek", "l.png")
    (root / "more").symlink_to(tmp_path / "store")
    (root / "file.png").symlink_to(tmp_path / "store" / "0.png")
    passed = PassedOver()
    assert len(names(root, passed)) == 9
    assert passed.notes == []
    (root / "self").symlink_to(root)
    (tmp_path / "store" / "up").symlink_to("..")
    (tmp_path / "store" / "back").symlink_to(root)
    (root / "again").symlink_to(tmp_path / "store")
    (root / "dead").symlink_to(tmp_path / "gone")
    (root / "round").symlink_to("round")
    passed = PassedOver()
    files = names(root, passed)
    assert len(files) == 9
    assert not any("Leek" in file or "l.png" in file for file in files)
    told = {line.removeprefix(f"{root}/").partition(":")[0]: line.partition(": ")[2] for line in passed.notes}
    assert told == {
        "self": "a link to a folder above it is not followed: remove it",
        "again/up": "a link to a folder above it is not followed: remove it",
        "again/back": "a link to a folder above it is not followed: remove it",
        "more": "a link to a folder that is read already: remove it",
        "dead": "a link that leads nowhere: correct or remove it",
        "round": "a link that leads nowhere: correct or remove it",
    }
    assert len(passed.lost) == 2, "what is read anyway is not lost"


def test_many_links_between_folders_end(tmp_path: Path) -> None:
    for number in range(20):
        pictures(tmp_path / str(number), "1.png")
    for number in range(19):
        for link in range(2):
            (tmp_path / str(number) / f"link{link}").symlink_to(tmp_path / str(number + 1))
    assert len(names(tmp_path / "0")) == 20


@pytest.mark.parametrize(
    "name", ["@eaDir", "$RECYCLE.BIN", "__MACOSX", ".thumbnails", "#recycle", "System Volume Information", "lost+found"]
)
def test_folders_of_systems_are_no_classes_and_told(tmp_path: Path, name: str) -> None:
    data = pictures(tmp_path / "data", "train/Kiwi/1.png", f"train/{name}/x.png", f"train/Kiwi/{name}/1.png")
    pictures(data, f"{name}/2.png")
    manifest = read_manifest(data)
    assert manifest.labels == ["Kiwi"]
    assert len(manifest.table) == 1
    assert manifest.notes == (f"3 folder(s) of the system passed over: {name}",)
    alone = pictures(tmp_path / "alone", *(f"Kiwi/{number}.png" for number in range(4)), f"{name}/x.png")
    assert read_manifest(alone, validation_share=0.5).labels == ["Kiwi"]
    assert find_queries(f"{data}/train/*/*.png") == [data / "train/Kiwi/1.png"]
    assert find_queries(str(data)) == [data / "train/Kiwi/1.png"]
    market = layout(tmp_path / "market", *SMALL, f"query/{name}/0001_c1s1_1.jpg")
    assert f"1 folder(s) of the system passed over: {name}" in read_manifest(market).notes


def test_a_folder_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, "a/1.png", "b/1.png")
    listing = os.scandir

    def refusing(place: Path) -> "os.PathLike[str]":
        if Path(place).name == "b":
            raise PermissionError(13, "Permission denied")
        return listing(place)

    monkeypatch.setattr(os, "scandir", refusing)
    passed = PassedOver()
    assert names(tmp_path, passed) == ["a/1.png"]
    assert passed.lost == [f"{tmp_path / 'b'}: cannot be opened (Permission denied): check its permissions"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs, and among them a gallery that keeps unknown images."""
    for name in ("Kiwi/1.png", "shop/unknown/2.png", "shop/gallery.sqlite", "deep/er/shop/unknown/x/3.png"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    (tmp_path / "photos/deep/er/shop/gallery.sqlite").write_bytes(b"")
    return tmp_path / "photos"


def test_the_folder_of_a_gallery_is_passed_over(photos: Path) -> None:
    passed = PassedOver()
    assert find_images(photos, passed) == [photos / "Kiwi/1.png"]
    assert passed.notes == [f"2 folder(s) of a gallery passed over: {photos / 'deep/er/shop'}, {photos / 'shop'}"]
    assert find_images(photos / "shop" / "unknown") == [photos / "shop/unknown/2.png"], "who asks for them, means them"


def test_of_a_gallery_among_photographs_only_what_it_keeps_is_passed_over(photos: Path) -> None:
    (photos / "gallery.sqlite").write_bytes(b"")
    (photos / "unknown").mkdir()
    (photos / "unknown" / "4.png").write_bytes(b"")
    passed = PassedOver()
    assert find_images(photos, passed) == [photos / "Kiwi/1.png"]
    assert photos / "unknown" in passed.galleries


def test_which_gallery_a_file_belongs_to(photos: Path) -> None:
    assert gallery_above(photos / "shop/unknown/2.png", photos) == photos / "shop"
    assert gallery_above(photos / "shop/unknown/2.png", photos / "shop/unknown") is None
    assert gallery_above(photos / "deep/er/shop/unknown/x/3.png", photos) == photos / "deep/er/shop"
    assert gallery_above(photos / "Kiwi/1.png", photos) is None
