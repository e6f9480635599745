"""Market-1501: folders, names, and people held out."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from lookalike.data.hold_out import hold_out_people
from lookalike.data.image_files import PassedOver, find_broken
from lookalike.data.layouts import market
from lookalike.data.layouts.market import market_root, read_market
from lookalike.data.layouts.registry import claims
from lookalike.data.manifest import write_table
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.checks import need_cameras
from lookalike.settings.check import check
from lookalike.settings.data import Data
from market_layout import SMALL, layout, rows


def people(root: Path, shots: dict[str, Iterable[int | None]]) -> Path:
    """Training images: for each person the cameras of the images, None for a name without a camera."""
    for label, cameras in shots.items():
        for number, camera in enumerate(cameras):
            middle = "" if camera is None else f"c{camera}s1_"
            layout(root, f"bounding_box_train/{label}_{middle}{number:06}_00.jpg")
    return root


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
    cameras = manifest.table["camera"].value_counts().to_dict()
    assert cameras == Counter(int(name.split("_c")[1][0]) for name in train + test + query)
    assert manifest.notes == ()
    assert manifest.cameras_expected
    protocol = manifest.protocol("test")
    expected = f"{len(query)} queries and {len(test)} references, both of split test; 200 distractors; 100 junk"
    assert protocol.text == expected
    assert (protocol.own_row == -1).all()


def test_named_files_of_the_real_folder(omniglot_market: Path) -> None:
    images = rows(read_manifest(omniglot_market))
    assert images["query/0001_c2s1_000051_00.jpg"] == ("0001", "test", "query", 2, False)
    assert images["bounding_box_train/0002_c1s1_000176_01.jpg"] == ("0002", "train", "", 1, False)
    assert images["bounding_box_test/0241_c6s1_000451_01.jpg"] == ("0241", "test", "reference", 6, False)
    assert images["bounding_box_test/-1_c1s1_030006_01.jpg"] == ("-1", "test", "reference", 1, True)
    distractors = {row for path, row in images.items() if path.startswith("bounding_box_test/0000_c3")}
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
    images = rows(read_manifest(layout(tmp_path, *(f"{folder}/{name}" for name in names))))
    assert images == {
        f"{folder}/{name}": (label, "train", "", camera, False) for name, (label, camera) in names.items()
    }


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
    (tmp_path / "gt_query").mkdir()
    manifest = read_manifest(tmp_path)
    assert sorted(rows(manifest)) == sorted(SMALL)
    assert manifest.notes == (
        "2 folder(s) beside bounding_box_train/ passed over: gt_bbox, gt_query",
        "1 file(s) ending in nothing passed over: not an image extension",
        "2 file(s) ending in .db passed over: not an image extension",
    )


def test_people_in_train_and_in_test_are_noted(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, "bounding_box_train/-1_c1s1_1.jpg")
    assert read_manifest(tmp_path).notes == (), "junk on both sides is no leak"
    layout(tmp_path, "bounding_box_test/0002_c1s1_000001_00.jpg", "query/0004_c1s1_1.jpg")
    layout(tmp_path, "bounding_box_train/0004_c1s1_000001_00.jpg", "bounding_box_train/0005_c1s1_1.jpg")
    note, _ = read_manifest(tmp_path).notes
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


def test_the_settings_of_market1501_name_the_folder_of_its_archive() -> None:
    import yaml

    values = yaml.safe_load((Path(__file__).parents[3] / "configs/data/market1501.yaml").read_text("utf-8"))
    settings = check(Data, values)
    assert (settings.root, settings.validation_share, settings.seed, settings.archive) == (
        "data/Market-1501-v15.09.15",
        0.1,
        0,
        None,
    )


def test_the_table_of_the_reader_has_these_columns_even_when_empty(tmp_path: Path) -> None:
    for paths in ((), (TRAIN,)):
        read = read_market(layout(tmp_path, *paths), PassedOver())
        table, problems = read.table, read.problems
        assert list(table) == ["path", "label", "split", "role", "camera", "ignore"]
        assert (str(table["camera"].dtype), str(table["ignore"].dtype)) == ("Int64", "bool")
        assert problems == []


VERI = (
    "image_train/0001_c001_00016450_0.jpg",
    "image_train/0002_c003_00016450_0.jpg",
    "image_test/0005_c002_00075755_0.jpg",
    "image_query/0005_c018_00084270_0.jpg",
)


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (("image_train", "image_test", "image_query"), "VeRi-776, by image_train, image_test, image_query"),
        (("train", "gallery", "query"), "train, gallery and query, by train, gallery, query"),
        (("bounding_box_train", "bounding_box_test", "query"), "Market-1501's folders, by bounding_box_train"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_same_files_in_folders_of_other_names(
    tmp_path: Path, names: tuple[str, str, str], called: str, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    places = dict(zip(("image_train", "image_test", "image_query"), names, strict=True))
    paths = [path.replace(path.partition("/")[0], places[path.partition("/")[0]]) for path in VERI]
    root = layout(tmp_path / "veri", *paths)
    manifest = read_data(str(root), validation_share=share)
    read = rows(manifest)
    assert read[paths[2]] == ("0005", "test", "reference", 2, False)
    assert read[paths[3]] == ("0005", "test", "query", 18, False)
    assert {row[0] for row in read.values()} == {"0001", "0002", "0005"}
    assert manifest.cameras_expected
    assert f"{root}: read as {called}" in capsys.readouterr().err
    assert len(manifest.protocol("test").queries) == 1


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("0001_c1s1_000001_00.jpg", "market1501"),
        ("0001_c1s1_000001_00.jpg.jpg", "market1501"),
        ("0001_c001_00016450_0.jpg", "market-folders"),
        ("0001_c1s1_1.jpg", "market-folders"),
        ("zebra_1.jpg", "market-folders"),
    ],
)
def test_only_names_of_market1501_claim_its_figures(tmp_path: Path, name: str, called: str) -> None:
    [(claimed, _)] = claims(
        layout(tmp_path, f"bounding_box_train/{name}", f"bounding_box_test/{name}", f"query/{name}")
    )
    assert claimed.name == called
    assert (claimed.standard is not None) == (called == "market1501")
    assert claimed.cameras


def test_a_layout_below_a_data_set_never_wins(tmp_path: Path) -> None:
    root = layout(tmp_path, "train/Kiwi/1.jpg", "test/Kiwi/2.jpg", *(f"Market-1501-v15.09.15/{path}" for path in SMALL))
    manifest = read_manifest(root)
    assert manifest.root == root
    assert manifest.labels == ["Kiwi"]
    assert manifest.notes == ("1 folder(s) beside train/ passed over: Market-1501-v15.09.15",)
    assert manifest.read_as == "class folders in test, train"
    alone = layout(tmp_path / "alone", "Kiwi/1.jpg", "Kiwi/2.jpg", *(f"Market/{path}" for path in SMALL))
    with pytest.raises(
        ManifestError, match=r"both class folders \(Kiwi\) and a data set of its own in Market: give data"
    ):
        read_manifest(alone, validation_share=0.5)
    below = layout(tmp_path / "below", *(f"Market/{path}" for path in SMALL))
    assert read_manifest(below).read_as.endswith(f"query in Market/, as {below} has no train/ of its own")


def test_the_500k_distractors_join_the_references(tmp_path: Path) -> None:
    layout(tmp_path, *SMALL, "images/0000_c2s1_000001_00.jpg", "images/-1_c3s1_000002_00.jpg", "images/0000_1.jpg")
    layout(tmp_path, "images/map.jpg", "images/Thumbs.db")
    manifest = read_manifest(tmp_path)
    assert rows(manifest)["images/0000_c2s1_000001_00.jpg"] == ("0000", "test", "reference", 2, False)
    assert rows(manifest)["images/-1_c3s1_000002_00.jpg"] == ("-1", "test", "reference", 3, True)
    assert manifest.protocol("test").distractors == 3
    assert manifest.notes[:2] == (
        "3 further distractors of images/ are among the references",
        "2 entries of images/ that name no person passed over",
    )
    need_cameras(manifest, manifest.protocol("test"))  # nobody's camera makes no difference
    layout(tmp_path, "images/0007_c2s1_000001_00.jpg")
    with pytest.raises(ManifestError, match=r"images/0007_c2s1_000001_00\.jpg: person 0007, expected 0000 or -1 there"):
        read_manifest(tmp_path)
