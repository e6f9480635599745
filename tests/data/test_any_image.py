"""The same picture as a file, bytes, array or Pillow's gives the same pixels, bit for bit."""

import io
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike.data.any_image import AnyImage, as_list, folder_label, name_of, read_any
from lookalike.data.images import MAX_PIXELS, ImageError, read_image
from lookalike.data.pixels import PixelSettings

# None is half of the pictures below or less: a JPEG would then be decoded at reduced scale, where its file is given.
SIZES = [PixelSettings(40, 56), PixelSettings(64, 64, "crop"), PixelSettings(300, 200, "pad")]
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def scene(digits: Path) -> Image.Image:
    """Four scanned digits side by side, in colour, so that no turn of it looks like another."""
    files = [sorted((digits / "train" / f"digit {number}").glob("*.png"))[0] for number in range(4)]
    sheet = Image.new("RGB", (64, 96), "white")
    for place, file in enumerate(files):
        with Image.open(file) as opened:
            digit = opened.convert("L")
        faint = digit.point([value * (place + 1) // 4 for value in range(256)])
        sheet.paste(Image.merge("RGB", [faint, digit, digit.rotate(90)]), (32 * (place % 2), 48 * (place // 2)))
    return sheet


def palette(scene: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    return scene.quantize(40), {}


def transparent_palette(scene: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    return scene.quantize(40), {"transparency": 3}


def alpha(scene: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    with_alpha = scene.convert("RGBA")
    with_alpha.putalpha(scene.convert("L"))
    return with_alpha, {}


def sixteen_bit(scene: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    return Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257), {}


def turned(scene: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    exif = scene.getexif()
    exif[ORIENTATION] = 6
    return scene.copy(), {"exif": exif}


KINDS = {
    "RGB png": (lambda scene: (scene, {}), "PNG"),
    "grey png": (lambda scene: (scene.convert("L"), {}), "PNG"),
    "black and white png": (lambda scene: (scene.convert("1"), {}), "PNG"),
    "grey with alpha png": (lambda scene: (alpha(scene)[0].convert("LA"), {}), "PNG"),
    "palette png": (palette, "PNG"),
    "transparent palette png": (transparent_palette, "PNG"),
    "RGBA png": (alpha, "PNG"),
    "16 bit png": (sixteen_bit, "PNG"),
    "16 bit tiff": (sixteen_bit, "TIFF"),
    "turned png": (turned, "PNG"),
    "turned tiff": (turned, "TIFF"),
    "turned webp": (lambda scene: (turned(scene)[0], {**turned(scene)[1], "lossless": True}), "WEBP"),
    "turned jpeg": (turned, "JPEG"),
    "CMYK tiff": (lambda scene: (scene.convert("CMYK"), {}), "TIFF"),
    "CMYK jpeg": (lambda scene: (scene.convert("CMYK"), {}), "JPEG"),
    "grey jpeg": (lambda scene: (scene.convert("L"), {}), "JPEG"),
    "jpeg": (lambda scene: (scene, {"quality": 95}), "JPEG"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_has_the_same_pixels_in_every_form(kind: str, scene: Image.Image, tmp_path: Path) -> None:
    make, suffix = KINDS[kind]
    picture, options = make(scene)
    file = tmp_path / f"picture.{suffix.lower()}"
    picture.save(file, suffix, **options)
    array = read_image(file)
    assert array.shape == ((64, 96, 3) if kind.startswith("turned") else (96, 64, 3))
    assert array.std() > 20
    for pixels in SIZES:
        expected = read_any(file, pixels)
        assert expected.shape == (pixels.height, pixels.width, 3)
        with Image.open(file) as opened:
            forms: list[AnyImage] = [str(file), file.read_bytes(), array, opened]
            for form in forms:
                assert np.array_equal(read_any(form, pixels), expected), type(form)


def test_photographs_opened_by_pillow_are_those_of_their_files(few_produce: Path) -> None:
    """A JPEG much larger than the model's input is decoded at reduced scale, where only its file is given."""
    files = sorted(few_produce.glob("train/*/*.jpg"))[::12]
    same, reduced = PixelSettings(400, 400), PixelSettings(96, 96)
    for file in files:
        with Image.open(file) as opened:
            assert min(opened.size) < 800
            assert np.array_equal(read_any(opened, same), read_any(file, same))
            difference = read_any(opened, reduced).astype(int) - read_any(file, reduced)
        assert np.abs(difference).mean() < 3


def test_arrays_in_any_layout_in_memory(scene: Image.Image) -> None:
    pixels, whole = PixelSettings(32, 32), np.asarray(scene)
    expected = read_any(np.ascontiguousarray(whole[::-1, ::2]), pixels)
    assert np.array_equal(read_any(whole[::-1, ::2], pixels), expected)
    assert np.array_equal(read_any(np.asfortranarray(whole[::-1, ::2]), pixels), expected)
    opaque = np.dstack([whole, np.full(whole.shape[:2], 255, np.uint8)])
    assert np.array_equal(read_any(opaque, pixels), read_any(whole, pixels))
    clear = np.dstack([whole, np.zeros(whole.shape[:2], np.uint8)])
    assert (read_any(clear, pixels) == 255).all(), "transparency is laid over white"
    grey = whole[:, :, 0]
    assert np.array_equal(read_any(grey, pixels), read_any(np.dstack([grey] * 3), pixels))
    assert read_any(whole, pixels).flags.c_contiguous


def test_a_box_is_cut_from_a_file_and_its_bytes(scene: Image.Image, tmp_path: Path) -> None:
    scene.save(tmp_path / "scene.png")
    pixels, box = PixelSettings(32, 32), (32.0, 48.0, 64.0, 96.0)
    expected = read_any(np.asarray(scene)[48:96, 32:64], pixels)
    for form in (tmp_path / "scene.png", str(tmp_path / "scene.png"), (tmp_path / "scene.png").read_bytes()):
        assert np.array_equal(read_any(form, pixels, box), expected)
    with pytest.raises(
        ImageError, match=r"^image 2: a box is for files, cut the array instead: array\[y1:y2, x1:x2\]$"
    ):
        read_any(np.asarray(scene), pixels, box, "image 2")


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((8, 8, 3)), r"^an image: expected uint8 \[H, W, 3\], .*, got float64 \[8, 8, 3\]: scale and convert"),
        (np.zeros((8, 8, 3), np.int64), r"got int64 \[8, 8, 3\]"),
        (np.zeros((8, 8, 2), np.uint8), r"got uint8 \[8, 8, 2\]"),
        (np.zeros((3, 8, 8), np.uint8), r"got uint8 \[3, 8, 8\]"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"got uint8 \[2, 8, 8, 3\]"),
        (np.zeros((0, 8, 3), np.uint8), r"got uint8 \[0, 8, 3\]"),
        (np.zeros(8, np.uint8), r"got uint8 \[8\]"),
        (
            np.ma.masked_less(np.arange(64, dtype=np.uint8).reshape(8, 8), 3),
            "^an image: a masked array, whose masked pix",
        ),
        (np.zeros((3, 8, 3), np.uint8), r"8 x 3 pixels, expected at least 4 x 4"),
        (np.broadcast_to(np.uint8(0), (1, MAX_PIXELS + 1)), rf"{MAX_PIXELS + 1} x 1 pixels, expected at least 4 x 4"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array: np.ndarray, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        read_any(array, PixelSettings(16, 16))


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded() -> None:
    huge = Image.new("1", (9460, 9460))
    with pytest.raises(
        ImageError, match=rf"^image 1: 9460 x 9460 pixels, .* at most {MAX_PIXELS} in all: scale"
    ) as caught:
        read_any(huge, PixelSettings(16, 16), name="image 1")
    assert caught.value.kind == "size"


def test_a_picture_that_cannot_be_decoded_is_refused(scene: Image.Image) -> None:
    buffer = io.BytesIO()
    scene.save(buffer, "PNG")
    cut = Image.open(io.BytesIO(buffer.getvalue()[:200]))
    with pytest.raises(ImageError, match=r"^image 4: damaged or closed \(.*\): open it again, or leave it out$"):
        read_any(cut, PixelSettings(16, 16), name="image 4")
    with Image.open(io.BytesIO(buffer.getvalue())) as closed:
        pass
    with pytest.raises(ImageError, match=r"^an image: damaged or closed \("):
        read_any(closed, PixelSettings(16, 16))
    with pytest.raises(ImageError, match=r"floating-point pixels have no fixed range: save it as 8 or 16 bit"):
        read_any(scene.convert("F"), PixelSettings(16, 16))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"^image 7: zero bytes, expected an image"),
        (b"text", r"^image 7: not an image, whatever its name says"),
        (None, r"^image 7: expected a path, bytes, a uint8 array or a picture of Pillow, got NoneType$"),
        (7, r"got int$"),
        (bytearray(b"x"), r"got bytearray$"),
        ([1, 2], r"got list$"),
        (io.BytesIO(b"x"), r"got BytesIO: give its bytes, \.read\(\)$"),
    ],
)
def test_what_is_no_image_is_named(data: object, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        read_any(data, PixelSettings(16, 16), name="image 7")  # type: ignore[arg-type]


def test_one_image_or_several() -> None:
    file, array = Path("a.jpg"), np.zeros((8, 8, 3), np.uint8)
    picture = Image.fromarray(array)
    for image in ("a.jpg", file, b"bytes", array, array[:, :, 0], picture):
        assert as_list(image) == ([image], True) if not isinstance(image, np.ndarray) else as_list(image)[1]
    assert as_list(["a.jpg", file]) == (["a.jpg", file], False)
    assert as_list(("a.jpg",)) == (["a.jpg"], False)
    assert as_list(name for name in ("a", "b")) == (["a", "b"], False)
    assert as_list(np.array(["a.jpg", "b.jpg"])) == (["a.jpg", "b.jpg"], False)
    assert as_list(np.array([file, file], object)) == ([file, file], False)
    stack, alone = as_list(np.stack([array, array + 1]))
    assert (len(stack), alone) == (2, False)
    assert np.array_equal(stack[1], array + 1)  # type: ignore[arg-type]
    assert as_list([]) == ([], False)
    opened = io.BytesIO(b"several\nlines")
    assert as_list(opened) == ([opened], True)
    table = pd.DataFrame({"path": ["a.jpg"]})
    assert as_list(table["path"]) == (["a.jpg"], False)
    with pytest.raises(ImageError, match="images: expected files, arrays or pictures, got a table: give one column"):
        as_list(table)  # type: ignore[arg-type]


def test_names_and_labels_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (name_of("a/b.jpg", 3), name_of(Path("a/b.jpg")), name_of(b"x", 2)) == ("a/b.jpg", "a/b.jpg", "image 3")
    assert folder_label("/photos/Kiwi/a.jpg") == folder_label(Path("/photos/Kiwi/a.jpg")) == "Kiwi"
    decomposed = unicodedata.normalize("NFD", "Crème")
    assert folder_label(f"/photos/{decomposed}/a.jpg") == "Crème" != decomposed
    (tmp_path / "Leek").mkdir()
    monkeypatch.chdir(tmp_path / "Leek")
    assert folder_label("a.jpg") == "Leek"
