"""A gallery taken elsewhere is the same there: labels, cameras, columns, pictures and embeddings."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.errors import LookalikeError
from lookalike.evaluation.stored import embed_any
from lookalike.inference.references import GalleryError
from lookalike.settings.check import check
from lookalike.settings.compose import compose
from lookalike.settings.data import Data

ODD = ['<b>"Kiwi"</b>', "O'Brien", "two  words", "🍐", "日本", "null", "ß, ä; \\", "../../up", "a b", "digit 0"]


@pytest.fixture
def odd(model: Model, digits: Path, tmp_path: Path) -> Gallery:
    """Odd labels, cameras, and columns of one kind and of mixed ones; images 3 and 7 are removed."""
    gallery = Gallery.create(tmp_path / "odd", model)
    gallery.add(
        files_of(digits, "train/digit [01]/*.png")[::2],
        ODD,
        camera=[1, None, 3, 2**62, -1, 0, None, 8, 9, 10],
        columns={
            "text": ["a", "", "null", "3", None, "true", "x", "🍐", "two\nlines", "z"],
            "whole": [2**62 + 1, -5, None, 0, 1, 2, 3, 4, 5, 6],
            "real": [0.1, 1e300, -2.5, None, 1, 2, 3, 4, 5, 6],
            "switch": [True, False, None, True, True, False, False, True, True, True],
            "mixed": ["3", 3, 3.0, True, None, "true", -1, 0.5, "", "🍐"],
            "large": [2**60 + 1, 0.5, 1, 2, 3, 4, 5, 6, 7, 8],
            "number": "a name of the table",
            "column.number": 7,
            "embedding 2": "x",
        },
    )
    gallery.remove(image=[3, 7])
    return gallery


def content(gallery: Gallery) -> list[tuple[Any, ...]]:
    """Of every image all but its number and time."""
    references = gallery.references
    images = [image for label in gallery.labels for image in gallery.images(label)]
    places = {number: row for row, number in enumerate(gallery.enrolled()[1].tolist())}
    assert references.thumbnails is not None
    return [
        (
            image.label,
            image.source,
            image.camera,
            {name: (type(value), value) for name, value in image.columns.items() if name not in ("real", "mixed")},
            image.columns.get("real"),
            (type(image.columns.get("mixed")), image.columns.get("mixed")),
            references.thumbnails[places[image.number]],
            references.embeddings[places[image.number]].tobytes(),
        )
        for image in sorted(images, key=lambda image: image.number)
    ]


def test_a_round_trip_changes_nothing(odd: Gallery, model: Model, tmp_path: Path) -> None:
    assert odd.export(tmp_path / "out") == 8
    with Gallery.create(tmp_path / "copy", model) as copy:
        assert copy.import_from(tmp_path / "out", note="from elsewhere") == list(range(1, 9))
        assert content(copy) == content(odd)
        assert copy.log()[0].note == "from elsewhere"
        assert copy.verify()
        assert copy.import_from(tmp_path / "out") == list(range(1, 9)), "they are there already"
        assert copy.import_from(tmp_path / "out", keep_copies=True) == list(range(9, 17))


def test_what_is_written_is_read_by_others(odd: Gallery, tmp_path: Path) -> None:
    odd.export(tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "rows.parquet").to_pydict()
    assert table["number"] == [1, 2, 4, 5, 6, 8, 9, 10]
    assert table["label"] == [label for place, label in enumerate(ODD) if place not in (2, 6)]
    assert table["camera"] == [1, None, 2**62, -1, 0, 8, 9, 10]
    assert table["text"][:3] == ["a", "", "3"]
    assert (table["whole"][0], table["real"][0], table["switch"][0]) == (2**62 + 1, 0.1, True)
    assert table["mixed"][:4] == ['"3"', "3", "true", None], "of several kinds: JSON"
    assert table["column.number"] == ["a name of the table"] * 8
    assert np.allclose(np.linalg.norm(np.array(table["embedding"]), axis=1), 1)
    for number, picture in zip(table["number"], table["picture"], strict=True):
        assert picture == f"images/{number}.jpg"
        assert (tmp_path / "out" / picture).read_bytes()[:2] == b"\xff\xd8"
    about = json.loads((tmp_path / "out" / "gallery.json").read_text())
    assert (about["schema"], about["fingerprint"]) == (1, odd.encoder.fingerprint)


def test_an_empty_gallery_and_images_without_pictures(model: Model, tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", model) as gallery, Gallery.create(tmp_path / "copy", model) as copy:
        assert gallery.export(tmp_path / "empty") == 0
        assert copy.import_from(tmp_path / "empty") == []
        gallery.add_embeddings(np.eye(16)[:3] * 7, ["x", "y", "x"], sources=["1", "2", "3"])
        assert gallery.export(tmp_path / "out") == 3
        assert pq.read_table(tmp_path / "out" / "rows.parquet")["picture"].to_pylist() == [None] * 3
        assert copy.import_from(tmp_path / "out") == [1, 2, 3]
        assert content(copy) == content(gallery)


def test_an_export_is_kept_when_another_takes_its_place_and_nothing_else_is_replaced(
    odd: Gallery, tmp_path: Path
) -> None:
    odd.export(tmp_path / "out")
    odd.remove(image=1)
    assert odd.export(tmp_path / "out") == 7
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith("out") and path.name != "out"]
    assert pq.read_metadata(kept / "rows.parquet").num_rows == 8
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(GalleryError, match=r"mine: exists and is no exported gallery: give the name of a new folder"):
        odd.export(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def embedded(model: Model, root: Path, output: Path) -> Path:
    """As `lookalike embed`."""
    composed = compose("embed", [("data.root", str(root))])
    embed_any(model.encoder, check(Data, composed["data"]).model_dump(), output)
    return output


def test_embeddings_of_lookalike_embed_are_enrolled(
    model: Model, digits: Path, tmp_path: Path, gallery: Gallery
) -> None:
    root = Path(shutil.copytree(digits / "test", tmp_path / "photos"))
    output = embedded(model, root, tmp_path / "embedded")
    gone = files_of(root, "digit 0/*.png")[0]
    gone.unlink()
    files_of(root, "digit 0/*.png")[0].write_bytes(b"no image any more")
    with Gallery.create(tmp_path / "g", model) as made:
        assert made.import_from(output) == list(range(1, 21))
        assert made.labels == {f"digit {number}": 4 for number in range(5)}
        assert str(gone.resolve()) in list(made.references.paths)
        assert made.references.thumbnails is not None
        assert [bool(jpeg) for jpeg in made.references.thumbnails] == [False] * 2 + [True] * 18
        assert np.allclose(made.references.embeddings[2:], model.embed(files_of(digits, "test/*/*.png")[2:]), atol=1e-6)
        assert made.verify()
    assert gallery.import_from(embedded(model, digits / "train", tmp_path / "same")) == list(range(1, 51))


def damage_table(folder: Path) -> None:
    (folder / "rows.parquet").write_bytes((folder / "rows.parquet").read_bytes()[:-100])


def lose_picture(folder: Path) -> None:
    (folder / "images" / "2.jpg").unlink()


def damage_about(folder: Path) -> None:
    (folder / "gallery.json").write_text("{")


def lose_column(folder: Path) -> None:
    table = pq.read_table(folder / "rows.parquet")
    pq.write_table(table.drop_columns(["mixed"]), folder / "rows.parquet")


def lose_schema(folder: Path) -> None:
    change_about(folder, schema=None)


def other_size(folder: Path) -> None:
    change_about(folder, dimensions="7")


def change_about(folder: Path, **values: object) -> None:
    about = json.loads((folder / "gallery.json").read_text())
    kept = {name: value for name, value in {**about, **values}.items() if value is not None}
    (folder / "gallery.json").write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (damage_table, r"out: damaged \(.*\): export the gallery again$"),
        (lose_picture, r"out: damaged \(.*2\.jpg.*\): export the gallery again$"),
        (damage_about, r"out: damaged \(.*\): export the gallery again$"),
        (lose_column, r"out: damaged \('mixed'\): export the gallery again$"),
        (lose_schema, r"out: damaged \('schema'\): export the gallery again$"),
        (other_size, r"out: damaged \(cannot reshape .*\): export the gallery again$"),
        (lambda folder: change_about(folder, schema=2), r"out: of schema 2, this version reads 1: pip install -U look"),
        (
            lambda folder: change_about(folder, fingerprint="e" * 64),
            r"^.*out: was made by the model eeeeeeeeeeee, the gallery by \w{12}: embeddings of different weights or",
        ),
        (
            lambda folder: (folder / "gallery.json").unlink(),
            r"out: no gallery\.json there: give what gallery export or",
        ),
        (lambda folder: (folder / "rows.parquet").unlink(), r"out"),
    ],
)
def test_what_is_damaged_enrols_nothing(odd: Gallery, gallery: Gallery, tmp_path: Path, damage: Any, text: str) -> None:
    odd.export(tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(LookalikeError, match=text) as caught:
        gallery.import_from(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (len(gallery), len(gallery.log())) == (50, 1)


def test_another_model_s_embeddings_are_refused(model: Model, gallery: Gallery, digits: Path, tmp_path: Path) -> None:
    output = embedded(model, digits / "test", tmp_path / "embedded")
    change_about(output, fingerprint="e" * 64)
    with pytest.raises(LookalikeError, match=r"eeeeeeeeeeee"):
        gallery.import_from(output)
    assert len(gallery) == 50


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "images/../../secret.jpg", "images/1.png"])
def test_a_table_names_no_file_outside_its_folder(gallery: Gallery, model: Model, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8 a secret")
    gallery.export(tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    table.loc[0, "picture"] = name
    table.to_parquet(tmp_path / "out" / "rows.parquet")
    with Gallery.create(tmp_path / "other", model) as other:
        with pytest.raises(GalleryError, match=r"out: damaged \(picture .*: expected images/<number>\.jpg\): export"):
            other.import_from(tmp_path / "out")
        assert len(other) == 0


def test_a_link_among_the_pictures_is_not_followed(gallery: Gallery, model: Model, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8 a secret")
    gallery.export(tmp_path / "out")
    picture = next((tmp_path / "out" / "images").iterdir())
    picture.unlink()
    picture.symlink_to(tmp_path / "secret.jpg")
    with Gallery.create(tmp_path / "other", model) as other, pytest.raises(GalleryError, match="expected a file"):
        other.import_from(tmp_path / "out")
