"""Which files are images, and which of them cannot be used."""

from pathlib import Path

from lookalike.data.image_files import find_broken, find_images
from pictures import JPEG, PNG


def test_find_broken_keeps_the_order_and_looks_at_every_file(tmp_path: Path) -> None:
    contents: list[bytes] = [JPEG, b"", PNG, JPEG[:500], b"text", PNG]
    files = [tmp_path / f"{name}.jpg" for name in "fedcba"]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    missing = tmp_path / "0.jpg"
    looked: list[None] = []
    texts = find_broken([*files, missing], threads=4, progress=lambda: looked.append(None))
    assert [text.split(":")[0] for text in texts] == [str(file) for file in (files[1], files[3], files[4], missing)]
    assert len(looked) == 7
    assert find_broken([]) == []


def test_find_images_goes_by_the_extension_and_skips_the_hidden(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "deep/er/c.webp", ".d.png", ".hidden/e.png", "f.txt", "png", "g.png.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)] == [
        "a.jpeg",
        "b.JPG",
        "deep/er/c.webp",
    ]
