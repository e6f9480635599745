"""How well a gallery names photographs: the figures of `evaluate` on the same embeddings."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.data.tables import ManifestError
from lookalike.errors import LookalikeError
from lookalike.inference.references import GalleryError

NAMES = ("accuracy@1", "map")


def labels_of(files: list[Path]) -> list[str]:
    return [file.parent.name for file in files]


def test_it_is_what_evaluate_says_of_the_same_embeddings(gallery: Gallery, model: Model, digits: Path) -> None:
    files = files_of(digits, "test/*/*.png")
    assessment = gallery.evaluate(digits / "test")
    references = gallery.references
    expected = lookalike.evaluate(model.embed(files), references.embeddings, labels_of(files), references.labels)
    assert assessment.identification.result.metrics == expected.metrics
    assert 0.2 < assessment.metrics["accuracy@1"] <= 1
    assert (len(assessment.protocol.queries), len(assessment.protocol.references)) == (20, 50)
    assert assessment.about["gallery"] == str(gallery.path)
    assert assessment.name == "shop"


def test_images_that_are_enrolled_never_find_themselves(gallery: Gallery, model: Model, digits: Path) -> None:
    files = files_of(digits, "train/*/*.png")
    references = gallery.references
    assert [Path(source) for source in references.paths] == [file.resolve() for file in files]
    own = np.arange(50)
    given = (model.embed(files), references.embeddings, labels_of(files), references.labels)
    assessment = gallery.evaluate(digits / "train")
    assert assessment.identification.result.metrics == lookalike.evaluate(*given, exclude_self=own).metrics
    assert lookalike.evaluate(*given, exclude_self=False).metrics["accuracy@1"] == 1, "each would find itself"
    assert assessment.metrics["accuracy@1"] < 1
    nearest = assessment.identification.result.per_query["similarity"].to_numpy()
    assert (nearest < 1 - 1e-6).all()


def test_an_image_finds_itself_no_more_under_a_link(gallery: Gallery, digits: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(digits / "train", target_is_directory=True)
    expected = gallery.evaluate(digits / "train").identification.result.metrics
    assert gallery.evaluate(linked).identification.result.metrics == expected


def test_labels_that_are_not_enrolled_are_unknown_ones(gallery: Gallery, model: Model, digits: Path) -> None:
    gallery.remove(label="digit 3")
    files = files_of(digits, "test/*/*.png")
    assessment = gallery.evaluate(str(digits / "test"))
    references = gallery.references
    expected = lookalike.evaluate(model.embed(files), references.embeddings, labels_of(files), references.labels)
    result = assessment.identification.result
    assert result.metrics == expected.metrics
    assert result.counts["queries_with_positive"] == 16
    assert assessment.unknown_queries is not None
    assert result.per_query.loc[~result.per_query["known"], "label"].tolist() == ["digit 3"] * 4


def test_limits_of_the_gallery_are_tried_on_unknown_labels(gallery: Gallery, digits: Path) -> None:
    gallery.remove(label="digit 3")
    assessment = gallery.evaluate(digits / "test")
    per_query = assessment.identification.result.per_query
    tried = assessment.unknown_queries
    assert tried is not None
    assert [entry.promised for entry in tried.at_thresholds] == [0.01, 0.02, 0.05, 0.1, 0.2]
    for entry in tried.at_thresholds:
        limit = gallery.unknown_limit(entry.promised).similarity
        assert entry.acceptance.similarity == limit
        above = per_query["similarity"] > limit
        assert entry.acceptance.unknown_accepted.value == above[per_query["label"] == "digit 3"].mean()
    text = str(assessment)
    assert "none is in use: predict names all unless threshold= or false_accept_rate= is given" in text
    assert "checkpoint" not in text
    assert "bundle" not in text
    assert len(assessment.to_dict()["open_set"]["thresholds"]) == 5
    gallery.remove(label="digit 0")
    gallery.merge(["digit 1", "digit 2", "digit 4"], "digit 1")
    text = str(gallery.evaluate(digits / "test"))
    assert "no threshold was tried on them: a gallery has thresholds from two labels on" in text
    assert gallery.evaluate(digits / "train").without_thresholds == "a gallery has thresholds from two labels on"


def test_a_split_of_a_data_set(gallery: Gallery, digits: Path) -> None:
    whole = gallery.evaluate(digits)
    assert len(whole.protocol.queries) == 5 * 18
    part = gallery.evaluate({"root": str(digits)}, "test")
    assert part.identification.result.metrics == gallery.evaluate(digits / "test").identification.result.metrics
    assert (part.split, whole.split, len(part.protocol.queries)) == ("test", "all", 20)
    assert len(gallery.evaluate(digits, "val").protocol.queries) == 20
    with pytest.raises(LookalikeError, match=r"split=.night.: expected train, validation"):
        gallery.evaluate(digits, "night")


def test_cameras_leave_out_images_of_the_same_camera(model: Model, digits: Path, tmp_path: Path) -> None:
    files = files_of(digits, "train/*/*.png")
    cameras = [place % 2 for place in range(50)]
    gallery = Gallery.create(tmp_path / "g", model)
    gallery.add(files, camera=cameras)
    asked = files_of(digits, "test/*/*.png")
    lines = [f"{file},{file.parent.name},{place % 2}" for place, file in enumerate(asked)]
    (tmp_path / "asked.csv").write_text("\n".join(["path,label,camera", *lines]) + "\n")
    references = gallery.references
    given = (model.embed(asked), references.embeddings, labels_of(asked), references.labels)
    seen = {"query_cameras": [place % 2 for place in range(20)], "reference_cameras": cameras}
    with_rule = gallery.evaluate(tmp_path / "asked.csv").identification.result.metrics
    without = gallery.evaluate(tmp_path / "asked.csv", camera_rule=False).identification.result.metrics
    assert with_rule == lookalike.evaluate(*given, **seen).metrics
    assert without == lookalike.evaluate(*given).metrics
    assert with_rule != without


def test_nothing_to_ask_or_to_find_is_refused(gallery: Gallery, model: Model, digits: Path, tmp_path: Path) -> None:
    text = r"empty: is empty, so there is nothing to find: add images first"
    with Gallery.create(tmp_path / "empty", model) as empty, pytest.raises(GalleryError, match=text):
        empty.evaluate(digits / "test")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ManifestError, match=r"nothing: no image in it"):
        gallery.evaluate(tmp_path / "nothing")
    gallery.rename("digit 0", "zero")
    gallery.rename("digit 1", "one")
    shutil.copytree(digits / "test" / "digit 0", tmp_path / "strangers" / "seven")
    with pytest.raises(ManifestError, match=r"no query has a valid positive: 1 query labels \(seven"):
        gallery.evaluate(tmp_path / "strangers")


def test_it_is_written_with_the_pictures_that_the_gallery_keeps(model: Model, digits: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(digits / "train", tmp_path / "photos"))
    gallery = Gallery.create(tmp_path / "g", model)
    gallery.add(photos)
    shutil.rmtree(photos)
    written = gallery.evaluate(digits / "test").write(tmp_path / "report.json", worst=3)
    assert {file.suffix for file in written} >= {".json", ".png"}
    assert all(file.stat().st_size > 500 for file in written)


def test_parts_of_one_photograph_do_not_find_themselves(model: Model, tmp_path: Path) -> None:
    """Two boxes of each file are two images; copies that were enrolled once more are told."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (32, 64, 3), np.uint8)).save(file)
    boxes = [(0, 0, 32, 32), (32, 0, 64, 32)]
    rows = [(str(file), f"label {number % 2}", *box) for number, file in enumerate(files) for box in boxes]
    table = tmp_path / "parts.csv"
    table.write_text("path,label,x1,y1,x2,y2\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    with Gallery.create(tmp_path / "shop", model) as gallery:
        given = [Path(row[0]) for row in rows]
        gallery.add(given, [row[1] for row in rows], boxes=[row[2:] for row in rows])
        protocol = gallery.evaluate(table).protocol
        assert (protocol.own_row.tolist(), protocol.copies) == (list(range(12)), 0)
        gallery.add(given[:1], [rows[0][1]], boxes=[rows[0][2:]], keep_copies=True)
        again = gallery.evaluate(table)
        assert (again.protocol.copies, again.protocol.copies_kept) == (1, True)
        assert "copies of 1 queries among the references still answer, so figures are too good" in str(again)
