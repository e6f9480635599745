"""One validated table of images, whatever layout or table it comes from."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike.data.dataset import read_data, read_manifest
from lookalike.data.image_files import find_broken
from lookalike.data.manifest import Manifest, boxes_of, write_table
from lookalike.data.tables import ManifestError


def picture(file: Path, mode: str = "RGB") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8)).save(file)
    return file


def pictures(root: Path, *paths: str) -> Path:
    for path in paths:
        picture(root / path)
    return root


def csv(root: Path, text: str, name: str = "data.csv") -> Path:
    (root / name).write_text(text, "utf-8")
    return root / name


def column(manifest: Manifest, name: str) -> list[object]:
    return manifest.table[name].tolist()


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
    others = ("train/a/notes.txt", "train/a/deep/more.txt", "train/a/Makefile", "train/list.csv")
    for name in (*others, "train/a/.hidden", "train/a/.git/config.ini"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    manifest = read_manifest(tmp_path)
    assert column(manifest, "path") == ["train/a/1.png"]
    assert manifest.notes == (
        "1 file(s) ending in nothing passed over: not an image extension",
        "1 file(s) ending in .csv passed over: not an image extension",
        "2 file(s) ending in .txt passed over: not an image extension",
    )


def test_read_data_tells_what_was_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pictures(tmp_path / "[red] :apple:", "train/a/1.png")  # neither markup nor an emoji
    (root / "train" / "readme.md").touch()
    read_data(str(root))
    assert capsys.readouterr().err == f"{root}: 1 file(s) ending in .md passed over: not an image extension\n"
    with pytest.raises(ManifestError, match=r"data\.root: needs a value"):
        read_data(None)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], "expected a folder train/<class>/ in it, found nothing; give the folder above with data.root="),
        (["a/b.txt", "c.txt"], "expected a folder train/<class>/ in it, found a, c.txt; give the folder above"),
        (["pear/1.png"], "found pear; add data.validation_share=0.2 to split these class folders"),
        (["train/readme.txt"], "no image at all: expected at least one in train/<class>/"),
        (["train/a/1.png", "train/b/x.txt"], "1 problem.*\n  train/b: a class with no images: add some or remove"),
        (["train/a/1.png", "train/2.png"], "train/2.png: an image outside any class folder: move it to train/<class>/"),
        (["train/a/1.png", "val/2.png"], "val/2.png: an image outside any class folder: move it to validation/<class>"),
        (["train/Kiwi/1.png", "validation/Kiwis/1.png"], "'Kiwis' is in validation but not in train.*mean Kiwi\\?"),
        (["train/Kiwi/1.png", "test/Leek/1.png"], "class 'Leek' is in test but not in train: no .* the folder$"),
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


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no such folder or table: expected train/<class>/\*\.jpg"):
        read_manifest(tmp_path / "no")


def test_zero_bytes_and_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/a/2.png")
    (tmp_path / "train/a/0.png").touch()
    (tmp_path / "train/a/2.png").rename(tmp_path / "train/a" / os.fsdecode(b"jalape\xf1o.png"))
    with pytest.raises(ManifestError, match="not UTF-8") as caught:
        read_manifest(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: 2 problem(s) in the data:",
        r"  train/a/jalape\udcf1o.png: the name is not UTF-8: rename it",
        "  train/a/0.png: zero bytes: replace or remove the file",
    ]


@pytest.mark.parametrize("kind", ["files", "cameras"])
def test_twenty_problems_are_shown_and_the_rest_counted(tmp_path: Path, kind: str) -> None:
    root = pictures(tmp_path, *(f"train/a/{number:02}.png" for number in range(23)))
    if kind == "files":
        for file in (root / "train/a").iterdir():
            file.write_bytes(b"")
    else:
        rows = "".join(f"train/a/{number:02}.png,a,x\n" for number in range(23))
        root = csv(tmp_path, "path,label,camera\n" + rows)
    with pytest.raises(ManifestError, match=r"23 problem\(s\)") as caught:
        read_manifest(root)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1].strip() == "... and 3 more"


ODD_LABELS = [
    ["NA", "007", "None", "nan", "null", "1e5", "7.0", "16777217", "9007199254740993", "true", "a,b", " x"],
    ["007", "7", "16777217", "9007199254740993"],
    ["1.0", "1.50", "1e5", "NaN"],
    ["True", "False"],
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("labels", ODD_LABELS)
def test_labels_stay_what_was_written(tmp_path: Path, suffix: str, labels: list[str]) -> None:
    table = pd.DataFrame({"path": [f"{number:02}.png" for number in range(len(labels))], "label": labels})
    pictures(tmp_path, *table["path"])
    file = tmp_path / f"data{suffix}"
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    manifest = read_manifest(file)
    assert column(manifest, "label") == labels
    assert set(manifest.table["split"]) == {"train"}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([2**24, 2**24 + 1]), ["16777216", "16777217"]),
        (np.array([2**53, 2**53 + 1]), ["9007199254740992", "9007199254740993"]),
        (np.array([7.0, 16777217.0]), ["7", "16777217"]),
        (np.array([7, 8], np.float32), ["7", "8"]),
        (np.array([0.5, 8.0]), ["0.5", "8"]),
        (np.array([True, False]), ["True", "False"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
    ],
)
def test_numbers_as_labels_become_text_without_loss(tmp_path: Path, labels: object, expected: list[str]) -> None:
    pictures(tmp_path, "1.png", "2.png")
    pd.DataFrame({"path": ["1.png", "2.png"], "label": labels}).to_parquet(tmp_path / "data.parquet")
    assert column(read_manifest(tmp_path / "data.parquet"), "label") == expected


def test_every_column_of_a_table_is_understood(tmp_path: Path) -> None:
    pictures(tmp_path, "b/1.png", "b/2.png", "b/3.png")
    file = csv(
        tmp_path,
        "\ufeffpath,label,split,role,camera,ignore,category,x1,y1,x2,y2\n"  # as Excel writes UTF-8
        "b/3.png,x,test,query,,no,fruit,,,,\n"
        "b/2.png,x,test,reference,-1,TRUE,fruit,1,2,7.5,8\n"
        "b/2.png,x,test,both,2,,fruit,0,0,4,4\n"
        f"{tmp_path}/b/1.png,x,val,,3.0,0,leaf,,,,\n",
    )
    with pytest.raises(ManifestError, match="'x' is in validation but not in train"):
        read_manifest(file)
    pictures(tmp_path, "t.png")
    file.write_text(file.read_text("utf-8") + "t.png,x,train,,,1,,,,,\nt.png,x,train,,,,,0,0,8,8\n", "utf-8")
    table = read_manifest(file).table.set_index("path")
    assert table.index.tolist() == [f"{tmp_path}/b/1.png", "b/2.png", "b/2.png", "b/3.png", "t.png", "t.png"]
    assert table["split"].tolist() == ["validation", "test", "test", "test", "train", "train"]
    assert table["role"].tolist() == ["", "both", "reference", "query", "", ""]
    assert table["camera"].astype(object).where(table["camera"].notna(), None).tolist() == [3, 2, -1, None, None, None]
    assert table["ignore"].tolist() == [False, False, True, False, False, True]
    assert table["category"].tolist() == ["leaf", "fruit", "fruit", "fruit", "", ""]
    whole = (0.0, 0.0, 8.0, 8.0)
    assert boxes_of(table) == [None, (0.0, 0.0, 4.0, 4.0), (1.0, 2.0, 7.5, 8.0), None, whole, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cannot be read as a table"),
        ("file;label\n1.png;a\n", "expected the columns path and label .*, found file;label"),
        ("path\n1.png\n", r"expected the columns path and label \(also split, role, camera, .*\), found path$"),
        ("path,label\n", "no image at all"),
        ("path,label\n1.png,\n", "1.png: no label"),
        ("path,label\n1.png,a\n2.png,a\n", "2.png: No such file or directory: restore the file or remove its row"),
        ("path,label\n1.png,a\n1.png,b\n", "1.png: listed twice"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,0,4,4\n1.png,a,0,0,4,4\n", "1.png: listed twice"),
        ("path,label\n,a\n", r"\(no path\): a folder, expected an image file"),
        ("path,label,split\n1.png,a,training\n", "split 'training': expected one of train, validation, test"),
        ("path,label,role\n1.png,a,gallery\n", r"role 'gallery': expected one of \(empty\), reference, query, both"),
        ("path,label,camera\n1.png,a,left\n", "row 2: camera is 'left': expected a whole number or nothing"),
        ("path,label,camera\n1.png,a,2.5\n", "row 2: camera is '2.5': expected a whole number or nothing"),
        ("path,label,camera\n1.png,a,inf\n", "row 2: camera is 'inf': expected a whole number or nothing"),
        ("path,label,camera\n1.png,a,99999999999999999999\n", "row 2: camera is '9+': expected a whole number"),
        ("path,label,ignore\n1.png,a,maybe\n", "row 2: ignore is 'maybe': expected true or false"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,0,wide,4\n", "row 2: x2 is 'wide': expected a number or nothing"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,0,-inf,4\n", "row 2: x2 is '-inf': expected a number or nothing"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,,4,4\n", "row 2: a box of 3 numbers: expected x1, y1, x2, y2 or none"),
        ("path,label,x1,y1\n1.png,a,0,0\n", "row 2: a box of 2 numbers: expected x1, y1, x2, y2 or none"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    pictures(tmp_path, "1.png")
    with pytest.raises(ManifestError, match=expected):
        read_manifest(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data.txt", b"x", "expected a folder, a .csv or a .parquet table; got a .txt file"),
        ("data", b"x", "got a nameless file"),
        ("data.parquet", b"x", "cannot be read as a table"),
        ("data.csv", b"path,label\n\xf1,a\n", "cannot be read as a table .*utf-8.*: save it again as CSV or Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_explained(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_tables_of_open_metric_learning_are_understood(tmp_path: Path, suffix: str) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(6)))
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(6)],
            "label": [0, 0, 1, 1, 1, 1],
            "split": ["train", "train", *["validation"] * 4],
            "is_query": [None, None, True, True, False, False],
            "is_gallery": [True, None, True, False, True, False],
            "sequence": ["s0", "s0", "s1", "s1", "s2", None],
            **{name: [1, *[None] * 5] for name in ("x_1", "y_1")},
            **{name: [6, *[None] * 5] for name in ("x_2", "y_2")},
            "category": "bird",
        }
    )
    file = tmp_path / f"data{suffix}"
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    manifest = read_manifest(file)
    assert column(manifest, "label") == ["0", "0", "1", "1", "1", "1"]
    assert column(manifest, "role") == ["", "", "both", "query", "reference", ""]
    assert boxes_of(manifest.table) == [(1.0, 1.0, 6.0, 6.0), *[None] * 5]
    camera = manifest.table["camera"]
    assert camera[0] == camera[1]
    assert camera[2] == camera[3]
    assert camera[:5].nunique() == 3
    assert pd.isna(camera[5])
    assert column(manifest, "category") == ["bird"] * 6
    protocol = manifest.protocol("validation")
    assert protocol.queries["path"].tolist() == ["2.png", "3.png"]
    assert protocol.references["path"].tolist() == ["2.png", "4.png"]
    assert protocol.own_row.tolist() == [0, -1]


def test_a_sequence_over_two_labels_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    file = csv(tmp_path, "path,label,sequence\n1.png,a,s1\n2.png,b,s1\n")
    with pytest.raises(ManifestError, match="sequence s1 spans several labels: expected one label per sequence"):
        read_manifest(file)


def test_hold_out_is_a_function_of_the_seed_and_leaves_every_class_an_image(tmp_path: Path) -> None:
    pictures(
        tmp_path,
        *(f"{label}/{number}.png" for label, count in (("a", 10), ("b", 2), ("c", 1)) for number in range(count)),
    )
    read = {seed: read_manifest(tmp_path, validation_share=0.3, seed=seed) for seed in (0, 1, 2)}
    for seed, manifest in read.items():
        counts = manifest.counts()
        assert counts["validation"].to_dict() == {"a": 3, "b": 1, "c": 0}
        assert counts["train"].to_dict() == {"a": 7, "b": 1, "c": 1}
        assert manifest.notes == (f"4 training images held out for validation (share 0.3, seed {seed})",)
    assert read_manifest(tmp_path, validation_share=0.3, seed=1).table.equals(read[1].table)
    assert not all(read[seed].table.equals(read[0].table) for seed in (1, 2))


@pytest.mark.parametrize(("share", "held"), [(0.001, 1), (0.5, 2), (1.0, 3)])
def test_hold_out_takes_at_least_one_and_never_all(tmp_path: Path, share: float, held: int) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)))
    assert column(read_manifest(tmp_path, validation_share=share), "split").count("validation") == held


def test_validation_images_that_are_there_are_used_and_nothing_is_held_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)), "val/a/1.png")
    manifest = read_manifest(tmp_path, validation_share=0.5)
    assert column(manifest, "split").count("validation") == 1
    assert manifest.notes == ()


def test_copies_of_a_held_out_image_leave_training_with_it(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{kind}{number}.png" for kind in "ac" for number in range(4)))
    rows = "".join(f"a{number}.png,x,\nc{number}.png,x,a{number}.png\n" for number in range(4))
    table = read_manifest(csv(tmp_path, "path,label,source\n" + rows), validation_share=0.5).table.set_index("path")
    for number in range(4):
        assert table["split"][f"a{number}.png"] == table["split"][f"c{number}.png"]
    assert sorted(table["split"]) == ["train"] * 4 + ["validation"] * 4


def test_without_roles_the_references_are_the_training_images(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png", "4.png", "5.png")
    file = csv(
        tmp_path,
        "path,label,split,ignore\n1.png,a,train,\n2.png,b,train,1\n3.png,b,train,\n4.png,a,test,\n5.png,a,test,1\n",
    )
    manifest = read_manifest(file)
    test, train = manifest.protocol("test"), manifest.protocol("train")
    assert test.references["path"].tolist() == ["1.png", "3.png"]
    assert test.queries["path"].tolist() == ["4.png"]
    assert test.own_row.tolist() == [-1]
    assert test.text == "1 queries of split test, 2 references: the original training images"
    assert train.own_row.tolist() == [0, 1]
    assert train.text.endswith("; a query never finds itself")


def test_with_roles_a_split_brings_its_own_references(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(1, 8)))
    file = csv(
        tmp_path,
        "path,label,split,role,ignore\n1.png,a,train,,\n2.png,new,test,query,\n3.png,new,test,both,\n"
        "4.png,new,test,reference,\n5.png,-1,test,reference,1\n6.png,new,test,query,1\n7.png,new,test,,\n",
    )
    protocol = read_manifest(file).protocol("test")
    assert protocol.references["path"].tolist() == ["3.png", "4.png", "5.png"], "junk stays: ranking passes over it"
    assert protocol.queries["path"].tolist() == ["2.png", "3.png"]
    assert protocol.own_row.tolist() == [-1, 0]
    assert protocol.own_row.dtype == np.int64
    assert protocol.text.startswith("2 queries and 3 references, both of split test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\n1.png,a\n", r"split test has no query: expected images in test/<class>/.*images: train$"),
        ("path,label,split,role\n1.png,a,test,query\n", "split test has no reference.*rows with role=reference"),
        ("path,label,split,role\n1.png,a,test,reference\n", "split test has no query"),
    ],
)
def test_a_split_without_queries_or_references_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    pictures(tmp_path, "1.png")
    manifest = read_manifest(csv(tmp_path, text))
    with pytest.raises(ManifestError, match=expected):
        manifest.protocol("test")


def test_a_class_whose_training_images_are_all_ignored_has_no_reference(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    file = csv(tmp_path, "path,label,split,ignore\n1.png,a,train,1\n2.png,b,train,\n3.png,a,test,\n")
    with pytest.raises(ManifestError, match="class 'a' is in test but not in train"):
        read_manifest(file)


def test_augmented_copies_are_trained_on_but_never_search_or_found(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/b/1.png", "validation/a/1.png", "copies/a/1-x.png")
    copy = {"path": str(tmp_path / "copies/a/1-x.png"), "label": "a", "split": "train", "source": "train/a/1.png"}
    plain = read_manifest(tmp_path)
    manifest = plain.with_augmented(pd.DataFrame([copy]))
    assert column(manifest, "path") == sorted(column(manifest, "path"))
    assert len(manifest.table) == 4
    assert manifest.original["path"].tolist() == column(plain, "path")
    assert manifest.counts()["augmented"].to_dict() == {"a": 1, "b": 0}
    assert manifest.counts()["train"].to_dict() == {"a": 1, "b": 1}
    for split in ("train", "validation"):
        protocol = manifest.protocol(split)
        assert copy["path"] not in {*protocol.references["path"], *protocol.queries["path"]}
    assert len(plain.table) == 3, "the first manifest is unchanged"


@pytest.mark.parametrize("name", ["elsewhere/deep/data.csv", "data/train/data.parquet"])
def test_a_written_table_reads_back_the_same(tmp_path: Path, name: str) -> None:
    root = pictures(tmp_path / "data", "1.png", "2 b.png", "3.png", "4.png")
    labels = ["NA", "jalapeño, mild", "007"]
    table = pd.DataFrame(
        {
            "path": ["1.png", "2 b.png", "3.png", "4.png"],
            "label": [*labels, "NA"],
            "split": ["train", "train", "test", "train"],
            "role": ["", "", "both", ""],
            "camera": ["", "3", "-1", ""],
            "ignore": ["", "1", "", ""],
            "source": ["", "", "", "1.png"],
            **{corner: ["", str(value), "", ""] for value, corner in enumerate(["x1", "y1", "x2", "y2"])},
        }
    )
    table.to_csv(root / "first.csv", index=False)
    first = read_manifest(root / "first.csv")
    target = tmp_path / name
    write_table(first, target)
    again = read_manifest(target)
    back = again.table.sort_values("path", key=lambda paths: paths.map(os.path.basename), ignore_index=True)
    pd.testing.assert_frame_equal(back.drop(columns=["path", "source"]), first.table.drop(columns=["path", "source"]))
    where = [again.file(path).resolve() for path in back["path"]]
    assert where == [first.file(path).resolve() for path in first.table["path"]]
    assert back["source"][3] == back["path"][0], "a copy still names its original"
    assert not Path(back["path"][0]).is_absolute()


def test_the_fingerprint_changes_with_the_data_and_only_then(tmp_path: Path) -> None:
    root = pictures(tmp_path / "one", "train/a/1.png", "train/b/1.png", "test/a/1.png")
    before = read_manifest(root).fingerprint()
    shutil.copytree(root, tmp_path / "two")
    os.utime(root / "train/a/1.png", (1, 1))
    (root / "train" / "notes.txt").touch()
    assert read_manifest(root).fingerprint() == before
    assert read_manifest(tmp_path / "two").fingerprint() == before

    seen = {before}
    changes = [
        lambda: (root / "train/a/1.png").write_bytes((root / "train/a/1.png").read_bytes() + b"\0"),
        lambda: (root / "train/a/1.png").rename(root / "train/a/2.png"),
        lambda: (root / "test/a").rename(tmp_path / "gone"),
        lambda: (root / "train/b").rename(root / "train/c"),
        lambda: picture(root / "validation/a/1.png"),
    ]
    for change in changes:
        change()
        seen.add(read_manifest(root).fingerprint())
    assert len(seen) == 1 + len(changes)


def test_the_grocery_photographs_make_a_manifest(produce: Path) -> None:
    manifest = read_manifest(produce)
    counts = manifest.counts()
    files = {split: len(list((produce / split).glob("*/*.jpg"))) for split in ("train", "validation", "test")}
    assert counts.sum().to_dict() == {**files, "augmented": 0}
    assert len(manifest.labels) == 50
    assert manifest.notes == ()
    protocol = manifest.protocol("validation")
    assert len(protocol.queries) == files["validation"]
    assert len(protocol.references) == files["train"]
