"""Tars as WebDataset writes them, and as people and broken copies leave them."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.data.images import ImageError
from lookalike.data.tables import ManifestError
from lookalike.data.tar_images import TarImages, is_tars, read_tars
from lookalike.inference.shards import load_embeddings
from object_store import Store


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def photographs(digits: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((digits / "test").rglob("*.png"))[:4]]


def packed(entries: list[tuple[str, bytes]], style: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of named contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def rows_of(root: str) -> list[tuple[str, str]]:
    table, _, _ = read_tars({"root": root})
    return list(zip(table["path"], table["label"], strict=True))


@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_labels_stand_beside_images_and_contents_are_theirs(here: Path, photographs: list[bytes], style: int) -> None:
    long = "deep/" * 30 + "e"
    entries = [
        ("a.png", photographs[0]),
        ("a.cls", b"7\n"),
        ("a.txt", b"a caption"),
        ("b.json", json.dumps({"class_name": "Kiwi", "id": 3}).encode()),
        ("b.jpg", photographs[1]),
        ("c.seg.png", photographs[2]),
        ("c.txt", "Süß".encode()),
        (f"{long}.png", photographs[3]),
        ("notes.md", b"x"),
    ]
    (here / "x.tar").write_bytes(packed(entries, style))
    table, start, told = read_tars({"root": "x.tar"})
    assert start == "."
    assert list(zip(table["path"], table["label"], strict=True)) == [
        ("x.tar/a.png", "7"),
        ("x.tar/b.jpg", "Kiwi"),
        ("x.tar/c.seg.png", "Süß"),
        (f"x.tar/{long}.png", ""),
    ]
    assert told == (
        "x.tar: labels: 1 from .cls, 1 from .json, 1 from .txt",
        "x.tar: 1 of 4 images have no label: one is <key>.cls, <key>.json (label, class, class_name) or <key>.txt",
        "x.tar: 1 files passed over: neither image nor label",
    )
    images = TarImages(start, list(zip(table["tar"], table["offset"], table["size"], strict=True)))
    assert list(images) == photographs
    assert list(images[1:3]) == photographs[1:3]


def test_without_labels_the_name_of_a_tar_is_none(here: Path, photographs: list[bytes]) -> None:
    (here / "Kiwi.tar").write_bytes(packed([("1.png", photographs[0])]))
    table, _, told = read_tars({"root": "Kiwi.tar"})
    assert list(table["label"]) == [""]
    assert told == (
        "Kiwi.tar: 1 of 1 images have no label: one is <key>.cls, <key>.json (label, class, class_name) or <key>.txt",
    )


def test_several_tars_by_numbers_and_as_a_folder(here: Path, photographs: list[bytes]) -> None:
    (here / "set").mkdir()
    for number in range(9, 12):
        (here / "set" / f"x-{number:03}.tar").write_bytes(
            packed([("a.png", photographs[0]), ("a.cls", str(number).encode())])
        )
    expected = [(f"x-{number:03}.tar/a.png", str(number)) for number in range(9, 12)]
    assert rows_of("set/x-{009..011}.tar") == expected
    assert is_tars("set")
    assert rows_of("set") == expected
    (here / "set" / "photo.jpg").write_bytes(photographs[0])
    assert not is_tars("set")
    with pytest.raises(ManifestError, match=r"^set/x-012\.tar: no such tar: check its name"):
        read_tars({"root": "set/x-{009..012}.tar"})
    with pytest.raises(ManifestError, match=r"\{5\.\.4\}: expected up to 100000 numbers, the smaller one first"):
        read_tars({"root": "set/x-{5..4}.tar"})


def test_tars_joined_by_cat_are_read_to_their_end(here: Path, photographs: list[bytes]) -> None:
    parts = [packed([(f"{number}.png", photographs[number])]) for number in range(3)]
    (here / "x.tar").write_bytes(b"".join(parts))
    assert [path for path, _ in rows_of("x.tar")] == ["x.tar/0.png", "x.tar/1.png", "x.tar/2.png"]


def test_a_name_that_is_no_utf_8_is_shown_and_read(here: Path, photographs: list[bytes]) -> None:
    content = packed([("aXb.png", photographs[0])], tarfile.USTAR_FORMAT)
    header = bytearray(content[:512].replace(b"aXb", b"a\xffb"))
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (here / "x.tar").write_bytes(bytes(header) + content[512:])
    ((path, _),) = rows_of("x.tar")
    assert path.startswith("x.tar/a")
    path.encode()


def _cut_in_an_image(content: bytes) -> bytes:
    return content[: 512 + 100]


def _cut_between(content: bytes) -> bytes:
    return content[: 1024 + 512 + 200]


def _spoilt_header(content: bytes) -> bytes:
    second = 512 + -(-int(content[124:135], 8) // 512) * 512
    return content[:second] + b"garbage!" * 64 + content[second + 512 :]


@pytest.mark.parametrize(
    ("spoil", "refused"),
    [
        (
            _cut_in_an_image,
            r"^\./x\.tar: (damaged or )?cut short (behind|inside) (its beginning|0\.png) .*copy it again",
        ),
        (_cut_between, r"^\./x\.tar: .*copy it again"),
        (_spoilt_header, r"^\./x\.tar: damaged behind 0\.png \(byte \d+\): copy it again"),
        (lambda content: b"no tar at all" * 200, r"^\./x\.tar: .*copy it again"),
    ],
)
def test_what_is_damaged_is_named_with_its_place(spoil, refused: str, here: Path, photographs: list[bytes]) -> None:
    whole = packed([(f"{number}.png", photographs[number]) for number in range(3)])
    (here / "x.tar").write_bytes(spoil(whole))
    with pytest.raises(ManifestError, match=refused) as raised:
        read_tars({"root": "x.tar"})
    assert "\n" not in str(raised.value)


def test_links_and_hostile_names_write_nothing(here: Path, photographs: list[bytes]) -> None:
    buffer = io.BytesIO(packed([("../../etc/a.png", photographs[0]), ("/root/b.png", photographs[1])]))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (here / "x.tar").write_bytes(buffer.getvalue())
    table, _, told = read_tars({"root": "x.tar"})
    assert list(table["path"]) == ["x.tar/../../etc/a.png", "x.tar//root/b.png"]
    assert "x.tar: 1 entries passed over: links, sparse or special files" in told
    assert [path.name for path in here.iterdir()] == ["x.tar"]


@pytest.mark.parametrize(
    ("entries", "refused"),
    [
        ([("a.png", b"1"), ("a.png", b"2")], r"a\.png is in it twice \(bytes \d+ and \d+\): write it again"),
        ([("a.cls", b"1")], r"no image in it \(1 tar\(s\)\): expected names such as 000017\.jpg"),
        ([("a.png", b"1"), ("a.json", b"{")], r"a\.png: its \.json cannot be read"),
    ],
)
def test_what_says_two_things_or_none_is_refused(entries: list[tuple[str, bytes]], refused: str, here: Path) -> None:
    (here / "x.tar").write_bytes(packed(entries))
    with pytest.raises(ManifestError, match=refused):
        read_tars({"root": "x.tar"})


def test_compressed_ones_and_settings_of_others_are_refused(here: Path) -> None:
    for name in ("x.tar.gz", "x.tgz"):
        with pytest.raises(ManifestError, match=rf"^{name}: a compressed tar, and images are read from their places"):
            read_tars({"root": name})
    with pytest.raises(
        ManifestError, match=r"^x\.tar: tars, and data\.pattern is for folders and tables: leave it out"
    ):
        read_tars({"root": "x.tar", "pattern": "a"})


def test_what_is_gone_or_cut_since_is_told_for_its_image(here: Path, photographs: list[bytes]) -> None:
    (here / "x.tar").write_bytes(packed([("a.png", photographs[0])]))
    table, start, _ = read_tars({"root": "x.tar"})
    images = TarImages(start, list(zip(table["tar"], table["offset"], table["size"], strict=True)))
    (here / "x.tar").write_bytes((here / "x.tar").read_bytes()[:600])
    with pytest.raises(ImageError, match=r"^\./x\.tar, byte 512: 88 of \d+ bytes are there: the tar was cut short"):
        images[0]
    (here / "x.tar").unlink()
    with pytest.raises(ImageError, match="the tar is gone: restore it"):
        images[0]


def test_the_command_embeds_tars_as_it_does_folders(
    bundle_path: Path, digits: Path, here: Path, object_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((digits / "test").rglob("*.png"))
    shutil.copytree(digits / "test", here / "plain")
    samples = [
        [(f"{n:03}.png", file.read_bytes()), (f"{n:03}.cls", file.parent.name.encode())] for n, file in enumerate(files)
    ]
    samples.append([("bad.png", b"x")])
    (here / "x.tar").write_bytes(packed([entry for sample in samples for entry in sample]))
    assert main(["embed", f"bundle={bundle_path}", "data.root=x.tar", "output=tars"]) == 0
    shown = capsys.readouterr()
    assert "x.tar: labels: 20 from .cls" in shown.err
    assert "20 embeddings of 16 dimensions in 1 shard of tars; 1 image could not be used" in shown.out
    assert main(["embed", f"bundle={bundle_path}", "data.root=plain", "output=folder"]) == 0
    ours, plain = load_embeddings("tars"), load_embeddings(here / "folder")
    assert sorted(ours.labels) == sorted(plain.labels)
    assert (ours.embeddings[: len(files)] == plain.embeddings).all()
    object_store.put("sets/x.tar", (here / "x.tar").read_bytes())
    assert (
        main(["embed", f"bundle={bundle_path}", "data.root=s3://bucket/sets/*.tar", "output=s3://bucket/tarred"]) == 0
    )
    assert (load_embeddings("s3://bucket/tarred").embeddings == ours.embeddings).all()
