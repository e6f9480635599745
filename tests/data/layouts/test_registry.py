"""Which layout a folder has: one, none, or two that are not guessed between."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.layouts.registry import LAYOUTS, claims, recognise
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures
from made_retrieval import MADE as RETRIEVAL
from market_layout import SMALL, layout

VERI = ("image_train/0001_c001_00016450_0.jpg", "image_test/0002_c002_00030600_0.jpg", "image_query/0002_c003_0_0.jpg")


def test_names_are_told_apart_and_can_be_typed() -> None:
    names = [entry.name for entry in LAYOUTS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and name.replace("-", "").isalnum() for name in names)
    assert not {"auto", "folders"} & {*names}


def test_every_layout_has_a_made_set() -> None:
    made = {*MADE, *(name for name, _ in RETRIEVAL.values())}
    assert {layout.name for layout in LAYOUTS if not layout.asked_for} == made


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("above", [False, True])
def test_each_is_recognised_as_itself_by_one_reader_alone(
    name: str, above: bool, tmp_path: Path, pictures: Pictures
) -> None:
    """Under a folder name that tells nothing, and from the folder above it."""
    root = MADE[name](tmp_path / "data", pictures)
    assert [entry.name for entry, _ in claims(root)] == [name]
    manifest = read_manifest(tmp_path if above else root)
    assert manifest.layout == name
    assert manifest.root == root
    assert manifest.standard
    protocol = manifest.protocol("test")
    assert protocol.queries["label"].isin(protocol.references["label"]).any()
    train, test = (set(manifest.table.loc[manifest.table["split"] == split, "label"]) for split in ("train", "test"))
    assert train
    assert not train & test, "people of train are nobody of test"


TOGETHER = [
    ("market1501", "dukemtmc"),
    ("market1501", "cuhk03-np"),
    ("cuhk03-labeled", "cuhk03-detected"),
    ("veri776", "vehicleid"),
    ("mars", "msmt17"),
    ("mars", "market1501"),
    ("ilids-vid", "prid2011"),
]


@pytest.mark.parametrize(("first", "second"), TOGETHER)
def test_what_lies_in_between_is_refused_with_both_names(
    first: str, second: str, tmp_path: Path, pictures: Pictures
) -> None:
    root = MADE[second](MADE[first](tmp_path, pictures), pictures)
    with pytest.raises(ManifestError, match=r"looks like .* and .*: expected one data set; say which it is") as refused:
        read_manifest(root)
    by_name = {entry.name: entry for entry in LAYOUTS}
    for name in (first, second):
        assert by_name[name].title in str(refused.value)
        assert f"data.layout={name}" in str(refused.value)
        if "mars" not in (first, second) or name == "mars":
            assert recognise(root, name)


def test_two_data_sets_in_one_folder_are_refused_and_a_setting_decides(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, *VERI)
    expected = (
        r"looks like Market-1501 \(by bounding_box_train, bounding_box_test, query\) and VeRi-776 \(by image_train,.*\)"
        r": expected one data set; say which it is with data\.layout=market1501 or data\.layout=veri776"
    )
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)
    market = read_manifest(tmp_path, layout="market1501")
    assert (market.layout, len(market.table)) == ("market1501", len(SMALL))
    assert len(read_manifest(tmp_path, layout="veri776").table) == len(VERI)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            "market",
            r"data\.layout=market: no such layout; did you mean market1501.*expected one of auto, folders, market",
        ),
        ("msmt17", r"nothing of MSMT17 in it, as data\.layout=msmt17 says: correct data\.root, or leave data\.layout"),
        ("folders", r"bounding_box_test, bounding_box_train, query: a folder of queries, references or a split"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(tmp_path: Path, wanted: str, expected: str) -> None:
    with pytest.raises(ManifestError, match=expected):
        read_manifest(layout(tmp_path, *SMALL), layout=wanted)


@pytest.mark.parametrize("name", MADE)
def test_what_is_never_looked_into_has_none_of_the_marks(name: str, tmp_path: Path, pictures: Pictures) -> None:
    entry = next(entry for entry in LAYOUTS if entry.name == name)
    root = MADE[name](tmp_path, pictures)
    assert any((root / mark).exists() for mark in entry.marks)
    for mark in entry.marks:
        if (root / mark).exists():
            (root / mark).rename(tmp_path / f"other {mark}")
    assert entry.looks_like(root) is None


def test_class_folders_and_tables_have_no_published_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout(tmp_path, "train/kiwi/1.jpg", "train/leek/1.jpg", "validation/kiwi/1.jpg")
    assert claims(tmp_path) == []
    assert recognise(tmp_path) is None
    manifest = read_data(str(tmp_path))
    assert (manifest.layout, manifest.standard) == ("", None)
    assert "read as class folders in train, validation" in capsys.readouterr().err


def test_what_was_recognised_and_why_travels_with_the_data_set(tmp_path: Path) -> None:
    manifest = read_manifest(layout(tmp_path / "inner", *SMALL).parent)
    assert manifest.layout == "market1501"
    assert manifest.read_as.startswith("Market-1501, by bounding_box_train, bounding_box_test, query in inner/")
    assert manifest.standard
    assert manifest.standard.camera_rule
    assert manifest.standard.metrics == ("cmc@1", "map")


def spoilt(content: bytes) -> list[bytes | None]:
    """What becomes of a file: cut off, other bytes, empty, numbers out of range; None for a folder instead."""
    rng = np.random.default_rng(0)
    turned = np.frombuffer(content, np.uint8).copy()
    turned[rng.integers(len(turned), size=max(1, len(turned) // 20))] ^= 0xFF
    return [b"", content[: len(content) // 2], content[:-1], turned.tobytes(), b"\xff\xfe\0" * 50, b"-1 -1\n", None]


@pytest.mark.parametrize("name", MADE)
def test_spoilt_lists_are_refused_or_read_and_never_a_crash(name: str, tmp_path: Path, pictures: Pictures) -> None:
    root = MADE[name](tmp_path / "data", pictures)
    read = 0
    for file in [path for path in root.rglob("*") if path.is_file() and path.suffix not in (".jpg", ".png")]:
        content = file.read_bytes()
        for spoil in spoilt(content):
            file.unlink()
            file.mkdir() if spoil is None else file.write_bytes(spoil)
            with suppress(ManifestError):
                read_manifest(root)
            file.rmdir() if spoil is None else None
            file.write_bytes(content)
            read += 1
    assert read_manifest(root).layout == name
    assert read or name in ("market1501", "dukemtmc", "cuhk03-np", "market-like", "prid2011-single")
