"""Market-1501: folders, names, people held out, and archives that mean well or not."""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lookalike.data import market, market_archive
from lookalike.data.dataset import read_data, read_manifest
from lookalike.data.hold_out import hold_out_people
from lookalike.data.image_files import find_broken
from lookalike.data.manifest import Manifest, write_table
from lookalike.data.market import market_root, read_market
from lookalike.data.market_archive import MarketError, unpack
from lookalike.data.tables import ManifestError
from lookalike.files import DiskFullError
from lookalike.settings.check import check
from lookalike.settings.training import Data

TINY_JPEG = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
SMALL = (
    "bounding_box_train/0002_c1s1_000001_00.jpg",
    "bounding_box_train/0002_c2s1_000002_00.jpg",
    "bounding_box_test/0001_c2s1_000003_00.jpg",
    "bounding_box_test/0000_c1s1_000004_00.jpg",
    "bounding_box_test/-1_c1s1_000005_00.jpg",
    "query/0001_c1s1_000006_00.jpg",
)


def layout(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(TINY_JPEG)
    return root


def people(root: Path, shots: dict[str, Iterable[int | None]]) -> Path:
    """Training images: for each person the cameras of the images, None for a name without a camera."""
    for label, cameras in shots.items():
        for number, camera in enumerate(cameras):
            middle = "" if camera is None else f"c{camera}s1_"
            layout(root, f"bounding_box_train/{label}_{middle}{number:06}_00.jpg")
    return root


def rows(manifest: Manifest) -> dict[str, tuple[object, ...]]:
    table = manifest.table
    cameras = [None if pd.isna(camera) else camera for camera in table["camera"]]
    columns = (table["label"], table["split"], table["role"], cameras, table["ignore"])
    return dict(zip(table["path"], zip(*columns, strict=True), strict=True))


def files_below(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def names_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".jpg")]  # noqa: PTH208 - not through our own reader


def with_valid_positive(table: pd.DataFrame) -> int:
    """Checks every query of a split against the camera rule, one by one; returns how many there are."""
    queries, references = table[table["role"] == "query"], table[table["role"] == "reference"]
    for query in queries.itertuples():
        same = references[references["label"] == query.label]
        unknown = pd.isna(query.camera)
        assert any(unknown or pd.isna(camera) or camera != query.camera for camera in same["camera"]), query.path
    return len(queries)


def test_the_real_folder_is_read_as_its_names_say(omniglot_market: Path) -> None:
    manifest = read_manifest(omniglot_market)
    train, test, query = (names_in(omniglot_market / name) for name in market.FOLDERS)
    assert min(len(train), len(test), len(query)) > 500
    split = manifest.table.groupby(["split", "role"]).size().to_dict()
    assert split == {("train", ""): len(train), ("test", "reference"): len(test), ("test", "query"): len(query)}
    assert len(manifest.labels) == len({name.split("_")[0] for name in train})
    junk = sum(name.startswith("-1_") for name in test)
    distractors = sum(name.startswith("0000_") for name in test)
    assert manifest.table["ignore"].sum() == junk == 100
    assert (manifest.table["label"] == "0000").sum() == distractors == 200
    found = manifest.table["camera"].value_counts().to_dict()
    assert found == Counter(int(name.split("_c")[1][0]) for name in train + test + query)
    assert manifest.notes == ()
    assert manifest.cameras_expected
    protocol = manifest.protocol("test")
    expected = f"{len(query)} queries and {len(test)} references, both of split test; 200 distractors; 100 junk"
    assert protocol.text == expected
    assert (protocol.own_row == -1).all()


def test_named_files_of_the_real_folder(omniglot_market: Path) -> None:
    found = rows(read_manifest(omniglot_market))
    assert found["query/0001_c2s1_000051_00.jpg"] == ("0001", "test", "query", 2, False)
    assert found["bounding_box_train/0002_c1s1_000176_01.jpg"] == ("0002", "train", "", 1, False)
    assert found["bounding_box_test/0241_c6s1_000451_01.jpg"] == ("0241", "test", "reference", 6, False)
    assert found["bounding_box_test/-1_c1s1_030006_01.jpg"] == ("-1", "test", "reference", 1, True)
    distractors = {row for path, row in found.items() if path.startswith("bounding_box_test/0000_c3")}
    assert distractors == {("0000", "test", "reference", 3, False)}


def test_the_real_images_decode(omniglot_market: Path) -> None:
    manifest = read_manifest(omniglot_market)
    assert find_broken([manifest.file(path) for path in manifest.table["path"][::40]]) == []


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_people_of_the_real_folder_are_held_out(omniglot_market: Path, share: float) -> None:
    whole = read_manifest(omniglot_market).table
    manifest = read_manifest(omniglot_market, validation_share=share, seed=3)
    table = manifest.table
    held, train = (set(table["label"][table["split"] == split]) for split in ("validation", "train"))
    everybody = set(whole["label"][whole["split"] == "train"])
    assert held | train == everybody
    assert not held & train
    assert len(held) == round(share * len(everybody))
    validation = table[table["split"] == "validation"]
    assert set(validation["role"]) == {"query", "reference"}
    # Every person here was seen by all cameras more than once, so each person and camera asks exactly once.
    asked = validation[validation["role"] == "query"].groupby(["label", "camera"]).size()
    pairs = validation.groupby(["label", "camera"]).size()
    assert asked.index.equals(pairs.index)
    assert set(asked) == {1}
    assert with_valid_positive(validation) == len(pairs)
    assert len(manifest.protocol("validation").queries) == len(pairs)
    others = [table[table["split"] == "test"], whole[whole["split"] == "test"]]
    assert others[0].equals(others[1]), "test is untouched"
    assert manifest.notes == (
        f"{len(held)} people with {len(validation)} training images held out for validation (share {share:g}, seed 3)",
    )


def test_who_is_held_out_depends_on_the_seed_alone(omniglot_market: Path) -> None:
    table = read_manifest(omniglot_market).table
    first, again, other = (hold_out_people(table, 0.1, seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert set(first["label"][first["split"] == "validation"]) != set(other["label"][other["split"] == "validation"])
    shuffled = hold_out_people(table.sample(frac=1, random_state=7), 0.1, 0).sort_index()
    assert shuffled.equals(first), "the order of the rows does not matter"
    assert (table["split"] != "validation").all(), "the given table is unchanged"


def test_names_with_and_without_a_camera(tmp_path: Path) -> None:
    folder = "bounding_box_train"
    names = {
        "0002_c1s1_000451_03.jpg": ("0002", 1),
        "0003_c12s3_000451.PNG": ("0003", 12),
        "0004_c5_f0046182.webp": ("0004", 5),
        "0005_c6.jpeg": ("0005", 6),
        "0006_000451.jpg": ("0006", None),
        "0007_anything.png": ("0007", None),
        "0008_c1owboy.jpg": ("0008", None),
        "00009_cs1.jpg": ("00009", None),
    }
    found = rows(read_manifest(layout(tmp_path, *(f"{folder}/{name}" for name in names))))
    assert found == {f"{folder}/{name}": (label, "train", "", camera, False) for name, (label, camera) in names.items()}


def test_junk_is_ignored_wherever_it_lies(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, "query/-1_c1s1_000001_00.jpg", "bounding_box_train/-1_c1s1_000001_00.jpg")
    manifest = read_manifest(tmp_path, validation_share=0.5)
    junk = [path for path, row in rows(manifest).items() if row[-1]]
    assert [path.partition("/")[0] for path in junk] == ["bounding_box_test", "bounding_box_train", "query"]
    assert manifest.labels == ["0002"]
    assert manifest.protocol("test").queries["path"].tolist() == ["query/0001_c1s1_000006_00.jpg"]


def test_other_files_are_noted_and_hidden_ones_are_not(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, "query/._0001_c1s1_000006_00.jpg", "query/.cache/0001_c1s1_1.jpg", "gt_bbox/0001_1.jpg")
    for name in ("query/Thumbs.db", "bounding_box_test/Thumbs.db", "bounding_box_train/list", "query/.DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "readme.txt").touch()
    (tmp_path / "query/empty").mkdir()
    manifest = read_manifest(tmp_path)
    assert sorted(rows(manifest)) == sorted(SMALL)
    assert manifest.notes == (
        "1 file(s) ending in nothing passed over: not an image extension",
        "2 file(s) ending in .db passed over: not an image extension",
    )


def test_people_in_train_and_in_test_are_noted(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, "bounding_box_train/-1_c1s1_1.jpg")
    assert read_manifest(tmp_path).notes == (), "junk on both sides is no leak"
    layout(tmp_path, "bounding_box_test/0002_c1s1_000001_00.jpg", "query/0004_c1s1_1.jpg")
    layout(tmp_path, "bounding_box_train/0004_c1s1_000001_00.jpg", "bounding_box_train/0005_c1s1_1.jpg")
    (note,) = read_manifest(tmp_path).notes
    assert note.startswith("2 people are in train and in test (such as 0002): test figures are better")


def test_training_alone_is_enough(tmp_path: Path) -> None:
    manifest = read_manifest(people(tmp_path, {"0002": (1, 2), "0003": (1, 2)}))
    assert set(manifest.table["split"]) == {"train"}
    with pytest.raises(ManifestError, match=r"split test has no query: expected images in query/ and bounding_box_te"):
        manifest.protocol("test")
    with pytest.raises(ManifestError, match=r"split validation has no query: .*data\.validation_share=0\.1"):
        manifest.protocol("validation")


TRAIN = "bounding_box_train/0002_c1s1_1.jpg"
TEST = "bounding_box_test/0001_c1s1_1.jpg"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            [TRAIN, TEST],
            r"1 problem.*\n  query: no image: expected .* ask bounding_box_test; copy them there, or remove",
        ),
        ([TRAIN, TEST, "query/x.txt"], r"1 problem.*\n  query: no image: .* remove bounding_box_test to train only"),
        (
            [TRAIN, "query/0001_c1s1_1.jpg"],
            r"1 problem.*\n  bounding_box_test: no image: .* remove query to train only",
        ),
        (["bounding_box_train/readme.txt"], r"1 problem.*\n  bounding_box_train: no image: expected training images"),
        ([TRAIN, "bounding_box_train/cat.jpg"], r"/cat\.jpg: the name has no id: expected 0002_c1s1_000451_03\.jpg"),
        ([TRAIN, "bounding_box_train/000451.jpg"], r"/000451\.jpg: the name has no id: expected 0002_c1s1"),
        ([TRAIN, "bounding_box_train/_c1s1_1.jpg"], r"1 problem.*\n.*/_c1s1_1\.jpg: the name has no id"),
        ([TRAIN, "bounding_box_train/-2_c1s1_1.jpg"], r"1 problem.*\n.*/-2_c1s1_1\.jpg: the name has no id"),
        (["bounding_box_train/cat.jpg"], r"1 problem.*\n.*/cat\.jpg: the name has no id"),
        (
            [TRAIN, "bounding_box_train/0000_c1s1_1.jpg"],
            r"/0000_c1s1_1\.jpg: 0000 is nobody: expected in bounding_box_t",
        ),
        ([*SMALL, "query/0000_c1s1_1.jpg"], r"1 problem.*\n  query/0000_c1s1_1\.jpg: 0000 is nobody: .*move or remove"),
        (
            [TRAIN, "bounding_box_train/0003/0003_c1s1_1.jpg"],
            r"bounding_box_train/0003: a folder of images: .* move them",
        ),
    ],
)
def test_a_layout_that_cannot_be_used_is_explained(tmp_path: Path, paths: list[str], expected: str) -> None:
    with pytest.raises(ManifestError, match=expected):
        read_manifest(layout(tmp_path, *paths))


def test_empty_files_and_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    layout(tmp_path, TRAIN)
    (tmp_path / "bounding_box_train/0003_c1s1_1.jpg").touch()
    layout(tmp_path, "bounding_box_train/" + os.fsdecode(b"0004_c1s1_\xf1.jpg"))
    with pytest.raises(ManifestError, match=r"2 problem") as caught:
        read_manifest(tmp_path)
    assert str(caught.value).splitlines()[1:] == [
        r"  bounding_box_train/0004_c1s1_\udcf1.jpg: the name is not UTF-8: rename it",
        "  bounding_box_train/0003_c1s1_1.jpg: zero bytes: replace or remove the file",
    ]


def test_the_layout_is_found_one_folder_down(tmp_path: Path) -> None:
    inner = layout(tmp_path / "Market-1501-v15.09.15", *SMALL)
    assert market_root(inner) == inner
    assert market_root(tmp_path) == inner
    layout(tmp_path / ".unpacking.tmp", *SMALL)
    assert market_root(tmp_path) == inner, "a hidden folder is what an interrupted run left"
    manifest = read_manifest(tmp_path)
    assert manifest.root == inner
    assert sorted(rows(manifest)) == sorted(SMALL)
    layout(tmp_path / "second", TRAIN)
    assert market_root(tmp_path) is None, "which of two is not guessed"
    assert market_root(tmp_path / "no") is None
    assert market_root(inner / "query") is None
    assert market_root(tmp_path / "second" / TRAIN) is None


def test_other_layouts_expect_no_cameras_and_copies_keep_what_is_expected(tmp_path: Path) -> None:
    plain = read_manifest(layout(tmp_path / "plain", "train/a/1.jpg", "train/b/1.jpg"))
    assert not plain.cameras_expected
    manifest = read_manifest(layout(tmp_path / "market", *SMALL))
    copy = {"path": "copy.jpg", "label": "0002", "split": "train", "source": SMALL[0]}
    more = manifest.with_augmented(pd.DataFrame([copy]))
    assert more.cameras_expected
    assert len(more.table) == len(manifest.table) + 1
    assert len(more.protocol("train").references) == 2


def test_a_written_table_reads_back_with_cameras_roles_and_junk(tmp_path: Path) -> None:
    manifest = read_manifest(layout(tmp_path, *SMALL))
    write_table(manifest, tmp_path / "market.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "market.csv").table, manifest.table)


ASKERS = {
    "two cameras": ([1, 1, 2, 2], 2),
    "one image under each of two cameras": ([1, 2], 1),
    "many and one": ([1, 1, 1, 2], 1),
    "three cameras": ([1, 2, 3], 2),
    "one camera": ([1, 1, 1], 0),
    "one image": ([1], 0),
    "no camera": ([None, None, None], 1),
    "one image without a camera": ([None], 0),
    "a camera and none": ([1, None], 1),
}


@pytest.mark.parametrize(("cameras", "expected"), ASKERS.values(), ids=ASKERS)
def test_who_asks(tmp_path: Path, cameras: list[int | None], expected: int) -> None:
    people(tmp_path, {f"{number:04}": cameras for number in range(1, 7)})
    for seed in range(5):
        table = read_manifest(tmp_path, validation_share=0.5, seed=seed).table
        validation = table[table["split"] == "validation"]
        assert validation["label"].nunique() == 3
        assert with_valid_positive(validation) == 3 * expected
        assert (validation["role"] == "reference").sum() == 3 * (len(cameras) - expected)
        assert set(table["role"][table["split"] == "train"]) == {""}


def test_which_image_asks_depends_on_the_seed(tmp_path: Path) -> None:
    people(tmp_path, {"0002": [None] * 9, "0003": [None] * 9})
    asked = {
        hold_out_people(read_manifest(tmp_path).table, 0.5, seed).query("role == 'query'")["path"].item()[-11:]
        for seed in range(10)
    }
    assert len(asked) > 2


@pytest.mark.parametrize(
    ("total", "share", "held"),
    [(10, 0.01, 2), (10, 0.3, 3), (10, 0.99, 8), (4, 0.1, 2), (4, 0.9, 2), (3, 0.1, 1), (3, 0.9, 1), (2, 0.9, 1)],
)
def test_two_people_stay_on_either_side_where_there_are_enough(
    tmp_path: Path, total: int, share: float, held: int
) -> None:
    people(tmp_path, {f"{number:04}": (1, 2) for number in range(1, total + 1)})
    manifest = read_manifest(tmp_path, validation_share=share)
    assert manifest.table["label"][manifest.table["split"] == "validation"].nunique() == held
    assert len(manifest.labels) == total - held


def test_one_person_stays_in_training(tmp_path: Path) -> None:
    people(tmp_path, {"0002": (1, 2)})
    assert set(read_manifest(tmp_path, validation_share=0.5).table["split"]) == {"train"}


def test_somebody_held_out_can_ask_when_anybody_can(tmp_path: Path) -> None:
    people(tmp_path, {"0020": (1, 2), **{f"{number:04}": (1, 1) for number in range(1, 20)}})
    for seed in range(5):
        manifest = read_manifest(tmp_path, validation_share=0.1, seed=seed)
        assert manifest.protocol("validation").queries["label"].tolist() == ["0020"]
        assert manifest.protocol("validation").references["label"].nunique() == 2


def test_nobody_who_can_ask_is_explained(tmp_path: Path) -> None:
    people(tmp_path, {f"{number:04}": (1, 1) for number in range(1, 6)})
    manifest = read_manifest(tmp_path, validation_share=0.4)
    with pytest.raises(ManifestError, match="split validation has no query: expected people under two cameras or more"):
        manifest.protocol("validation")


def zipped(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file


def official(file: Path) -> Path:
    """Laid out like the archive that its authors give away, with what else is in it."""
    top = "Market-1501-v15.09.15/"
    others = ("gt_bbox/0001_c1s1_000001_00.jpg", "gt_query/0001_c1s1_000001_00_good.mat", "readme.txt")
    others = (*others, "query/Thumbs.db", "query/._0001_c1s1_000006_00.jpg")
    members = {top: b"", f"{top}query/": b"", **{top + path: TINY_JPEG for path in (*SMALL, *others)}}
    return zipped(file, members, zipfile.ZIP_DEFLATED)


def test_the_official_archive_is_unpacked_without_what_is_not_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = official(tmp_path / "Market-1501-v15.09.15.zip")
    folder = tmp_path / "new/market"
    assert unpack(archive, folder) == folder
    assert files_below(folder) == dict.fromkeys(SMALL, TINY_JPEG)
    assert capsys.readouterr().err == f"{archive}: 6 images unpacked into {folder}, 5 other files left out\n"
    assert sorted(rows(read_manifest(folder))) == sorted(SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "new"]
    assert [path.name for path in folder.parent.iterdir()] == ["market"]


@pytest.mark.parametrize("top", ["", "./", "a/b c/", "query/"])
def test_the_folders_are_found_wherever_they_stand(tmp_path: Path, top: str) -> None:
    archive = zipped(tmp_path / "a.zip", {top + path: TINY_JPEG for path in SMALL})
    assert files_below(unpack(archive, tmp_path / "out")) == dict.fromkeys(SMALL, TINY_JPEG)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unpack(official(tmp_path / "a.zip"), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]
    assert len(files_below(tmp_path / "out")) == len(SMALL)


@pytest.mark.parametrize("inner", ["", "Market-1501-v15.09.15/"])
def test_what_is_there_is_used_when_it_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inner: str
) -> None:
    archive = official(tmp_path / "a.zip")
    unpack(archive, tmp_path / "out" / inner)
    before = files_below(tmp_path)
    capsys.readouterr()
    assert unpack(archive, tmp_path / "out") == tmp_path / "out"
    assert capsys.readouterr().err == (
        f"{tmp_path / 'out'}: already holds the images of {archive}, which is not unpacked again\n"
    )
    assert files_below(tmp_path) == before


def test_another_archive_is_not_taken_for_what_is_there(tmp_path: Path) -> None:
    unpack(official(tmp_path / "a.zip"), tmp_path / "out")
    before = files_below(tmp_path / "out")
    other = zipped(tmp_path / "b.zip", dict.fromkeys(SMALL[1:], TINY_JPEG))
    with pytest.raises(MarketError, match=r"out: holds \d+ images, .*b.zip holds \d+, and 1 differ .* data.root="):
        unpack(other, tmp_path / "out")
    with pytest.raises(MarketError, match=r"gone.zip: No such file"):
        unpack(tmp_path / "gone.zip", tmp_path / "out")
    assert files_below(tmp_path / "out") == before


@pytest.mark.parametrize("taken", ["out/notes.txt", "out"])
def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    archive = official(tmp_path / "a.zip")
    before = files_below(tmp_path)
    with pytest.raises(MarketError, match=r"out: expected a new or an empty folder .* give a new one with data\.root="):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path) == before


def raw_member(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """A member whose name is written as it is."""
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr, info.create_system = name, mode << 16, 3
    return info


EVIL = [
    ("../evil.jpg", r"'\.\./evil\.jpg' leads out of its folder"),
    ("query/../../evil.jpg", "leads out of its folder"),
    ("bounding_box_test/..", r"'bounding_box_test/\.\.' leads out of its folder"),
    ("/query/evil.jpg", "'/query/evil.jpg' is an absolute path"),
    ("//server/query/evil.jpg", "is an absolute path"),
    ("C:/query/evil.jpg", "'C:/query/evil.jpg' names a drive"),
    ("query/d:evil.jpg", "'query/d:evil.jpg' names a drive"),
    ("query\\..\\..\\evil.jpg", "has a backslash or a zero byte in its name"),
    ("query/..\\evil.jpg", "has a backslash or a zero byte in its name"),
    ("query/evil.jpg\0.txt", "has a backslash or a zero byte in its name"),
    ("../readme.txt", "leads out of its folder"),
]


@pytest.mark.parametrize(("name", "expected"), EVIL)
@pytest.mark.parametrize("first", [True, False])
def test_a_member_that_would_leave_the_folder_stops_everything(
    tmp_path: Path, name: str, expected: str, first: bool
) -> None:
    archive = tmp_path / "deep/er/a.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as target:
        if first:
            target.writestr(raw_member(name), TINY_JPEG)
        for path in SMALL:
            target.writestr(path, TINY_JPEG)
        if not first:
            target.writestr(raw_member(name), TINY_JPEG)
    with pytest.raises(MarketError, match=f"{expected}: expected plain files .* nothing was unpacked, get the archive"):
        unpack(archive, tmp_path / "deep/er/out")
    assert list(files_below(tmp_path)) == ["deep/er/a.zip"]
    assert [path.name for path in archive.parent.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("name", ["query/0009_c1s1_1.jpg", "Market/query", "link"])
def test_a_link_stops_everything(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(raw_member(name, stat.S_IFLNK | 0o777), str(outside))
        for path in SMALL:
            target.writestr(path, TINY_JPEG)
    with pytest.raises(MarketError, match=rf"'{name}' is a link: expected plain files"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "outside"]
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["b/query/0001_c1s1_000006_00.jpg", "query/0001_C1S1_000006_00.JPG"])
def test_two_members_for_one_place_are_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", dict.fromkeys((*SMALL, name), TINY_JPEG))
    expected = rf"query/0001_c1s1_000006_00\.jpg and {name} would both become query/.*: expected one data set"
    with pytest.raises(MarketError, match=expected):
        unpack(archive, tmp_path / "out")
    assert list(files_below(tmp_path)) == ["a.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for path in (*SMALL, SMALL[0]):
            target.writestr(path, TINY_JPEG)
    with pytest.raises(MarketError, match=r"would both become bounding_box_train/0002_c1s1_000001_00\.jpg"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {},
            r"expected images in bounding_box_train/ or bounding_box_test/, found nothing; give the zip of Market-1501",
        ),
        ({"fruits/train/a/1.jpg": TINY_JPEG, "b.txt": b""}, "found b.txt, fruits; give the zip of Market-1501"),
        (
            {"m/query/0001_c1s1_1.jpg": TINY_JPEG},
            "expected images in bounding_box_train/ or bounding_box_test/, found m;",
        ),
        ({"bounding_box_train/list.txt": b"x"}, "found bounding_box_train; give the zip"),
        ({"bounding_box_train/.hidden.jpg": TINY_JPEG, "bounding_box_train/": b""}, "found bounding_box_train; give"),
        ({"bounding_box_train_old/0001_c1s1_1.jpg": TINY_JPEG}, "found bounding_box_train_old; give"),
    ],
)
def test_an_archive_of_something_else_is_explained(tmp_path: Path, members: dict[str, bytes], expected: str) -> None:
    with pytest.raises(MarketError, match=expected) as caught:
        unpack(zipped(tmp_path / "a.zip", members), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def change_a_pixel(content: bytes) -> bytes:
    """Damages the last stored image; the table of contents behind it is whole."""
    place = content.rindex(TINY_JPEG) + len(TINY_JPEG) // 2
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def lock(content: bytes) -> bytes:
    """Sets the bit `encrypted` of the last member, in its header and in the table of contents."""
    changed = bytearray(content)
    changed[content.rindex(b"PK\x03\x04") + 6] |= 1
    changed[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, r"damaged or cut off \(File is not a zip file\): copy or download it again"),
        (
            change_a_pixel,
            r"000006_00\.jpg cannot be unpacked \(Bad CRC-32 .*\): damaged or locked; copy or download the",
        ),
        (lock, r"000006_00\.jpg cannot be unpacked \(.*password required.*\): damaged or locked"),
        (lambda _: b"", "not a zip file: expected the zip of Market-1501; unpack others yourself and give data.root="),
        (lambda _: b"\x1f\x8b tar", "not a zip file: expected the zip of Market-1501"),
        (lambda _: b"PK", r"damaged or cut off \(File is not a zip file\)"),
    ],
)
def test_a_damaged_archive_is_explained_and_leaves_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes], expected: str
) -> None:
    archive = zipped(tmp_path / "a.zip", dict.fromkeys(SMALL, TINY_JPEG))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(MarketError, match=expected) as caught:
        unpack(archive, tmp_path / "out")
    assert str(caught.value).startswith(str(archive))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_any_flipped_byte_gives_an_explanation_or_the_data(tmp_path: Path, compression: int) -> None:
    archive = zipped(tmp_path / "a.zip", {SMALL[0]: TINY_JPEG}, compression)
    content = archive.read_bytes()
    refused = 0
    for place in [*range(60), *range(len(content) - 150, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 0xFF
        archive.write_bytes(bytes(changed))
        folder = tmp_path / f"out {place}"
        try:
            unpack(archive, folder)
        except MarketError:
            refused += 1
            assert not folder.exists()
        else:
            assert list(files_below(folder).values()) == [TINY_JPEG]
    assert refused > 60


@pytest.mark.parametrize(("name", "reason"), [("no.zip", "No such file or directory"), ("folder", "Is a directory")])
def test_an_archive_that_is_not_there_is_explained(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        MarketError, match=f"{name}: {reason}: expected the zip of Market-1501; give its place with data"
    ):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_unpack_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = official(tmp_path / "a.zip")
    copied = []
    copy = market_archive._copy

    def stop(*arguments: object) -> None:
        if len(copied) == 3:
            raise KeyboardInterrupt
        copied.append(arguments)
        copy(*arguments)

    monkeypatch.setattr(market_archive, "_copy", stop)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    monkeypatch.undo()
    layout(tmp_path / ".out.tmp", "query/9999_left_by_a_killed_process.jpg")
    assert files_below(unpack(archive, tmp_path / "out")) == dict.fromkeys(SMALL, TINY_JPEG)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = official(tmp_path / "a.zip")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(market_archive.shutil, "copyfileobj", full)
    with pytest.raises(DiskFullError, match="out: no space left to write it"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_read_data_unpacks_into_data_or_into_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = official(tmp_path / "Market-1501-v15.09.15.zip")
    manifest = read_data(None, archive=str(archive))
    assert manifest.root == Path("data/Market-1501-v15.09.15")
    assert sorted(rows(manifest)) == sorted(SMALL)
    assert read_data("elsewhere", archive=str(archive)).table.equals(manifest.table)
    assert files_below(tmp_path / "elsewhere") == dict.fromkeys(SMALL, TINY_JPEG)
    with pytest.raises(ManifestError, match=r"data\.root: needs a value"):
        read_data(None)


def test_the_settings_of_market1501_name_the_folder_of_its_archive() -> None:
    import yaml

    values = yaml.safe_load((Path(__file__).parents[2] / "configs/data/market1501.yaml").read_text("utf-8"))
    settings = check(Data, values)
    assert (settings.root, settings.validation_share, settings.seed, settings.archive) == (
        "data/Market-1501-v15.09.15",
        0.1,
        0,
        None,
    )


def test_the_table_of_the_reader_has_these_columns_even_when_empty(tmp_path: Path) -> None:
    for paths in ((), (TRAIN,)):
        table, _, problems = read_market(layout(tmp_path, *paths))
        assert list(table) == ["path", "label", "split", "role", "camera", "ignore"]
        assert (str(table["camera"].dtype), str(table["ignore"].dtype)) == ("Int64", "bool")
        assert problems == []


def test_a_link_to_an_empty_folder_elsewhere_is_filled(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert unpack(official(tmp_path / "a.zip"), tmp_path / "data") == tmp_path / "data"
    assert (tmp_path / "data").is_symlink()
    assert market_root(tmp_path / "disk") == tmp_path / "disk"


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    swollen = zipped(
        tmp_path / "a.zip", {"bounding_box_test/0001_c1s1_000001_00.jpg": bytes(30 << 20)}, zipfile.ZIP_DEFLATED
    )
    with pytest.raises(MarketError, match="30 MiB would come out of 0 MiB"):
        unpack(swollen, tmp_path / "data")
    assert not (tmp_path / "data").exists()
