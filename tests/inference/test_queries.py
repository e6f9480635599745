"""Folders among images are the images in them."""

from pathlib import Path

import numpy as np
import pytest

from image_folders import pictures
from lookalike.data.image_files import PassedOver
from lookalike.inference.queries import PredictError, find_queries, with_folders


def test_folders_become_their_images_where_they_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path, "b/2.png", "b/1.png", "b/deep/0.png", "a.png")
    (tmp_path / "b" / "notes.txt").touch()
    inside = [tmp_path / "b" / name for name in ("1.png", "2.png", "deep/0.png")]
    array = np.zeros((8, 8, 3), np.uint8)
    listed, alone = with_folders([array, str(tmp_path / "b"), tmp_path / "a.png", "gone.png"], "embed")
    assert listed[0] is array
    assert (listed[1:], alone) == ([*inside, tmp_path / "a.png", "gone.png"], False)
    assert "embed: 1 file(s) ending in .txt passed over" in capsys.readouterr().err
    assert with_folders(tmp_path / "b", "embed") == (inside, False)


def test_one_image_is_one_and_none_are_none(tmp_path: Path) -> None:
    assert with_folders("gone.png", "predict") == (["gone.png"], True)
    assert with_folders(["gone.png"], "predict") == (["gone.png"], False)
    assert with_folders([], "predict") == ([], False)


def test_a_folder_without_an_image_is_refused_unless_others_have_some(tmp_path: Path) -> None:
    with pytest.raises(PredictError, match=r"^predict: .*: no image in this folder: give files or a folder of images$"):
        with_folders([tmp_path, tmp_path], "predict")
    assert with_folders([tmp_path, "a.png"], "predict") == (["a.png"], False)


def test_pictures_of_results_are_no_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path, "a.png", "b/1.png", "predictions/2.png", "predictions/3.png")
    for name in ("2", "3"):
        (tmp_path / "predictions" / name).with_suffix(".json").touch()
    results = Path("predictions")
    for image in (".", str(tmp_path), "*", "./**/*.png"):
        names = [file.name for file in find_queries(image, output=results)]
        assert sorted(names) == ["1.png", "a.png"]
        assert capsys.readouterr().err == f"image={image}: 2 in predictions passed over: pictures of results\n"
    for image in ("predictions", "predictions/*.png", "predictions/2.png"):
        assert find_queries(image, output=results) == find_queries(image), "asked for by name"
    pictures(tmp_path, "predictions/photograph.png")
    assert [file.name for file in find_queries(".", output=results)] == ["a.png", "1.png", "photograph.png"]
    (tmp_path / "predictions" / "photograph.png").unlink()
    (tmp_path / "a.png").unlink()
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(PredictError, match=r"^image=\.: no image there"):
        find_queries(".", output=results)


def test_a_pattern_passes_over_what_belongs_to_a_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/Kiwi/1.png", "photos/shop/unknown/2.png", "photos/shop/gallery.sqlite"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    passed = PassedOver()
    assert find_queries("photos/**/*.png", passed) == [Path("photos/Kiwi/1.png")]
    assert [note for note in passed.notes if "of a gallery" in note] == [
        "1 folder(s) of a gallery passed over: photos/shop"
    ]
    assert find_queries("photos/shop/unknown/*.png") == [Path("photos/shop/unknown/2.png")]


def test_what_is_not_there_is_told_by_its_setting() -> None:
    with pytest.raises(
        PredictError, match=r"^images=no/\*\.png: no image there: give a file, .* such as images='photos/\*\.jpg'$"
    ):
        find_queries("no/*.png", setting="images")
    with pytest.raises(
        PredictError, match=r"; a list is not taken: put the files into a folder, or into a table with a col"
    ):
        find_queries("[a.jpg,b.jpg]")
