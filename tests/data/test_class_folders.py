"""Folders of classes: what is read, what is passed over, and what is explained."""

import os
import tempfile
import unicodedata
from pathlib import Path

import pytest

from image_folders import column, picture, pictures
from lookalike.data.image_files import find_broken
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_folders_give_sorted_rows_whatever_validation_is_called(tmp_path: Path, name: str) -> None:
    pictures(
        tmp_path, "train/pear/2.png", "train/pear/10.png", "train/apple/1.jpg", f"{name}/pear/1.png", "test/pear/1.png"
    )
    manifest = read_manifest(tmp_path)
    assert column(manifest, "path") == sorted(column(manifest, "path"))
    assert dict(zip(column(manifest, "path"), column(manifest, "split"), strict=True)) == {
        "test/pear/1.png": "test",
        "train/apple/1.jpg": "train",
        "train/pear/10.png": "train",
        "train/pear/2.png": "train",
        f"{name}/pear/1.png": "validation",
    }
    assert manifest.labels == ["apple", "pear"]
    assert manifest.notes == ()
    assert manifest.counts().loc["pear"].to_dict() == {"train": 2, "validation": 1, "test": 1, "augmented": 0}


def test_validation_may_lie_in_two_folders(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "val/a/1.png", "validation/a/1.png")
    assert column(read_manifest(tmp_path), "split") == ["train", "validation", "validation"]


def test_kaggles_fruit_set_reads_as_it_comes(tmp_path: Path) -> None:
    accented = "jalapeño"
    for split, form in (("train", "NFD"), ("validation", "NFC"), ("test", "NFC")):
        for label in ("bell pepper", "chilli pepper", accented, "sweetcorn"):
            folder = tmp_path / split / unicodedata.normalize(form, label)
            picture(folder / "Image_1.jpg")
            picture(folder / "Image_2.png", "P")
            picture(folder / "Image_3.png", "RGBA")
            picture(folder / "Image_10.JPG")
    manifest = read_manifest(tmp_path)
    assert manifest.labels == ["bell pepper", "chilli pepper", accented, "sweetcorn"]
    assert (manifest.counts()[["train", "validation", "test"]] == 4).all(axis=None)
    assert find_broken([manifest.file(path) for path in manifest.table["path"]]) == []
    protocol = manifest.protocol("validation")
    assert set(protocol.queries["label"]) <= set(protocol.references["label"])


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/deep/er/1.png", "train/a/1.png")
    assert column(read_manifest(tmp_path), "label") == ["a", "a"]


def test_hidden_files_are_left_out_and_other_files_noted(tmp_path: Path) -> None:
    hidden = ("train/.DS_Store/x.png", "train/a/._1.png", "train/a/.ipynb_checkpoints/1.png", ".git/a/1.png")
    pictures(tmp_path, "train/a/1.png", *hidden)
    no_images = ("train/a/notes.txt", "train/a/deep/more.txt", "train/a/Makefile", "train/list.csv")
    for name in (*no_images, "train/a/.hidden", "train/a/.git/config.ini"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    manifest = read_manifest(tmp_path)
    assert column(manifest, "path") == ["train/a/1.png"]
    assert manifest.notes == (
        "1 file(s) ending in nothing passed over: not an image extension",
        "1 file(s) ending in .csv passed over: not an image extension",
        "2 file(s) ending in .txt passed over: not an image extension",
    )


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], "expected a folder train/<class>/ in it, found nothing; give the folder above with data.root="),
        (["a/b.txt", "c.txt"], "expected a folder train/<class>/ in it, found a, c.txt; give the folder above"),
        (["pear/1.png"], "found pear; add data.validation_share=0.2 to split these class folders"),
        (["train/readme.txt"], "no image at all: expected at least one in train/<class>/"),
        (["train/a/1.png", "train/b/x.txt"], "1 problem.*\n  train/b: a class with no images: add some or remove"),
        (["train/a/1.png", "train/2.png"], "train/2.png: an image outside any class folder: move it to train/<class>/"),
        (["train/a/1.png", "val/2.png"], "val/2.png: an image outside any class folder: move it to val/<class>/"),
        (["train/ /1.png"], "  ' ' in train: a folder whose name is blank: name it after its class"),
        (["train/a/1.png", "train/2.png", "train/3.png"], "  2 images outside any class folder: move them to train/<"),
        (["a/1.png", "2.png", "3.png"], "found 2.png, 3.png, a; add data.validation_share=0.2"),
        (["2.png", "3.png"], "found 2.png, 3.png; make a folder for each class, write a table with the columns"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path, paths: list[str], expected: str) -> None:
    for path in paths:
        if path.endswith(".png"):
            picture(tmp_path / path)
        else:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


PEOPLE = {
    "train/0002/0002_c1s1_1.png": ("0002", "train", "", 1),
    "val/0002/0002_c2s1_1.png": ("0002", "validation", "", 2),
    "query/0001/0001_c1s1_1.png": ("0001", "test", "query", 1),
    "gallery/0001/0001_c2s1_1.png": ("0001", "test", "reference", 2),
    "gallery/0000/0000_c2s1_1.png": ("0000", "test", "reference", 2),
    "gallery/-1/-1_c2s1_1.png": ("-1", "test", "reference", 2),
}


def test_query_and_gallery_beside_train_are_roles(tmp_path: Path) -> None:
    manifest = read_manifest(pictures(tmp_path, *PEOPLE, "train_all/0002/1.png"))
    table = manifest.table.set_index("path")
    columns = [table[name] for name in ("label", "split", "role", "camera")]
    assert dict(zip(table.index, zip(*columns, strict=True), strict=True)) == PEOPLE
    assert manifest.notes == ("1 folder(s) beside train/ passed over: train_all",)
    assert manifest.protocol("test").text == "1 queries and 3 references, both of split test; 1 distractors; 1 junk"
    plain = read_manifest(pictures(tmp_path / "plain", *(f"{name}/a/1.png" for name in ("train", "query", "gallery"))))
    assert column(plain, "role") == ["reference", "query", ""]
    assert not plain.cameras_expected


@pytest.mark.parametrize(
    ("paths", "share", "expected"),
    [
        (
            ["query/1/1.png", "gallery/1/1.png"],
            0.5,
            "query: a folder of queries, references or a split, no class|gallery",
        ),
        (["image_query/1/1.png"], 0.5, "image_query: a folder of queries"),
        (["Probe/1.png", "pear/1.png"], 0.5, "Probe: a folder of queries"),
        (["test/a/1.png", "val/a/1.png"], 0.5, "test, val: a folder of queries, references or a split"),
        (["test/a/1.png"], 0.0, "test: a folder of queries, references or a split"),
        (["fruits/train/a/1.png", "fruits/test/a/1.png"], 0.5, "fruits: a data set of its own.* data.root=.*/fruits"),
        (["train/a/1.png", "query/a/1.png"], 0.0, r"query: expected query/ and gallery/ together"),
        (["train/a/1.png", "gallery/a/1.png"], 0.0, r"gallery: expected query/ and gallery/ together"),
        (["train/a/1.png", *(f"{n}/a/1.png" for n in ("test", "query", "gallery"))], 0.0, "found all of them"),
        (["train/bounding_box_test/1.png", "train/a/1.png"], 0.0, "train/bounding_box_test: a folder of a re-ident"),
        (["train/Gallery/1.png", "train/a/1.png"], 0.0, "train/Gallery: a folder of a re-identification data set"),
        (["train/m/bounding_box_train/0002_c1.png", "train/a/1.png"], 0.0, "train/m: a folder of a re-identification"),
    ],
)
def test_roles_and_splits_are_no_classes(tmp_path: Path, paths: list[str], share: float, expected: str) -> None:
    with pytest.raises(ManifestError, match=expected):
        read_manifest(pictures(tmp_path, *paths), validation_share=share)


def test_linked_classes_are_read_and_two_names_of_one_folder_told(tmp_path: Path) -> None:
    store = pictures(tmp_path / "store", *(f"{number}.png" for number in range(6)))
    root = pictures(tmp_path / "data", "train/Kiwi/1.png", "train/Kiwi/2.png", "train/Leek/1.png")
    (root / "train/Kiwi/more").symlink_to(store)
    (root / "validation").symlink_to(root / "train")
    manifest = read_manifest(root)
    assert manifest.counts().loc["Kiwi"].to_dict() == {"train": 8, "validation": 8, "test": 0, "augmented": 0}
    (root / "train/Pear").symlink_to(store)
    assert read_manifest(root).labels == ["Kiwi", "Leek", "Pear"]
    (root / "train/Plum").symlink_to(root / "train/Leek")
    with pytest.raises(
        ManifestError, match=r"train/Plum: the same folder as train/Leek \(a link\): remove one of them"
    ):
        read_manifest(root)


def test_images_beside_the_splits_or_classes_are_told(tmp_path: Path) -> None:
    root = pictures(tmp_path / "splits", "train/a/1.png", "2.png", "3.png")
    manifest = read_manifest(root)
    assert column(manifest, "path") == ["train/a/1.png"]
    assert manifest.notes == ("2 image(s) beside train/ passed over, in no class: 2.png, 3.png",)
    told = "2 images outside any class folder: move them to <class>/: 2.png, 3.png"
    root = pictures(tmp_path / "classes", "a/0.png", "a/1.png", "2.png", "3.png")
    with pytest.raises(ManifestError, match=told):
        read_manifest(root, validation_share=0.5)
    with pytest.raises(ManifestError, match="make a folder for each class"):
        read_manifest(pictures(tmp_path / "flat", "2.png"), validation_share=0.5)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give up its rights")
@pytest.mark.parametrize(
    ("closed", "share", "told"),
    [
        ("train/Lemon", 0.0, r"train/Lemon: cannot be opened \(Permission denied\): check its permissions$"),
        ("train", 0.0, r"train: cannot be opened \(Permission denied\): check its permissions$"),
        ("Lemon", 0.5, r"\n  Lemon: cannot be opened \(Permission denied\): check its permissions$"),
        ("query", 0.0, r"\n  query: cannot be opened \(Permission denied\): check its permissions$"),
        ("", 0.0, r"data: cannot be opened \(Permission denied\): check its permissions$"),
    ],
)
def test_a_folder_that_cannot_be_opened_is_named(closed: str, share: float, told: str) -> None:
    other = {"query": "bounding_box_test/0001_c1s1_1.png", "Lemon": "Kiwi/1.png"}.get(closed, "train/Kiwi/1.png")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = pictures(Path(folder, "data"), other, f"{closed or 'train'}/{'' if closed[:1].islower() else 'x/'}1.png")
        (root / closed).chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(ManifestError, match=told):
                read_manifest(root, validation_share=share)
        finally:
            os.seteuid(0)
            (root / closed).chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give up its rights")
def test_a_folder_that_lets_its_names_be_read_alone_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = pictures(Path(folder, "data"), "train/Kiwi/1.png", "train/Lemon/1.png")
        (root / "train/Lemon").chmod(0o444)
        os.seteuid(65534)
        try:
            with pytest.raises(ManifestError, match=r"1\.png: Permission denied: check the permissions of its folder$"):
                read_manifest(root)
        finally:
            os.seteuid(0)
