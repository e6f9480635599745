"""What was called unknown stays as files: every content once, as it was given."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.images import read_image
from lookalike.gallery.unknown import keep_unknown
from lookalike.inference.predict import Neighbour, Prediction
from lookalike.inference.references import GalleryError

NEAR = (Neighbour(1, "digit 0", "0.png", 0.1),)


def unknown(image: object, box: tuple[float, float, float, float] | None = None) -> Prediction:
    name = str(image) if isinstance(image, str | Path) else "image 1"
    return Prediction(name, "unknown", None, None, NEAR, query=image, box=box)  # type: ignore[arg-type]


@pytest.fixture
def files(digits: Path) -> list[Path]:
    return sorted((digits / "test" / "digit 1").glob("*.png"))


def test_files_are_kept_byte_for_byte_under_date_and_checksum(files: list[Path], tmp_path: Path) -> None:
    kept = keep_unknown([unknown(files[0]), unknown(str(files[1]))], tmp_path / "unknown")
    for path, file in zip(kept, files, strict=False):
        assert path.read_bytes() == file.read_bytes()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{12}\.png", path.name)
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:12] in path.name
    assert sorted(kept) == sorted((tmp_path / "unknown").iterdir())


def test_what_has_a_label_or_an_error_is_passed_over(files: list[Path], tmp_path: Path) -> None:
    labelled = Prediction("a", "digit 1", 1.0, None, NEAR, query=files[0])
    failed = Prediction("b", None, None, None, (), "damaged", files[0])
    assert keep_unknown([labelled, failed], tmp_path / "unknown") == []
    assert not (tmp_path / "unknown").exists()


def test_a_content_is_kept_once_whatever_its_name_date_or_sub_folder(files: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    shutil.copyfile(files[0], copy)
    folder = tmp_path / "unknown"
    kept = keep_unknown([unknown(files[0]), unknown(copy), unknown(files[0].read_bytes())], folder)
    assert len(kept) == 1
    moved = folder / "later" / f"2020-01-01-{kept[0].name[11:]}"
    moved.parent.mkdir()
    kept[0].rename(moved)
    before = moved.stat().st_mtime_ns
    assert keep_unknown([unknown(copy), unknown(moved)], folder) == [moved]
    assert moved.stat().st_mtime_ns == before
    assert [path for path in folder.rglob("*") if path.is_file()] == [moved]


def test_arrays_pictures_and_boxes_become_png_with_the_same_pixels(
    produce: Path, files: list[Path], tmp_path: Path
) -> None:
    photograph = sorted(produce.glob("validation/*/*.jpg"))[0]
    array = read_image(files[0])
    kept = keep_unknown(
        [unknown(array), unknown(Image.fromarray(array[:20])), unknown(photograph, (10, 20, 110, 90))], tmp_path
    )
    assert {path.suffix for path in kept} == {".png"}
    assert np.array_equal(read_image(kept[0]), array)
    assert np.array_equal(read_image(kept[1]), array[:20])
    assert np.array_equal(read_image(kept[2]), read_image(photograph, None, (10, 20, 110, 90)))


def test_pictures_are_kept_upright(tmp_path: Path) -> None:
    turned = Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3))
    turned.getexif()[0x0112] = 6
    (kept,) = keep_unknown([unknown(turned)], tmp_path)
    assert read_image(kept).shape == (30, 20, 3)


def test_the_ending_is_that_of_the_format_where_the_name_has_none(produce: Path, tmp_path: Path) -> None:
    photograph = sorted(produce.glob("validation/*/*.jpg"))[0]
    nameless = tmp_path / "upload"
    shutil.copyfile(photograph, nameless)
    (kept,) = keep_unknown([unknown(nameless), unknown(photograph.read_bytes())], tmp_path / "unknown")
    assert kept.suffix == ".jpg"


def test_an_image_that_is_gone_is_told_and_the_others_are_kept(files: list[Path], tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    nothing = Prediction("image 3", "unknown", None, None, NEAR)
    closed = Image.open(files[1])
    closed.close()
    with pytest.raises(GalleryError, match="3 unknown images cannot be kept, expected readable images") as error:
        keep_unknown([unknown(gone), nothing, unknown(closed), unknown(files[0])], tmp_path / "unknown")
    assert f"{gone}: No such file or directory" in str(error.value)
    assert "the other 1 are kept" in str(error.value)
    assert len(list((tmp_path / "unknown").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_told(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"unknown: nothing can be written there"):
        keep_unknown([unknown(files[0])], tmp_path / "file" / "unknown")


@pytest.mark.parametrize("given", ["text", 3, ["text"]])
def test_what_is_no_prediction_is_refused(given: object, tmp_path: Path) -> None:
    with pytest.raises(
        GalleryError, match=r"^keep_unknown: expected what predict gave, got .*: predict the images first$"
    ):
        keep_unknown(given, tmp_path / "unknown")  # type: ignore[arg-type]
