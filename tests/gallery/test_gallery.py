"""A gallery in a folder: images come, change their names, go, and are found, by several processes at once."""

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import processes
from earlier_galleries import as_earlier
from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.errors import LookalikeError
from lookalike.gallery.gallery import HasEncoder
from lookalike.gallery.sqlite_store import SqliteStore, StoreError
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError
from postgres_server import Server

AWKWARD = ['<b onclick="x">Kiwi</b>', "O'Brien & sons", "two words", "🍐 pear", "日本", '{"a": 1}']


def run(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return processes.run(code, *map(str, arguments))


def test_it_answers_as_the_bundle_that_knows_the_same_images(gallery: Gallery, model: Model, digits: Path) -> None:
    files = files_of(digits, "test/*/*.png")
    for of_gallery, of_bundle in zip(gallery.predict(files, k=7), model.predict(files, k=7), strict=True):
        assert (of_gallery.label, of_gallery.score, of_gallery.truth) == (
            of_bundle.label,
            of_bundle.score,
            of_bundle.truth,
        )
        assert [near.source for near in of_gallery.neighbours] == [near.source for near in of_bundle.neighbours]
        assert [near.similarity for near in of_gallery.neighbours] == [near.similarity for near in of_bundle.neighbours]
    assert len(gallery) == 50
    assert gallery.labels == {f"digit {number}": 10 for number in range(5)}
    assert repr(gallery) == f"Gallery({str(gallery.path)!r}: 50 images of 5 labels)"


def test_what_is_reopened_is_what_was_closed(gallery: Gallery, model: Model, digits: Path) -> None:
    before, query = gallery.references, files_of(digits, "test/digit 3/*.png")[0]
    sources = list(before.paths)
    answer = gallery.predict(query)
    gallery.close()
    with Gallery.open(str(gallery.path), model) as again:
        assert np.array_equal(again.references.embeddings, before.embeddings)
        assert (again.references.labels, list(again.references.paths)) == (before.labels, sources)
        assert again.predict(query) == answer
    with pytest.raises(StoreError, match=r"closed: open the gallery again with Gallery\.open"):
        len(again)
    assert repr(again) == f"Gallery({str(gallery.path)!r}: closed)"
    with pytest.raises(StoreError, match="closed: open the gallery again"):
        again.add(query)


def test_every_form_of_an_image_is_enrolled_as_the_same(model: Model, digits: Path, tmp_path: Path) -> None:
    file = files_of(digits, "train/digit 2/*.png")[0]
    with Image.open(file) as opened:
        pixels = np.array(opened.convert("RGB"))
    gallery = Gallery.create(tmp_path / "g", model)
    forms = [file, str(file), file.read_bytes(), pixels, pixels[:, :, 0], Image.open(file)]
    assert [gallery.add(form, labels="two") for form in forms] == [[1]] * 6
    twice = [gallery.add(form, labels="two", keep_copies=True) for form in forms[1:]]
    assert twice == [[number] for number in range(2, 7)]
    assert gallery.add(np.stack([pixels, pixels]), labels=["two", "zwei"], keep_copies=True) == [7, 8]
    rows = gallery.references.embeddings
    assert all(np.array_equal(rows[0], row) for row in rows)
    assert gallery.labels == {"two": 7, "zwei": 1}
    assert list(gallery.references.paths[:3]) == [str(file), str(file), "image 1"]


def test_labels_of_any_kind_are_told_and_drawn(model: Model, digits: Path, tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "g", model)
    files = [files_of(digits, f"train/digit {number % 5}/*.png")[number // 5] for number in range(len(AWKWARD))]
    gallery.add(files, labels=AWKWARD, note='"; DROP TABLE images; --')
    assert sorted(gallery.labels) == sorted(AWKWARD)
    for file, label in zip(files, AWKWARD, strict=True):
        prediction = gallery.predict(file, k=1)
        assert (prediction.label, prediction.to_dict()["neighbours"][0]["label"]) == (label, label)
        assert prediction.figure().size[1] > 148
    assert gallery.merge(AWKWARD[0], AWKWARD[1]) == 1
    assert gallery.remove(label=AWKWARD[1]) == 2
    assert sorted(gallery.labels) == sorted(AWKWARD[2:])


def test_a_class_joins_without_training(gallery: Gallery, digits: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    before = gallery.predict(grey[0], k=1)
    assert before.label != "noise"
    gallery.add(grey[:5], labels="noise", camera=3)
    after = gallery.predict(list(grey), k=3)
    assert [item.label for item in after][:5] == ["noise"] * 5
    assert all(item.neighbours[0].similarity > before.neighbours[0].similarity for item in list(after)[:5])
    file = files_of(digits, "train/digit 4/*.png")[0]
    assert gallery.predict(file, k=1).label == "digit 4"


def test_a_label_that_prints_like_another_is_told(
    gallery: Gallery, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = files_of(digits, "test/digit 3/*.png")[0]
    gallery.add(file, "digit 3 ")
    assert gallery.labels["digit 3"] == 11, "blanks at the ends are no part of a label"
    assert capsys.readouterr().err == ""
    gallery.add(file, "Digit 3", keep_copies=True)
    assert "2 labels differ only in blanks, case" in capsys.readouterr().err
    gallery.add(file, "digit 4", keep_copies=True)
    assert capsys.readouterr().err == "", "told when such a label comes"


def test_what_is_enrolled_is_not_enrolled_again(
    gallery: Gallery, model: Model, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = files_of(digits, "test/digit 3/*.png")[0]
    near = gallery.predict(query, k=10).neighbours
    assert capsys.readouterr().err == ""
    assert gallery.add(digits / "train") == list(range(1, 51))
    assert "shop: 50 of 50 images are there already and were not added again" in " ".join(
        capsys.readouterr().err.split()
    )
    moved = shutil.copy(files_of(digits, "train/digit 1/*.png")[0], tmp_path / "moved.png")
    new = files_of(digits, "test/digit 1/*.png")[0]
    assert gallery.add([moved, new, new], labels="digit 1") == [11, 51, 51]
    assert "2 of 3 images are there already" in " ".join(capsys.readouterr().err.split())
    assert gallery.remove(image=51) == 1
    assert gallery.predict(query, k=10).neighbours == near
    with Gallery.open(gallery.path, model) as again:
        assert again.add(digits / "train" / "digit 4") == list(range(41, 51))


def test_an_image_has_one_label_unless_copies_are_wanted(gallery: Gallery, digits: Path) -> None:
    wrong, new = files_of(digits, "train/digit 1/*.png")[:2], files_of(digits, "test/digit 2/*.png")[0]
    text = (
        r"^add: 2 of 3 images are in the gallery already under another label, so none was added: 2 as 'digit 1', given "
        r"as 'digit 2' \(first: .*/train/digit 1/.*\.png\): remove them or rename their label first, or give keep_copi"
    )
    with pytest.raises(GalleryError, match=text):
        gallery.add([new, *wrong], labels="digit 2")
    with pytest.raises(GalleryError, match=r"1 of 2 images .*: 1 as 'a', given as 'b' \(first"):
        gallery.add([new, new], labels=["a", "b"])
    assert (len(gallery), gallery.labels["digit 2"]) == (50, 10)
    assert gallery.add([new, *wrong], labels="digit 2", keep_copies=True) == [51, 52, 53]
    assert gallery.add(wrong, labels="digit 2") == [52, 53], "one of its labels is the one that was given"


@pytest.mark.parametrize("schema", [1, 2])
def test_a_gallery_of_an_earlier_version_knows_its_images(
    gallery: Gallery, model: Model, digits: Path, tmp_path: Path, schema: int
) -> None:
    as_earlier(gallery, tmp_path / "old", schema)
    with Gallery.open(tmp_path / "old", model) as old:
        assert old.add(digits / "train") == list(range(1, 51))
        assert old.labels == gallery.labels
        query = files_of(digits, "test/digit 3/*.png")[0]
        assert old.predict(query) == gallery.predict(query)
        assert [image.neighbours[0].thumbnail for image in old.predict([query])] == [
            image.neighbours[0].thumbnail for image in gallery.predict([query])
        ]
        assert old.add(query, labels="later") == [52 if schema == 2 else 51], "numbers are never used twice"
    assert b"old_images" not in (tmp_path / "old" / "gallery.sqlite").read_bytes()


def test_one_unusable_image_among_many_adds_nothing(gallery: Gallery, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    good = files_of(digits, "test/*/*.png")
    text = (
        r"^3 of 23 images cannot be used, so none was added:\n  .*bad\.png: not an image.*\n  .*gone\.png: cannot be "
        r"read .*\n  image 23: expected uint8 .*, got float64 \[8, 8\]: scale and convert it first$"
    )
    with pytest.raises(GalleryError, match=text):
        gallery.add([*good, tmp_path / "bad.png", tmp_path / "gone.png", np.zeros((8, 8))], labels="x")
    assert len(gallery) == 50


def test_many_unusable_images_are_counted(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match=r"30 of 30 images cannot be used") as caught:
        gallery.add([b"no image"] * 30, labels="x")
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[20].startswith("  image 20: not an image, whatever its name says")
    assert lines[21] == "  ... and 10 more"


def other_model(model: Model, **changes: object) -> HasEncoder:
    class Other:
        encoder: Encoder = replace(model.encoder, **changes)  # type: ignore[arg-type]

    return Other()


def test_another_model_is_refused(gallery: Gallery, model: Model) -> None:
    with pytest.raises(
        GalleryError, match=r"shop: the gallery was made by the model \w{12}, the query by eeeeeeeeeeee: "
    ):
        Gallery.open(gallery.path, other_model(model, fingerprint="e" * 64))
    assert len(Gallery.open(gallery.path, model)) == 50


def test_another_precision_of_the_same_model_is_told(
    gallery: Gallery, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    Gallery.open(gallery.path, model)
    assert capsys.readouterr().err == ""
    other = "float32" if model.encoder.precision == "bf16" else "bf16"
    assert len(Gallery.open(gallery.path, other_model(model, precision=other))) == 50
    said = " ".join(capsys.readouterr().err.split())
    assert f"made in {model.encoder.precision}, the model runs in {other}: similarities differ a little" in said


def test_a_gallery_is_made_once_and_opened_where_it_is(gallery: Gallery, model: Model, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"a gallery is there already: use lookalike gallery add .* \(Gallery\.open in Python\), or"
    ):
        Gallery.create(gallery.path, model)
    with pytest.raises(
        StoreError,
        match=r"no gallery there: make one with lookalike gallery create gallery=.* \(Gallery\.create in Python",
    ):
        Gallery.open(tmp_path / "elsewhere", model)
    assert len(gallery) == 50


def test_the_originals_are_not_needed_afterwards(model: Model, digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits / "train", tmp_path / "photos"))
    gallery = Gallery.create(tmp_path / "g", model)
    gallery.add(root)
    query = files_of(digits, "test/digit 0/*.png")[0]
    before = gallery.predict(query, k=3)
    shutil.rmtree(root)
    after = Gallery.open(tmp_path / "g", model).predict(query, k=3)
    assert after == before
    drawn, expected = (np.asarray(prediction.figure()).astype(int) for prediction in (after, before))
    assert np.array_equal(drawn, expected)
    sheet = drawn[10:158, 200:348]  # the first neighbour
    assert sheet.std() > 20, "the picture itself, not the grey field of one that is gone"
    assert all(
        cv2.imdecode(np.frombuffer(near.thumbnail, np.uint8), 1).shape == (160, 160, 3) for near in after.neighbours
    )


def test_an_image_forgotten_meanwhile_is_drawn_as_missing(gallery: Gallery) -> None:
    thumbnails = gallery.references.thumbnails
    assert thumbnails is not None
    assert (len(thumbnails), [part[:2] for part in thumbnails[:3]]) == (50, [b"\xff\xd8"] * 3)
    gallery.remove(image=1)
    assert thumbnails[0][:2] == b"\xff\xd8", "it can come back"
    gallery.forget(image=1)
    assert thumbnails[0] == b""
    assert thumbnails[1][:2] == b"\xff\xd8"


def test_it_lives_longer_than_the_variable_of_its_model(few_produce: Path, tmp_path: Path) -> None:
    """Photographs, with a network whose graph lies in a temporary folder."""
    model = Model.pretrained()
    gallery = Gallery.create(tmp_path / "g", model)
    gallery.add(files_of(few_produce, "train/*/*.jpg")[::6])
    del model
    gc.collect()
    queries = files_of(few_produce, "validation/*/*.jpg")
    predictions = gallery.predict(queries, k=1)
    assert np.mean([item.label == item.truth for item in predictions]) > 0.4, "twelve classes, untrained features"


READER = """
import sys
from lookalike import Gallery, Model
gallery = Gallery.open(sys.argv[1], Model.load(sys.argv[2]))
print(len(gallery), flush=True)
for line in sys.stdin:
    print(len(gallery), *gallery.labels, sep="|", flush=True)
"""


def test_a_second_process_sees_every_change(gallery: Gallery, bundle_path: Path, digits: Path) -> None:
    command = [sys.executable, "-c", READER, str(gallery.path), str(bundle_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def ask() -> str:
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert reader.stdout.readline().strip() == "50"
        gallery.add(files_of(digits, "test/digit 0/*.png"), labels="new")
        assert ask() == "54|digit 0|digit 1|digit 2|digit 3|digit 4|new"
        gallery.merge("digit 4", to="new")
        assert ask() == "54|digit 0|digit 1|digit 2|digit 3|new"
        gallery.remove(label="new")
        assert ask() == "40|digit 0|digit 1|digit 2|digit 3"
        reader.stdin.close()


ADDER = """
import os, signal, sys
from lookalike import Gallery, Model
from lookalike.gallery import sql_store
gallery = Gallery.open(sys.argv[1], Model.load(sys.argv[2]))
if sys.argv[4] == "killed":
    def now():
        if gallery._store._connection.total_changes > 19:
            os.kill(os.getpid(), signal.SIGKILL)  # all rows are written, none is committed
        return "now"
    taken, sql_store.now = sql_store.now, now
gallery.add(sys.argv[3], labels=sys.argv[4])
"""


def test_a_process_killed_while_it_adds_leaves_what_was_there(
    gallery: Gallery, bundle_path: Path, digits: Path, model: Model
) -> None:
    before = gallery.references
    killed = run(ADDER, gallery.path, bundle_path, digits / "test", "killed")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for opened in (gallery, Gallery.open(gallery.path, model)):
        assert (opened.references.labels, list(opened.references.paths)) == (before.labels, list(before.paths))
        assert np.array_equal(opened.references.embeddings, before.embeddings)
    done = run(ADDER, gallery.path, bundle_path, digits / "test", "later")
    assert done.returncode == 0, done.stderr
    assert gallery.labels == {**{f"digit {number}": 10 for number in range(5)}, "later": 20}


def test_two_writers_lose_nothing(gallery: Gallery, bundle_path: Path, digits: Path) -> None:
    code = ADDER.replace("gallery.add(sys.argv[3], labels=sys.argv[4])", "") + (
        "from pathlib import Path\n"
        "for file in sorted(Path(sys.argv[3]).rglob('*.png')):\n"
        "    gallery.add(file, labels=sys.argv[4], keep_copies=True)\n"
    )
    command = (code, str(gallery.path), str(bundle_path), str(digits / "test"))
    writers = [processes.Child(*command, name) for name in ("left", "right")]
    assert [writer.wait(120).returncode for writer in writers] == [0, 0]
    assert gallery.labels == {**{f"digit {number}": 10 for number in range(5)}, "left": 20, "right": 20}
    numbers, _ = gallery.search(gallery.references.embeddings, k=1)
    assert len(gallery) == 90
    assert numbers.max() <= 90


def test_a_damaged_file_is_named(gallery: Gallery, model: Model, tmp_path: Path) -> None:
    gallery.close()
    copied = Path(shutil.copytree(gallery.path, tmp_path / "copy"))
    (copied / "gallery.sqlite").write_bytes(os.urandom(20_000))
    with pytest.raises(
        StoreError,
        match=r"gallery\.sqlite: no gallery, or a damaged one \(file is not a database\): bring back a backup",
    ):
        Gallery.open(copied, model)
    store = SqliteStore(gallery.path / "gallery.sqlite")
    store._connection.execute("UPDATE vectors SET embedding = x'00' WHERE image = 7")
    store.close()
    damaged = Gallery.open(gallery.path, model)
    with pytest.raises(
        StoreError, match=r"damaged, the embedding of image 7 is missing or has not 16 values: lookalike gallery verify"
    ):
        len(damaged)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"camera": "door"}, "camera='door': expected a whole number"),
        ({"camera": 1.5}, "camera=1.5: expected a whole number"),
        ({"note": None}, "note=None: expected text"),
    ],
)
def test_a_camera_is_a_number_and_a_note_is_text(
    gallery: Gallery, digits: Path, arguments: dict[str, object], text: str
) -> None:
    file = files_of(digits, "test/digit 2/*.png")[0]
    with pytest.raises(GalleryError, match=text):
        gallery.add(file, **arguments)  # type: ignore[arg-type]
    (number,) = gallery.add(file, camera=np.int64(3))
    (row,) = [row for row in SqliteStore(gallery.path / "gallery.sqlite").rows() if row.id == number]
    assert row.camera == 3


def test_what_embeds_nothing_makes_no_gallery(tmp_path: Path) -> None:
    for make in (Gallery.create, Gallery.open):
        with pytest.raises(GalleryError, match=r"expected a model that embeds, got 'models/mine': give Model\.load"):
            make(tmp_path / "shop", "models/mine")  # type: ignore[arg-type]
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    ("least", "most", "missing", "error"),
    [
        (2, 3, "", r"^suggest: expected 1 to 3 images, found 4: label some of them first, and give fewer$"),
        (0, 5000, "", r"^least=0: expected a whole number from 1$"),
        (2, 5000, "sklearn", r"^suggesting groups needs the package sklearn: pip install .*\[audit\]"),
    ],
)
def test_what_cannot_be_grouped_is_said_before_it_is_embedded(
    gallery: Gallery,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    least: int,
    most: int,
    missing: str,
    error: str,
) -> None:
    shutil.copytree(digits / "test" / "digit 1", tmp_path / "unknown")
    monkeypatch.setattr("lookalike.gallery.suggest.MOST", most)
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with Gallery.open(gallery.path) as opened:
        with pytest.raises(LookalikeError, match=error):
            opened.suggest(tmp_path / "unknown", least=least)
        assert opened._model is None, "not even the model was loaded"


def test_a_gallery_on_a_server_has_no_folder_for_unknown_images(
    server: Server, model: Model, digits: Path, tmp_path: Path
) -> None:
    shown = f"postgresql://lookalike@127.0.0.1:{server.port}/lookalike?gallery=unknowns"
    with Gallery.create(server.url("unknowns"), model) as gallery:
        gallery.add(digits / "train")
        asked = gallery.predict(digits / "test" / "digit 1", threshold=1.0)
        for ask in (lambda: gallery.keep_unknown(asked), gallery.suggest, gallery.unknown_folder):
            with pytest.raises(GalleryError, match=f"^{re.escape(shown)}: expected a folder for unknown images, as"):
                ask()
        assert len(gallery.keep_unknown(asked, tmp_path / "kept")) == 4
        assert len(gallery.suggest(tmp_path / "kept")) == 4
        assert gallery.unknown_folder(tmp_path / "kept") == tmp_path / "kept"


def test_what_was_enrolled_and_taken_back_is_unknown_again(gallery: Gallery, digits: Path) -> None:
    files = sorted((digits / "test").rglob("*.png"))[:3]
    assert gallery.not_enrolled(files) == files
    gallery.add(files[:2], "new")
    assert gallery.not_enrolled(files) == files[2:]
    gallery.undo(gallery.version)
    assert gallery.not_enrolled(files) == files
