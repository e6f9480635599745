"""Predictions with the reasons of their neighbours: from files, from small pictures, from what is gone."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, Model, Predictions
from lookalike.inference.explained import KnownImage, files_of, with_reasons
from lookalike.inference.explanation import Explanation


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> Model:
    return Model.load(bundle_path, precision="float32")


@pytest.fixture
def photographs(digits: Path, tmp_path: Path) -> Path:
    """Four training images of two digits, which a test may change."""
    for label in ("digit 1", "digit 3"):
        (tmp_path / "known" / label).mkdir(parents=True)
        for file in sorted((digits / "train" / label).iterdir())[:2]:
            shutil.copyfile(file, tmp_path / "known" / label / file.name)
    return tmp_path / "known"


def reasons(made: Predictions) -> list[Explanation]:
    return [near.explanation for item in made for near in item.neighbours if near.explanation is not None]


def test_every_neighbour_of_a_bundle_is_explained_by_its_file(
    model: Model, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [*sorted((digits / "test" / "digit 3").iterdir())[:2], Path("gone.png")]
    plain, done = model.predict(files, 3), list[int]()
    made = with_reasons(model.encoder, plain, files_of, "float32", pictures=1, progress=done.append)
    assert len(reasons(made)) == 6
    assert sum(done) == 3
    assert capsys.readouterr().err.splitlines() == [
        "explain: regions are painted over in turn, as its last feature map is of one position, which tells no regions "
        "apart"
    ]
    assert made == plain, "reasons change nothing else"
    for item in made.items[:2]:
        for near in item.neighbours:
            assert near.explanation is not None
            assert near.explanation.explained == pytest.approx(near.similarity, abs=1e-4)
            assert (near.explanation.image, near.explanation.other) == (item.image, near.source)
    assert [explanation.pictures is None for explanation in reasons(made)] == [False] * 3 + [True] * 3
    again = Predictions.from_dict(made.to_dict())
    assert again.to_dict() == made.to_dict()
    nearest = made[0].neighbours[0]
    assert nearest.explanation is not None
    lighted = [np.asarray(cell.image) for cell in made[0].cells()[:2]]
    np.testing.assert_array_equal(lighted[0], nearest.explanation.heat(0))
    np.testing.assert_array_equal(lighted[1], nearest.explanation.heat(1))
    assert np.asarray(made[0].figure()).shape == np.asarray(plain[0].figure()).shape
    assert np.asarray(made.figure()).shape == np.asarray(plain.figure()).shape


def test_known_images_that_are_gone_are_told_and_passed_over(
    model: Model, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = model.predict(sorted((digits / "test" / "digit 3").iterdir())[:1], 2)
    first, second = plain[0].neighbours
    moved = replace(plain, items=(replace(plain[0], neighbours=(replace(first, source="/gone.png"), second)),))
    made = with_reasons(model.encoder, moved, files_of, "float32")
    assert [near.explanation is None for near in made[0].neighbours] == [True, False]
    assert "explain: 1 image cannot be read and are not explained; first: /gone.png" in capsys.readouterr().err


def test_another_picture_or_precision_than_the_similarity_is_of_is_told(
    model: Model, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = model.predict(sorted((digits / "test" / "digit 3").iterdir())[:1], 1)
    other = sorted((digits / "test" / "digit 0").iterdir())[0]
    made = with_reasons(model.encoder, plain, lambda near: [KnownImage(other)] * len(near), "bf16")
    (explanation,) = reasons(made)
    assert (explanation.precision, explanation.map_precision) == ("bf16", "float32")
    assert explanation.similarity == plain[0].neighbours[0].similarity
    assert explanation.explained != pytest.approx(explanation.similarity, abs=1e-3)
    told = capsys.readouterr().err
    assert "explain: 1 of 1 explanation: the maps make" in told
    assert "it was computed in bf16, the maps in float32" in told


def test_a_gallery_explains_by_the_file_else_by_the_small_picture(
    model: Model, photographs: Path, digits: Path, tmp_path: Path
) -> None:
    with Gallery.create(tmp_path / "shop", model) as gallery:
        numbers = gallery.add(photographs)
        query = sorted((digits / "test" / "digit 3").iterdir())[0]
        by_file = gallery.explain(query, numbers[2])
        near = {near.number: near for near in gallery.predict(query).neighbours}
        assert by_file.similarity == pytest.approx(near[numbers[2]].similarity, abs=1e-5)
        assert (by_file.from_small_picture, by_file.note) == (False, "")
        assert by_file.other.endswith(Path(near[numbers[2]].source).name)
        shutil.rmtree(photographs)
        small = gallery.explain(query, numbers[2], name="query")
        assert (small.from_small_picture, small.image) == (True, "query")
        assert small.similarity == by_file.similarity
        made = with_reasons(model.encoder, gallery.predict([query], 2), gallery.known_images, "float32")
        assert [explanation.from_small_picture for explanation in reasons(made)] == [True, True]


def test_parts_that_were_enrolled_are_explained_as_parts(model: Model, digits: Path, tmp_path: Path) -> None:
    file = sorted((digits / "train" / "digit 3").iterdir())[0]
    with Gallery.create(tmp_path / "shop", model) as gallery:
        (number,) = gallery.add(file, "3", boxes=[(4, 4, 28, 28)])
        made = gallery.explain(file, number, box=(4, 4, 28, 28))
    assert made.similarity == pytest.approx(1, abs=1e-5)
    assert made.explained == pytest.approx(1, abs=1e-4)
