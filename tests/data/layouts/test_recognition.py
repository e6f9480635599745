"""Retrieval benchmarks and sets of boxes: each is recognised as itself, alone or beside what looks alike."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.layouts.registry import LAYOUTS, claims
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import MADE, Photographs, write

STANDARD = {"in-shop", "online-products", "cub-200-2011", "cars196", "revisited"}


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("above", [False, True])
def test_each_is_recognised_as_itself_by_one_reader_alone(
    made: str, above: bool, tmp_path: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make = MADE[made]
    root = make(tmp_path / "data", photographs)
    assert [layout.name for layout, _ in claims(root)] == [name]
    manifest = read_data(str(tmp_path if above else root))
    assert (manifest.layout, manifest.root) == (name, root)
    title = next(layout.title for layout in LAYOUTS if layout.name == name)
    assert f": read as {title}" in capsys.readouterr().err
    assert (manifest.standard is not None) == (name in STANDARD)
    if name in STANDARD:
        protocol = manifest.protocol("test")
        assert protocol.queries["label"].isin(protocol.references["label"]).any()
        assert set(manifest.labels).isdisjoint(manifest.table.loc[manifest.table["split"] == "test", "label"])


def spoilt(content: bytes) -> list[bytes | None]:
    """What becomes of a file: cut off, other bytes, empty, other numbers and texts; None for a folder instead."""
    rng = np.random.default_rng(0)
    turned = [np.frombuffer(content, np.uint8).copy() for _ in range(2)]
    for bits, part in zip((0xFF, 1 << 4), turned, strict=True):
        part[rng.integers(len(part), size=max(1, len(part) // 20))] ^= bits
    other = [content.replace(b"1", b"-9" * 9), content.replace(b".", b"\xff"), content.replace(b" ", b"\t\t")]
    return [b"", content[: len(content) // 2], *(part.tobytes() for part in turned), *other, b"\xff\xfe\0" * 50, None]


@pytest.mark.parametrize("made", MADE)
def test_spoilt_files_are_refused_or_read_and_never_a_crash(
    made: str, tmp_path: Path, photographs: Photographs
) -> None:
    name, make = MADE[made]
    root = make(tmp_path / "data", photographs)
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix.lower() not in (".jpg", ".png")]
    for file in files:
        content = file.read_bytes()
        for spoil in spoilt(content):
            file.unlink()
            file.mkdir() if spoil is None else file.write_bytes(spoil)
            with suppress(ManifestError):
                read_manifest(root)
            file.rmdir() if spoil is None else None
            file.write_bytes(content)
    assert files
    assert read_manifest(root).layout == name


@pytest.mark.parametrize(
    ("first", "second"),
    [("cub-200-2011", "in-shop"), ("coco", "yolo"), ("cars196", "cub-200-2011"), ("wildlife", "open-images")],
)
def test_two_in_one_folder_are_refused_and_a_setting_decides(
    first: str, second: str, tmp_path: Path, photographs: Photographs
) -> None:
    for made in (first, second):
        MADE[made][1](tmp_path, photographs)
    with pytest.raises(
        ManifestError, match=r"looks like .* and .*: expected one data set; say which it is with data\."
    ):
        read_manifest(tmp_path)
    for made in (first, second):
        assert read_manifest(tmp_path, layout=MADE[made][0]).layout == MADE[made][0]


@pytest.mark.parametrize("name", ["cub-200-2011", "cars196"])
def test_boxes_are_a_layout_that_never_claims_by_itself(name: str, tmp_path: Path, photographs: Photographs) -> None:
    root = MADE[name][1](tmp_path, photographs)
    assert [layout.name for layout, _ in claims(root)] == [name]
    manifest = read_manifest(root, layout=f"{name}-boxes")
    assert manifest.layout == f"{name}-boxes"
    assert manifest.table[["x1", "y1", "x2", "y2"]].notna().all(axis=None)
    assert manifest.standard == read_manifest(root).standard


FRUITS_360 = [
    f"{split}/{label}/{n}_100.jpg" for split in ("Training", "Test") for label in ("Apple 6", "Pear 1") for n in (0, 9)
]


def test_fruits_360_is_class_folders_and_its_other_photographs_are_told(
    tmp_path: Path, photographs: Photographs
) -> None:
    photographs.put(tmp_path, *FRUITS_360, "test-multiple_fruits/apple_pear1.jpg")
    write(tmp_path / "LICENSE", "MIT")
    manifest = read_manifest(tmp_path)
    assert (manifest.layout, manifest.standard) == ("", None)
    assert manifest.read_as == "class folders in Test (as test), Training (as train)"
    assert manifest.table.groupby("split")["label"].unique().map(list).to_dict() == {
        "test": ["Apple 6", "Pear 1"],
        "train": ["Apple 6", "Pear 1"],
    }
    assert manifest.notes == ("1 folder(s) beside train/ passed over: test-multiple_fruits",)


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), {"train", "validation", "test"}),
        (("train", "valid", "test"), {"train", "validation", "test"}),
        (("train", "query", "gallery"), {"train", "test"}),
        (("train", "validation"), {"train", "validation"}),
        (("TRAIN", "TEST"), {"train", "test"}),
    ],
)
def test_folders_of_classes_are_class_folders_whatever_lies_beside_them(
    folders: tuple[str, ...], splits: set[str], tmp_path: Path, photographs: Photographs
) -> None:
    photographs.put(tmp_path, *(f"{folder}/{label}/{folder}.jpg" for folder in folders for label in ("a", "b")))
    for name in ("README.txt", "classes.txt", "labels.csv", "metadata.csv", "images.txt", "data.yaml"):
        write(tmp_path / name, "class,number\na,1\n")
    (tmp_path / folders[0] / "a" / "Thumbs.db").write_bytes(b"x")
    manifest = read_manifest(tmp_path)
    assert (manifest.layout, {*manifest.table["split"]}) == ("", splits)
    assert any("1 file(s) ending in .db passed over" in note for note in manifest.notes)
