"""`lookalike gallery`: every action through the command, what it prints, its exit code, and every wrong input."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from image_folders import files_of
from lookalike import Gallery
from lookalike.cli.main import main

Shown = tuple[int, str, str]


@pytest.fixture(scope="module")
def filled(bundle_path: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery made by the command; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("filled") / "shop"
    assert main(["gallery", "create", f"gallery={folder}", f"bundle={bundle_path}"]) == 0
    assert main(["gallery", "add", f"gallery={folder}", f"images={digits / 'train'}", "note=the first"]) == 0
    return folder


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(filled, tmp_path / "shop"))


class Command:
    """What `lookalike` does with some words: exit code, output, errors."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Shown:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        shown = self._capsys.readouterr()
        return code, shown.out, " ".join(shown.err.split())

    def done(self, *arguments: object) -> str:
        code, out, err = self(*arguments)
        assert code == 0, err
        return out

    def refused(self, *arguments: object) -> str:
        """One line, nothing printed, exit code 2."""
        code, out, err = self(*arguments)
        assert (code, out) == (2, "")
        assert err.count("lookalike: ") == 1
        return err[err.index("lookalike: ") + len("lookalike: ") :]


@pytest.fixture
def lookalike(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_from_an_empty_gallery_to_a_named_image(
    lookalike: Command, bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = lookalike.done("gallery", "create", "gallery=shop", f"bundle={bundle_path}")
    assert made.splitlines()[0].startswith("Gallery('shop': 0 images of 0 labels), searched by Model('")
    assert made.splitlines()[1] == "Next: lookalike gallery add gallery=shop images=<folder> label=<its name>"
    added = lookalike.done("gallery", "add", "gallery=shop", f"images={digits / 'train'}")
    assert added == "50 images added: Gallery('shop': 50 images of 5 labels)\n"
    query = files_of(digits, "train/digit 3/*.png")[0]
    said = lookalike.done("predict", "gallery=shop", f"image={query}", "k=1")
    assert "digit 3" in said
    (file,) = (tmp_path / "predictions").glob("*.json")
    item = json.loads(file.read_text())["items"][0]
    assert (item["label"], len(item["neighbours"])) == ("digit 3", 1)
    assert item["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_labels_and_the_images_of_one(lookalike: Command, shop: Path, digits: Path) -> None:
    assert lookalike.done("gallery", "list", "gallery=shop").splitlines() == [
        "Gallery('shop': 50 images of 5 labels)",
        *(f"digit {number}  10" for number in range(5)),
    ]
    lookalike.done(
        "gallery",
        "add",
        "gallery=shop",
        f"images={digits / 'test' / 'digit 0'}",
        "label=zero",
        "camera=3",
        "columns.shelf=A3",
    )
    lines = lookalike.done("gallery", "list", "gallery=shop", "label=zero").splitlines()
    assert lines[0] == "Gallery('shop': 54 images of 6 labels)"
    files = files_of(digits, "test/digit 0/*.png")
    for line, number, file in zip(lines[1:], range(51, 55), files, strict=True):
        assert re.fullmatch(rf"{number}  \S+  {re.escape(str(file.resolve()))}  camera=3  shelf=A3", line)
    before = lookalike.done("gallery", "list", "gallery=shop", "at=1").splitlines()
    assert before[0] == "Gallery('shop': 50 images of 5 labels after change 1)"


def test_rename_merge_move_remove_and_the_way_back(lookalike: Command, shop: Path) -> None:
    renamed = lookalike.done("gallery", "rename", "gallery=shop", "label=digit 0", "to=zero", "note=a word")
    assert renamed == "10 images are called 'zero' now; gallery undo change=2 takes it back\n"
    merged = lookalike.done("gallery", "merge", "gallery=shop", "labels=[digit 1,digit 2]", "to=digit 1")
    assert merged == "10 images are called 'digit 1' now that had another label; gallery undo change=3 takes it back\n"
    moved = lookalike.done("gallery", "move", "gallery=shop", "image=[1,2]", "to=round")
    assert moved == "2 images are called 'round' now that had another label; gallery undo change=4 takes it back\n"
    removed = lookalike.done("gallery", "remove", "gallery=shop", "label=digit 4")
    assert removed == "10 images removed; gallery undo change=5 takes it back\n"
    assert lookalike.done("gallery", "list", "gallery=shop").splitlines()[1:] == [
        "digit 1  20",
        "digit 3  10",
        "round    2",
        "zero     8",
    ]
    undone = lookalike.done("gallery", "undo", "gallery=shop", "change=5")
    assert undone == "change 5 is taken back for 10 images; gallery undo change=6 takes it back\n"
    log = lookalike.done("gallery", "log", "gallery=shop").splitlines()
    assert [line.split()[0] for line in log] == ["6", "5", "4", "3", "2", "1"]
    assert log[4].endswith("rename: 10 images from 'digit 0' to 'zero' (a word)")
    assert lookalike.done("gallery", "log", "gallery=shop", "most=2").splitlines()[2] == "and earlier ones: most=20"
    assert lookalike.done("gallery", "verify", "gallery=shop").startswith("50 images, removed ones too: every checksum")


def test_health_doubts_an_image_until_its_label_is_called_right(lookalike: Command, shop: Path, digits: Path) -> None:
    """The same photograph four times, once under another label."""
    file = files_of(digits, "test/digit 0/*.png")[0]
    for label in ("digit 0", "digit 0", "digit 0", "odd"):
        lookalike.done("gallery", "add", "gallery=shop", f"images={file}", f"label={label}", "keep_copies=true")
    doubt = "image 54: called 'odd', its neighbours 'digit 0' (similarity 1.000)"
    said = lookalike.done("gallery", "health", "gallery=shop")
    first, few, doubted, *_, following = said.splitlines()
    assert re.fullmatch(r"54 images, 54 asked their neighbours: \d+ probably called wrong", first)
    assert (few, doubted) == ("labels with fewer than 3 images: 'odd' 1", doubt)
    assert following.startswith(
        "Next: lookalike gallery move gallery=shop image=<number> to=<label>, or lookalike gall"
    )
    right = lookalike.done("gallery", "confirm", "gallery=shop", "image=53,54", "note=seen")
    assert right == "the label of 2 images called right; gallery undo change=6 takes it back\n"
    assert doubt not in lookalike.done("gallery", "health", "gallery=shop")
    again = lookalike.done("gallery", "confirm", "gallery=shop", "image=54")
    assert again == "the label of 0 images called right; nothing was changed\n"
    assert lookalike.refused("gallery", "confirm", "gallery=shop", "image=99").startswith(
        "confirm: image=99 is not in s"
    )
    lookalike.done("gallery", "undo", "gallery=shop")
    assert lookalike.done("gallery", "health", "gallery=shop") == said


def test_what_changes_nothing_names_no_change_to_take_back(lookalike: Command, shop: Path) -> None:
    renamed = lookalike.done("gallery", "rename", "gallery=shop", "label=digit 0", "to=digit 0")
    assert renamed == "10 images are called 'digit 0' now; nothing was changed\n"
    moved = lookalike.done("gallery", "move", "gallery=shop", "image=1", "to=digit 0")
    assert moved == "0 images are called 'digit 0' now that had another label; nothing was changed\n"
    merged = lookalike.done("gallery", "merge", "gallery=shop", "labels=digit 0", "to=digit 0")
    assert merged.endswith("; nothing was changed\n")
    assert len(lookalike.done("gallery", "log", "gallery=shop").splitlines()) == 1


def test_what_is_forgotten_is_in_no_file(lookalike: Command, shop: Path, digits: Path) -> None:
    file = files_of(digits, "test/digit 0/*.png")[0]
    lookalike.done("gallery", "add", "gallery=shop", f"images={file}", "label=Erika Mustermann")
    assert "Erika Mustermann" in lookalike.done("gallery", "list", "gallery=shop")
    said = lookalike.done("gallery", "forget", "gallery=shop", "label=Erika Mustermann")
    assert said == "1 image deleted for good; copies, exports and backups of the gallery still hold it\n"
    assert "  forget: 1 image deleted for good\n" in lookalike.done("gallery", "log", "gallery=shop")
    assert not [path for path in shop.rglob("*") if path.is_file() and b"Mustermann" in path.read_bytes()]
    assert re.fullmatch(r"\d+\.\d MiB given back\n", lookalike.done("gallery", "compact", "gallery=shop"))
    refused = lookalike.refused("gallery", "undo", "gallery=shop", "change=2")
    assert refused.startswith("change 2: nothing is known of what it changed (its images were forgotten")


def test_a_gallery_goes_into_a_folder_and_back(
    lookalike: Command, shop: Path, bundle_path: Path, digits: Path, tmp_path: Path
) -> None:
    said = lookalike.done("gallery", "export", "gallery=shop", "output=out")
    assert said == "50 images in out: rows.parquet, images/, gallery.json\n"
    assert pq.read_metadata("out/rows.parquet").num_rows == 50
    lookalike.done("gallery", "create", "gallery=copy", f"bundle={bundle_path}")
    said = lookalike.done("gallery", "import", "gallery=copy", "input=out", "note=of the shop")
    assert said == "50 images added: Gallery('copy': 50 images of 5 labels)\n"
    assert "(of the shop)" in lookalike.done("gallery", "log", "gallery=copy")
    lookalike.done("embed", f"bundle={bundle_path}", f"data.root={digits / 'test'}", "output=embedded")
    said = lookalike.done("gallery", "import", "gallery=copy", "input=embedded")
    assert said == "20 images added: Gallery('copy': 70 images of 5 labels)\n"
    assert "embeddings of different" in _other_fingerprint(lookalike, tmp_path)
    for inside in (".", "shop"):
        assert "gallery=shop" in lookalike.refused("gallery", "export", "gallery=shop", f"output={inside}")


def _other_fingerprint(lookalike: Command, tmp_path: Path) -> str:
    about = json.loads((tmp_path / "out" / "gallery.json").read_text())
    (tmp_path / "out" / "gallery.json").write_text(json.dumps({**about, "fingerprint": "e" * 64}))
    return lookalike.refused("gallery", "import", "gallery=copy", "input=out")


def test_a_gallery_is_measured(lookalike: Command, shop: Path, digits: Path, tmp_path: Path) -> None:
    said = lookalike.done("eval", "gallery=shop", f"data.root={digits}", "split=test", "output=report.json")
    assert "accuracy" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["gallery"], report["split"]) == ("shop", "test")
    with Gallery.open(shop) as gallery:
        expected = gallery.evaluate(digits, "test").metrics
    assert report["metrics"]["accuracy@1"] == pytest.approx(expected["accuracy@1"])
    refused = lookalike.refused("eval", "gallery=shop", "ckpt_path=x.ckpt", f"data.root={digits}", "output=r.json")
    assert refused.startswith("gallery and ckpt_path: a gallery is searched by the model that made it: leave ckpt_path")


def test_a_search_is_filtered_and_limited(lookalike: Command, shop: Path, digits: Path, tmp_path: Path) -> None:
    file = files_of(digits, "train/digit 3/*.png")[0]
    ask = ("predict", "gallery=shop", f"image={file}", "output=said.csv", "k=1")
    lookalike.done(*ask[:-1], "where.label=[digit 1,digit 2]", "k=1000")
    label = (tmp_path / "said.csv").read_text().splitlines()[1]
    assert "digit 3" not in label.partition(",")[2].partition(",")[0]
    lookalike.done(*ask, "unless.label=digit 3")
    assert ",digit 3," not in (tmp_path / "said.csv").read_text()
    lookalike.done(*ask, "unless.label=digit 3", "threshold=0.999999")
    assert ",unknown," in (tmp_path / "said.csv").read_text()
    lookalike.done(*ask, "false_accept_rate=0.1")
    assert ",digit 3," in (tmp_path / "said.csv").read_text()
    assert lookalike.refused(*ask, "where.label=digit").startswith("label='digit': is not in the gallery; did you mean")
    assert lookalike.refused(*ask, "where.shelf=A3").startswith(
        "shelf: no such column; there are label, camera, source"
    )
    assert lookalike.refused(*ask, "where.camera=door").startswith("camera='door': expected a whole number")
    assert "no image is left by camera='3'" in lookalike.refused(*ask, "where.camera=3")
    assert lookalike.refused(*ask, "gallery_root=x").startswith(
        "gallery_root: is of a bundle, and a gallery has pictur"
    )


def test_a_bundle_has_no_filters(lookalike: Command, shop: Path, bundle_path: Path, digits: Path) -> None:
    file = files_of(digits, "test/digit 3/*.png")[0]
    refused = lookalike.refused("predict", f"bundle={bundle_path}", f"image={file}", "where.label=digit 3")
    assert refused.startswith("where: is of a gallery, and a bundle has none: give gallery=<folder>, or leave it out")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rename", "label=digit", "to=x"], r"^shop: has no label 'digit'; did you mean digit \d or digit \d or"),
        (["rename", "label=digit 7", "to=x"], r"^shop: has no label 'digit 7'; did you mean digit "),
        (
            ["rename", "label=digit 0", "to=digit 1"],
            r"found 'digit 1' with 10 images: gallery merge makes them one",
        ),
        (["rename", "label=digit 0", "to="], r"^to=: string should have at least 1 character"),
        (["rename", "label=digit 0", "to= "], r"^label ' ?': expected text that is not empty"),
        (["merge", "labels=[digit 0,nobody]", "to=x"], r"^shop: has no label 'nobody'"),
        (["move", "image=[1,99]", "to=x"], r"^move: image=99 is not in shop: gallery list label=<label> shows the num"),
        (["remove"], r"^remove: expected one of label=, image= and source=: give exactly one"),
        (["remove", "label=a", "image=1"], r"^remove: expected one of label=, image= and source=: give exactly one"),
        (
            ["remove", "source=gone.png"],
            r"^remove: source=gone\.png is not in shop: give the path it was enrolled from",
        ),
        (["forget"], r"^forget: expected one of label=, image= and source=: give exactly one"),
        (["forget", "image=99"], r"^forget: image=99 is not in shop"),
        (["undo", "change=9"], r"^change 9: there is none of that number; they go from 1 to 1"),
        (["list", "label=nobody"], r"^label='nobody': is not in the gallery"),
        (["list", "at=9"], r"^change 9: there is none of that number"),
        (
            ["import", "input=nowhere"],
            r"^nowhere: no gallery\.json there: give what gallery export or lookalike embed wr",
        ),
        (["add", "images=nowhere.png"], r"nowhere\.png"),
        (["add", "images=nowhere/*.png"], r"nowhere/\*\.png: no image there"),
        (["add", "images=nowhere.csv"], r"nowhere\.csv: no such file"),
        (["add", "images=x.png", "camera=door"], r"^camera=door: expected a whole number: keep a name as a column,"),
        (["create"], r"^what searches it: give bundle=<folder>, or model=<recipe> for a network without training"),
        (["renam", "label=a"], r"^gallery renam: expected an action; did you mean rename\?; actions: create, add"),
        (["label=a"], r"^gallery label=a: expected an action; actions: create, add"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(
    lookalike: Command, shop: Path, arguments: list[str], text: str
) -> None:
    before = lookalike.done("gallery", "list", "gallery=shop"), lookalike.done("gallery", "log", "gallery=shop")
    action, *rest = arguments
    assert re.search(text, lookalike.refused("gallery", action, "gallery=shop", *rest))
    assert before == (
        lookalike.done("gallery", "list", "gallery=shop"),
        lookalike.done("gallery", "log", "gallery=shop"),
    )


@pytest.mark.parametrize(
    "action",
    [
        "list",
        "rename label=a to=b",
        "confirm image=1",
        "health",
        "log",
        "verify",
        "compact",
        "undo change=1",
        "export output=o",
    ],
)
def test_no_gallery_there(lookalike: Command, shop: Path, action: str) -> None:
    shutil.rmtree(shop)
    name, *rest = action.split()
    refused = lookalike.refused("gallery", name, "gallery=shop", *rest)
    assert refused.startswith("shop: no gallery there: make one with lookalike gallery create gallery=shop")
    assert not shop.exists()


def test_a_gallery_is_made_once(lookalike: Command, shop: Path, bundle_path: Path) -> None:
    refused = lookalike.refused("gallery", "create", "gallery=shop", f"bundle={bundle_path}")
    assert "a gallery is there already" in refused
    assert lookalike.done("gallery", "list", "gallery=shop").startswith("Gallery('shop': 50 images")


def test_a_broken_image_is_told_and_the_rest_is_enrolled(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(digits / "test" / "digit 1", tmp_path / "photos"))
    (photos / "0000.png").write_bytes(b"no image")
    add = ("gallery", "add", "gallery=shop", "images=photos", "label=new")
    refused = lookalike.refused(*add, "all_or_nothing=true")
    assert "1 of 5 images cannot be used, so none was added" in refused
    assert "0000.png: not an image" in refused
    code, out, err = lookalike(*add)
    assert (code, out) == (1, "4 images added: Gallery('shop': 54 images of 6 labels)\n")
    assert "0000.png: not an image" in err
    code, out, err = lookalike(*add)
    assert (code, out) == (1, "0 images added: Gallery('shop': 54 images of 6 labels)\n")
    assert "4 of 4 images are there already and were not added again" in err
    for file in photos.glob("0*.png"):
        file.write_bytes(b"no image")
    assert "5 of 5 images cannot be used, so none was added" in lookalike.refused(*add)


def test_images_under_another_label_are_refused(lookalike: Command, shop: Path, digits: Path) -> None:
    add = ("gallery", "add", "gallery=shop", f"images={digits / 'train' / 'digit 1'}", "label=digit 2")
    assert "10 as 'digit 1', given as 'digit 2'" in lookalike.refused(*add)
    assert lookalike.done(*add, "keep_copies=true") == "10 images added: Gallery('shop': 60 images of 5 labels)\n"


def table_of(folder: Path, digits: Path, cameras: list[str]) -> Path:
    """Three test images and their columns; the third line names a file that is not there."""
    files = files_of(digits, "test/digit 0/*.png")[:2]
    rows = [f"{file},Zero,{camera},A{row}," for row, (file, camera) in enumerate(zip(files, cameras, strict=True))]
    (folder / "t.csv").write_text("\n".join(["path,label,camera, shelf,empty", *rows]) + "\n")
    return folder / "t.csv"


def test_a_table_gives_labels_cameras_and_columns(lookalike: Command, shop: Path, digits: Path, tmp_path: Path) -> None:
    table = table_of(tmp_path, digits, ["3", "4.0"])
    said = lookalike.done("gallery", "add", "gallery=shop", f"images={table}", "columns.day=Monday")
    assert said == "2 images added: Gallery('shop': 52 images of 6 labels)\n"
    with Gallery.open(shop) as gallery:
        images = gallery.images("Zero")
    assert [image.camera for image in images] == [3, 4]
    assert [image.columns for image in images] == [{"day": "Monday", "shelf": f"A{row}"} for row in range(2)]
    lookalike.done("gallery", "remove", "gallery=shop", "label=Zero")
    lookalike.done("gallery", "add", "gallery=shop", f"images={table}", "label=other", "camera=9", "columns.shelf=B")
    with Gallery.open(shop) as gallery:
        assert [(image.camera, image.columns) for image in gallery.images("other")] == [(9, {"shelf": "B"})] * 2


@pytest.mark.parametrize("camera", ["door", "1.5", "inf", "nan"])
def test_a_camera_that_is_no_number_is_named(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path, camera: str
) -> None:
    refused = lookalike.refused("gallery", "add", "gallery=shop", f"images={table_of(tmp_path, digits, ['3', camera])}")
    assert re.search(rf"t\.csv: camera '{camera}': expected a whole number: call the column otherwise", refused)


def test_a_table_with_missing_files_enrols_the_others(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path
) -> None:
    table = table_of(tmp_path, digits, ["3", ""])
    table.write_text(table.read_text() + "gone.png,Zero,5,A9,\n,Zero,6,A8,\n")
    add = ("gallery", "add", "gallery=shop", f"images={table}")
    refused = lookalike.refused(*add, "all_or_nothing=true")
    assert "cannot be used, so none was added" in refused
    code, out, err = lookalike(*add)
    assert (code, out) == (1, "2 images added: Gallery('shop': 52 images of 6 labels)\n")
    assert "gone.png" in err
    assert "row 5: " in err
    with Gallery.open(shop) as gallery:
        assert [(image.camera, image.columns["shelf"]) for image in gallery.images("Zero")] == [(3, "A0"), (None, "A1")]


def test_another_model_is_refused(lookalike: Command, shop: Path, bundle_path: Path, digits: Path) -> None:
    with Gallery.open(shop) as gallery:
        gallery._store._connection.execute("UPDATE about SET value = ? WHERE name = 'fingerprint'", ("e" * 64,))
    file = files_of(digits, "test/digit 3/*.png")[0]
    for words in (["gallery", "add", f"images={file}", "label=x"], ["predict", f"image={file}"]):
        for bundle in ([], [f"bundle={bundle_path}"]):
            refused = lookalike.refused(*words, "gallery=shop", *bundle)
            assert refused.startswith("shop: the gallery was made by the model eeeeeeeeeeee, the query by ")
    assert lookalike.done("gallery", "list", "gallery=shop").startswith("Gallery('shop': 50 images")


def test_a_newer_gallery_is_refused(lookalike: Command, shop: Path) -> None:
    with Gallery.open(shop) as gallery:
        gallery._store._connection.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    for action in ("list", "verify", "log"):
        refused = lookalike.refused("gallery", action, "gallery=shop")
        assert re.search(r"gallery schema 99, this version reads up to \d+: pip install -U lookalike", refused)


def test_a_damaged_gallery_fails_its_verification(lookalike: Command, shop: Path) -> None:
    with Gallery.open(shop) as gallery:
        gallery._store._connection.execute("DELETE FROM vectors WHERE image = 7")
    code, out, _ = lookalike("gallery", "verify", "gallery=shop")
    assert code == 1
    assert out.startswith("50 images, removed ones too: 1 problem\nimage 7: its embedding is missing\nbring back a b")
    assert "damaged, the embedding of image 7 is missing" in lookalike.refused("gallery", "list", "gallery=shop")


def test_a_bundle_that_went_away_is_named(lookalike: Command, shop: Path, bundle_path: Path, digits: Path) -> None:
    with Gallery.open(shop) as gallery:
        about = json.loads(gallery._store.about["model"])
        about["bundle"] = "/no where/b"
        gallery._store._connection.execute("UPDATE about SET value = ? WHERE name = 'model'", (json.dumps(about),))
    ask = ("predict", "gallery=shop", f"image={files_of(digits, 'test/digit 3/*.png')[0]}", "picture_rows=0")
    refused = lookalike.refused(*ask)
    assert refused == "shop: its model was /no where/b, which is not there any more: give bundle=<its new place>"
    lookalike.done(*ask, f"bundle={bundle_path}")


def test_a_gallery_that_is_removed_while_it_is_open(lookalike: Command, shop: Path, tmp_path: Path) -> None:
    """No change is acknowledged that no file holds."""
    with Gallery.open(shop) as gallery:
        assert len(gallery) == 50
        shutil.rmtree(shop)
        with pytest.raises(ValueError, match=r"gallery\.sqlite: was removed or replaced meanwhile: open the gallery"):
            gallery.rename("digit 0", "zero")
    assert lookalike.refused("gallery", "list", "gallery=shop").startswith("shop: no gallery there")


def test_a_network_without_a_bundle(lookalike: Command, few_produce: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = lookalike.done(
        "gallery", "create", "gallery=shop", "model=efficientnet_lite0", "pixels.height=64", "pixels.width=64"
    )
    assert "Gallery('shop': 0 images of 0 labels), searched by Model('tf_efficientnet_lite0': " in made
    assert (tmp_path / "shop" / "model" / "network.json").is_file()
    kept = few_produce / "train"
    assert "added: Gallery('shop': " in lookalike.done("gallery", "add", "gallery=shop", f"images={kept}/*/*1.jpg")
    file = files_of(few_produce, "train/*/*1.jpg")[0]
    lookalike.done("predict", "gallery=shop", f"image={file}", "output=said.csv")
    assert f",{file.parent.name}," in (tmp_path / "said.csv").read_text()


def test_who_adds_the_same_at_the_same_time_says_what_it_really_added(
    lookalike: Command, shop: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process enrols the images between the look and the transaction."""
    from lookalike.gallery.sqlite_store import SqliteStore

    add_new, images = SqliteStore.add_new, digits / "test"

    def late(store: SqliteStore, rows: list, note: str) -> tuple[list[int], int]:
        monkeypatch.setattr(SqliteStore, "add_new", add_new)
        with Gallery.open(shop) as other:
            other.add(images)
            assert other.last_added == 20
            other.rename("digit 0", "zero")
            other.rename("zero", "digit 0")
        return add_new(store, rows, note)

    monkeypatch.setattr(SqliteStore, "add_new", late)
    said = lookalike.done("gallery", "add", "gallery=shop", f"images={images}")
    assert said == "0 images added: Gallery('shop': 70 images of 5 labels)\n"


def test_the_change_that_is_told_is_that_of_the_command(
    lookalike: Command, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Gallery.rename

    def overtaken(gallery: Gallery, *words: str, note: str) -> int:
        count = rename(gallery, *words, note=note)
        with Gallery.open(shop) as other:
            other.remove(image=1)
        return count

    monkeypatch.setattr(Gallery, "rename", overtaken)
    said = lookalike.done("gallery", "rename", "gallery=shop", "label=digit 1", "to=one")
    assert said == "10 images are called 'one' now; gallery undo change=2 takes it back\n"


def test_enrolled_images_and_labels_that_are_not_known_are_told(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(digits / "test", tmp_path / "photos"))
    (photos / "digit 4").rename(photos / "letter x")
    shutil.copytree(digits / "train" / "digit 3", photos / "digit 3", dirs_exist_ok=True)
    said = lookalike.done("predict", "gallery=shop", "image=photos", "k=1", "picture_rows=0")
    assert "10 images not counted as right or wrong: known images themselves, which find themselves\n" in said
    assert re.search(r"\d+ of 16 right, .* as the label; 4 more are of labels that are not known\n", said)
    said = lookalike.done("predict", "gallery=shop", "image=photos", "k=1", "picture_rows=0", "threshold=1")
    assert "; 4 more are of labels that are not known, 4 of them called unknown\n" in said


@pytest.mark.parametrize("by", ["gallery", "bundle"])
def test_a_tables_own_labels_say_what_is_right(
    lookalike: Command, shop: Path, bundle_path: Path, digits: Path, tmp_path: Path, by: str
) -> None:
    files = files_of(digits, "test/digit 1/*.png")[:3]
    rows = [f"{files[0]},digit 1", f"{files[1]},digit 2", "gone.png,digit 1", f"{files[2]},letter x"]
    (tmp_path / "photos.csv").write_text("\n".join(["path,Label", *rows]) + "\n")
    model = "gallery=shop" if by == "gallery" else f"bundle={bundle_path}"
    code, said, _ = lookalike("predict", model, "image=photos.csv", "k=1", "picture_rows=0")
    assert code == 1, "one file is not there"
    assert "of 2 right, taking the column label of the table as the label; 1 more is of labels that are not" in said
    (file,) = (tmp_path / "predictions").glob("*.json")
    items = json.loads(file.read_text())["items"]
    assert [item["truth"] for item in items] == ["digit 1", "digit 2", "digit 1", None]


@pytest.mark.parametrize("limit", [[], ["threshold=off"], ["false_accept_rate=off"]])
def test_unknown_images_are_kept_only_where_there_is_a_limit(
    lookalike: Command, shop: Path, digits: Path, limit: list[str]
) -> None:
    ask = ("predict", "gallery=shop", f"image={digits / 'test'}", "keep_unknown=true", *limit)
    assert lookalike.refused(*ask).startswith(
        "keep_unknown: no image is called unknown without a limit, so none would be kept: give false_accept_rate=0.05"
    )
    assert not (shop / "unknown").exists()


def test_more_neighbours_than_images_are_told(lookalike: Command, shop: Path, digits: Path) -> None:
    file = files_of(digits, "test/digit 1/*.png")[0]
    code, _, err = lookalike("predict", "gallery=shop", f"image={file}", "k=500", "picture_rows=0")
    assert code == 0
    assert (
        "k=500: 5 of 5 labels have fewer images (least: 10), so others can outvote them; there are 50 images, so all "
        "of them vote: leave k out, or give a smaller one" in err
    )


def test_undo_without_a_number_takes_the_last_change_back_and_says_which(lookalike: Command, shop: Path) -> None:
    lookalike.done("gallery", "rename", "gallery=shop", "label=digit 0", "to=zero")
    said = lookalike.done("gallery", "undo", "gallery=shop").splitlines()
    assert re.fullmatch(r"the last change: 2  \S+  rename: 10 images from 'digit 0' to 'zero'", said[0])
    assert said[1:] == ["change 2 is taken back for 10 images; gallery undo change=3 takes it back"]
    assert "digit 0" in lookalike.done("gallery", "list", "gallery=shop")


def test_nothing_can_be_taken_back_where_nothing_was_changed(
    lookalike: Command, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = lookalike.done("gallery", "create", "gallery=my shop", f"bundle={bundle_path}")
    assert made.splitlines()[1].startswith("Next: lookalike gallery add gallery='my shop' images=<folder>")
    refused = lookalike.refused("gallery", "undo", "gallery=my shop")
    assert refused == "my shop: nothing was changed yet, so there is nothing to take back"


def test_an_earlier_export_is_kept_and_told(lookalike: Command, shop: Path, tmp_path: Path) -> None:
    assert lookalike("gallery", "export", "gallery=shop", "output=out")[2] == ""
    err = lookalike("gallery", "export", "gallery=shop", "output=out")[2]
    (kept,) = tmp_path.glob("out.*")
    assert err == f"out: the earlier export is kept as {kept.name}"
    assert (kept / "rows.parquet").is_file()


def test_one_image_is_told_as_one(lookalike: Command, shop: Path, digits: Path) -> None:
    file = files_of(digits, "test/digit 0/*.png")[0]
    add = ("gallery", "add", "gallery=shop", f"images={file}", "label=alone")
    assert lookalike.done(*add).startswith("1 image added: ")
    assert "1 of 1 image is there already and was not added again" in lookalike(*add)[2]
    moved = lookalike.done("gallery", "move", "gallery=shop", "image=51", "to=x")
    assert moved.startswith("1 image is called 'x' now that had another label; ")
    assert lookalike.done("gallery", "remove", "gallery=shop", "label=x").startswith("1 image removed; ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "images=[a.jpg,b.jpg]"], r"^images=\[a\.jpg,b\.jpg\]: no such file|images=\[a\.jpg,b\.jpg\]: no im"),
        (["add", "images=a.png", "images=b.png"], r"^images: given twice: images=a\.png and images=b\.png: keep one"),
        (["rename", "label=digit 0", "to=unknown"], r"^label 'unknown': is what predictions say where no known image"),
        (["rename", "label=digit 0", "to=two\nlines"], r"^label 'two.*lines': expected one line of text, found a li"),
        (["merge", "labels=digit 0,digit 1", "to=x"], r"has no label 'digit 0,digit 1': several are given in brackets"),
        (["move", "image=3-1", "to=x"], r"^image=3-1: expected the smaller number first"),
        (["remove", "label=[digit 0,nobody]"], r"^shop: has no label 'nobody'"),
        (["suggest", "images=shop/gallery.sqlite"], r"^shop/gallery\.sqlite: expected a folder of unknown images, f"),
        (["create", "model=efficientnet_lite0"], r"^shop/gallery\.sqlite: a gallery is there already: use lookalike"),
    ],
)
def test_what_is_meant_otherwise_is_told_in_a_line(
    lookalike: Command, shop: Path, arguments: list[str], text: str
) -> None:
    action, *rest = arguments
    assert re.search(text, lookalike.refused("gallery", action, "gallery=shop", *rest))
    assert len(lookalike.done("gallery", "log", "gallery=shop").splitlines()) == 1


def test_several_are_given_at_once(lookalike: Command, shop: Path) -> None:
    assert lookalike.done("gallery", "move", "gallery=shop", "image=1,2", "to=x").startswith("2 images are called 'x")
    assert lookalike.done("gallery", "move", "gallery=shop", "image=[3-5,9]", "to=x").startswith("4 images are calle")
    assert lookalike.done("gallery", "remove", "gallery=shop", "label=[x,digit 4]").startswith("16 images removed; ")
    forgotten = lookalike.done("gallery", "forget", "gallery=shop", "label=[digit 1,digit 2]")
    assert forgotten.startswith("20 images deleted for good; ")


@pytest.mark.parametrize("rate", ["0", "1", "5", "5%", "-0.1", "nan"])
def test_a_rate_is_a_share(lookalike: Command, shop: Path, bundle_path: Path, rate: str) -> None:
    line = f"false_accept_rate={rate}: expected a share above 0 and below 1, such as 0.05, or off"
    for model in ("gallery=shop", f"bundle={bundle_path}"):
        assert lookalike.refused("predict", model, "image=x.png", f"false_accept_rate={rate}") == line


@pytest.mark.parametrize("name", ["where", "unless"])
def test_a_filter_names_its_column(lookalike: Command, shop: Path, name: str) -> None:
    refused = lookalike.refused("predict", "gallery=shop", "image=x.png", f"{name}=Banana")
    assert refused == (f"{name}=Banana: expected the column, too: {name}.<column>=<value>, such as {name}.label=Banana")


def test_a_misspelt_gallery_is_guessed(lookalike: Command, shop: Path) -> None:
    refused = lookalike.refused("gallery", "list", "gallery=shpo")
    assert refused.startswith("shpo: no gallery there; did you mean shop? Or make one with lookalike gallery create")


def test_a_gallery_among_the_photographs_is_no_product(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(digits / "test", tmp_path / "photos"))
    inside = Path(shutil.copytree(shop, photos / "shop"))
    shutil.copytree(digits / "validation" / "digit 0", inside / "unknown")
    code, out, err = lookalike("gallery", "add", f"gallery={inside}", "images=photos")
    assert code == 0
    assert out.startswith("20 images added: ")
    assert "images=photos: 1 folder(s) of a gallery passed over: photos/shop" in err
    code, out, err = lookalike("predict", f"gallery={inside}", "image=photos", "picture_rows=0", "k=1")
    assert out.count("photos/digit") == 20
    assert "unknown" not in out
    assert "1 folder(s) of a gallery passed over" in err


def test_a_measured_folder_is_named_by_what_was_asked(
    lookalike: Command, shop: Path, digits: Path, tmp_path: Path
) -> None:
    new = Path(shutil.copytree(digits / "test", tmp_path / "new"))
    (new / "digit 4").rename(new / "letter x")
    said = lookalike.done("eval", "gallery=shop", "data.root=new", "worst=0")
    assert re.search(r"accuracy over the queries whose label is enrolled, 16 of 20: \d\.\d{4}; the others coun", said)
    assert "written: reports/shop-new.json\n" in said
    said = lookalike.done("eval", "gallery=shop", f"data.root={digits}", "split=test", "worst=0")
    assert "written: reports/shop-test.json\n" in said
    assert "whose label is enrolled" not in said
    for label in range(4):
        (new / f"digit {label}").rename(new / f"letter {label}")
    refused = lookalike.refused("eval", "gallery=shop", "data.root=new", "worst=0")
    assert refused.endswith("check the labels"), "no camera is known, so none is to blame"
