"""Archives of Market-1501 that mean well or not."""

import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lookalike.data import market_archive
from lookalike.data.image_files import find_broken
from lookalike.data.layouts.market import market_root
from lookalike.data.market_archive import MarketError, unpack
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError
from market_layout import SMALL, TINY_JPEG, files_below, layout, rows


def zipped(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file


def official(file: Path) -> Path:
    """Laid out like the archive that its authors give away, with what else is in it."""
    top = "Market-1501-v15.09.15/"
    others = ("gt_bbox/0001_c1s1_000001_00.jpg", "gt_query/0001_c1s1_000001_00_good.mat", "readme.txt")
    others = (*others, "query/Thumbs.db", "query/._0001_c1s1_000006_00.jpg")
    members = {top: b"", f"{top}query/": b"", **{top + path: TINY_JPEG for path in (*SMALL, *others)}}
    return zipped(file, members, zipfile.ZIP_DEFLATED)


def test_the_official_archive_is_unpacked_without_what_is_not_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = official(tmp_path / "Market-1501-v15.09.15.zip")
    folder = tmp_path / "new/market"
    assert unpack(archive, folder) == folder
    assert files_below(folder) == dict.fromkeys(SMALL, TINY_JPEG)
    assert capsys.readouterr().err == f"{archive}: 6 images unpacked into {folder}, 5 other files left out\n"
    assert sorted(rows(read_manifest(folder))) == sorted(SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "new"]
    assert [path.name for path in folder.parent.iterdir()] == ["market"]


@pytest.mark.parametrize("top", ["", "./", "a/b c/", "query/"])
def test_the_folders_are_found_wherever_they_stand(tmp_path: Path, top: str) -> None:
    archive = zipped(tmp_path / "a.zip", {top + path: TINY_JPEG for path in SMALL})
    assert files_below(unpack(archive, tmp_path / "out")) == dict.fromkeys(SMALL, TINY_JPEG)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unpack(official(tmp_path / "a.zip"), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]
    assert len(files_below(tmp_path / "out")) == len(SMALL)


@pytest.mark.parametrize("inner", ["", "Market-1501-v15.09.15/"])
def test_what_is_there_is_used_when_it_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inner: str
) -> None:
    archive = official(tmp_path / "a.zip")
    unpack(archive, tmp_path / "out" / inner)
    before = files_below(tmp_path)
    capsys.readouterr()
    assert unpack(archive, tmp_path / "out") == tmp_path / "out"
    assert capsys.readouterr().err == (
        f"{tmp_path / 'out'}: already holds the images of {archive}, which is not unpacked again\n"
    )
    assert files_below(tmp_path) == before


def test_another_archive_is_not_taken_for_what_is_there(tmp_path: Path) -> None:
    unpack(official(tmp_path / "a.zip"), tmp_path / "out")
    before = files_below(tmp_path / "out")
    other = zipped(tmp_path / "b.zip", dict.fromkeys(SMALL[1:], TINY_JPEG))
    with pytest.raises(MarketError, match=r"out: holds \d+ images, .*b.zip holds \d+, and 1 differ .* data.root="):
        unpack(other, tmp_path / "out")
    with pytest.raises(MarketError, match=r"gone.zip: No such file"):
        unpack(tmp_path / "gone.zip", tmp_path / "out")
    assert files_below(tmp_path / "out") == before


@pytest.mark.parametrize("taken", ["out/notes.txt", "out"])
def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    archive = official(tmp_path / "a.zip")
    before = files_below(tmp_path)
    with pytest.raises(MarketError, match=r"out: expected a new or an empty folder .* give a new one with data\.root="):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path) == before


def raw_member(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """A member whose name is written as it is."""
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr, info.create_system = name, mode << 16, 3
    return info


HOSTILE = {  # name in the archive -> what becomes of it below the new folder, None where it is left out
    "../evil.jpg": None,
    "query/../../evil.jpg": None,
    "bounding_box_test/..": None,
    "bounding_box_test/../../../evil.jpg": None,
    "query\\..\\..\\evil.jpg": None,
    "../readme.txt": None,
    "../query/evil.jpg": "query/evil.jpg",
    "../../../../../../../tmp/query/evil.jpg": "query/evil.jpg",
    "/query/evil.jpg": "query/evil.jpg",
    "//server/query/evil.jpg": "query/evil.jpg",
    "C:/query/evil.jpg": "query/evil.jpg",
    "query/evil.jpg\0.txt": "query/evil.jpg",
}


def everything(folder: Path) -> list[str]:
    """Files, folders and links, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("first", [True, False])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, first: bool) -> None:
    archive = tmp_path / "deep/er/a.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as target:
        if first:
            target.writestr(raw_member(name), TINY_JPEG)
        for path in SMALL:
            target.writestr(path, TINY_JPEG)
        if not first:
            target.writestr(raw_member(name), TINY_JPEG)
    before = set(everything(tmp_path))
    unpack(archive, tmp_path / "deep/er/out")
    places = [*SMALL, *filter(None, [HOSTILE[name]])]
    assert files_below(tmp_path / "deep/er/out") == dict.fromkeys(places, TINY_JPEG)
    folders = {path.partition("/")[0] for path in places}
    made = {"deep/er/out", *(f"deep/er/out/{path}" for path in (*folders, *places))}
    assert set(everything(tmp_path)) - before == made
    assert not Path("/tmp/query/evil.jpg").exists()


@pytest.mark.parametrize("name", ["query/d:evil.jpg", "query/..\\evil.jpg", "query/a\\b.jpg"])
def test_names_that_mean_a_folder_on_windows_alone(tmp_path: Path, name: str) -> None:
    """zipfile and the pattern of names leave nothing of them there; here they are names like any other."""
    archive = zipped(tmp_path / "a.zip", dict.fromkeys((*SMALL, name), TINY_JPEG))
    unpack(archive, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]
    assert {path.parent for path in (tmp_path / "out").rglob("*.jpg")} == {
        tmp_path / "out" / folder for folder in ("bounding_box_train", "bounding_box_test", "query")
    }


@pytest.mark.parametrize("name", ["query/0009_c1s1_1.jpg", "Market/query", "query", "link"])
@pytest.mark.parametrize("first", [True, False])
def test_no_link_is_made(tmp_path: Path, name: str, first: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        members = {raw_member(path): TINY_JPEG for path in SMALL}
        link = {raw_member(name, stat.S_IFLNK | 0o777): str(outside).encode()}
        for member, content in ({**link, **members} if first else {**members, **link}).items():
            target.writestr(member, content)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]
    assert not list(outside.iterdir())
    content = files_below(tmp_path / "out")
    if name == "query/0009_c1s1_1.jpg":  # a file whose content is no image, which is told when it is read
        assert content.pop(name) == str(outside).encode()
        (problem,) = find_broken([tmp_path / "out" / name])
        assert name in problem
    assert content == dict.fromkeys(SMALL, TINY_JPEG)


@pytest.mark.parametrize("name", ["b/query/0001_c1s1_000006_00.jpg", "query/0001_C1S1_000006_00.JPG"])
def test_two_members_for_one_place_are_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", dict.fromkeys((*SMALL, name), TINY_JPEG))
    expected = rf"query/0001_c1s1_000006_00\.jpg and {name} would both become query/.*: expected one data set"
    with pytest.raises(MarketError, match=expected):
        unpack(archive, tmp_path / "out")
    assert list(files_below(tmp_path)) == ["a.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for path in (*SMALL, SMALL[0]):
            target.writestr(path, TINY_JPEG)
    with pytest.raises(MarketError, match=r"would both become bounding_box_train/0002_c1s1_000001_00\.jpg"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {},
            r"expected images in bounding_box_train/ or bounding_box_test/, found nothing; give the zip of Market-1501",
        ),
        ({"fruits/train/a/1.jpg": TINY_JPEG, "b.txt": b""}, "found b.txt, fruits; give the zip of Market-1501"),
        (
            {"m/query/0001_c1s1_1.jpg": TINY_JPEG},
            "expected images in bounding_box_train/ or bounding_box_test/, found m;",
        ),
        ({"bounding_box_train/list.txt": b"x"}, "found bounding_box_train; give the zip"),
        ({"bounding_box_train/.hidden.jpg": TINY_JPEG, "bounding_box_train/": b""}, "found bounding_box_train; give"),
        ({"bounding_box_train_old/0001_c1s1_1.jpg": TINY_JPEG}, "found bounding_box_train_old; give"),
    ],
)
def test_an_archive_of_something_else_is_explained(tmp_path: Path, members: dict[str, bytes], expected: str) -> None:
    with pytest.raises(MarketError, match=expected) as caught:
        unpack(zipped(tmp_path / "a.zip", members), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def change_a_pixel(content: bytes) -> bytes:
    """Damages the last stored image; the table of contents behind it is whole."""
    place = content.rindex(TINY_JPEG) + len(TINY_JPEG) // 2
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def lock(content: bytes) -> bytes:
    """Sets the bit `encrypted` of the last member, in its header and in the table of contents."""
    changed = bytearray(content)
    changed[content.rindex(b"PK\x03\x04") + 6] |= 1
    changed[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, r"damaged or cut off \(File is not a zip file\): copy or download it again"),
        (
            change_a_pixel,
            r"000006_00\.jpg cannot be unpacked \(Bad CRC-32 .*\): damaged or locked; copy or download the",
        ),
        (lock, r"000006_00\.jpg cannot be unpacked \(.*password required.*\): damaged or locked"),
        (lambda _: b"", "not a zip file: expected the zip of Market-1501; unpack others yourself and give data.root="),
        (lambda _: b"\x1f\x8b tar", "not a zip file: expected the zip of Market-1501"),
        (lambda _: b"PK", r"damaged or cut off \(File is not a zip file\)"),
    ],
)
def test_a_damaged_archive_is_explained_and_leaves_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes], expected: str
) -> None:
    archive = zipped(tmp_path / "a.zip", dict.fromkeys(SMALL, TINY_JPEG))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(MarketError, match=expected) as caught:
        unpack(archive, tmp_path / "out")
    assert str(caught.value).startswith(str(archive))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_any_flipped_byte_gives_an_explanation_or_the_data(tmp_path: Path, compression: int) -> None:
    archive = zipped(tmp_path / "a.zip", {SMALL[0]: TINY_JPEG}, compression)
    content = archive.read_bytes()
    refused = 0
    for place in [*range(60), *range(len(content) - 150, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 0xFF
        archive.write_bytes(bytes(changed))
        folder = tmp_path / f"out {place}"
        try:
            unpack(archive, folder)
        except MarketError:
            refused += 1
            assert not folder.exists()
        else:
            assert list(files_below(folder).values()) == [TINY_JPEG]
    assert refused > 60


@pytest.mark.parametrize(("name", "reason"), [("no.zip", "No such file or directory"), ("folder", "Is a directory")])
def test_an_archive_that_is_not_there_is_explained(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        MarketError, match=f"{name}: {reason}: expected the zip of Market-1501; give its place with data"
    ):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# A process that gets a signal while it writes its fourth image.
STOPPED = """
import os, sys
from pathlib import Path
from lookalike.data.market_archive import unpack

archive, folder, number = sys.argv[1:]
opened = []

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".jpg"):
        opened.append(arguments[0])
        if len(opened) == 4:
            os.kill(os.getpid(), int(number))

sys.addaudithook(watch)
unpack(Path(archive), Path(folder))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_unpack_leaves_nothing_and_can_be_repeated(tmp_path: Path, number: signal.Signals) -> None:
    archive = official(tmp_path / "a.zip")
    command = [sys.executable, "-c", STOPPED, str(archive), str(tmp_path / "out"), str(number.value)]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -number, done.stderr.decode()
    left = list(tmp_path.glob(".lookalike-*.tmp"))
    assert len(left) == (number is not signal.SIGINT), "the others end a process on the spot"
    assert sorted(path.name for path in tmp_path.iterdir() if path not in left) == ["a.zip"]
    (tmp_path / ".lookalike-0123456789abcdef.tmp").mkdir()
    layout(tmp_path / ".lookalike-0123456789abcdef.tmp", "query/9999_left_by_a_killed_process.jpg")
    assert files_below(unpack(archive, tmp_path / "out")) == dict.fromkeys(SMALL, TINY_JPEG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


def test_a_process_that_was_quicker_has_its_images_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, folder, own = official(tmp_path / "a.zip"), tmp_path / "out", []
    extract = market_archive._extract

    def extracted(*arguments: Any) -> None:
        extract(*arguments)
        if not own:
            own.append(arguments)
            unpack(archive, folder)

    monkeypatch.setattr(market_archive, "_extract", extracted)
    assert files_below(unpack(archive, folder)) == dict.fromkeys(SMALL, TINY_JPEG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


# A process that may write 1,000 bytes per file: what a full disk or a used-up quota looks like from inside.
NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from lookalike.data.market_archive import unpack
from lookalike.files import DiskFullError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except DiskFullError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    large = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))[1].tobytes()
    archive = zipped(tmp_path / "a.zip", {**dict.fromkeys(SMALL, TINY_JPEG), "query/0001_c3s1_1.png": large})
    command = [sys.executable, "-c", NO_ROOM, str(archive), str(tmp_path / "out")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{tmp_path / 'out'}: no space left to write it (File too large)" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_read_data_unpacks_into_data_or_into_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = official(tmp_path / "Market-1501-v15.09.15.zip")
    manifest = read_data(None, archive=str(archive))
    assert manifest.root == Path("data/Market-1501-v15.09.15")
    assert sorted(rows(manifest)) == sorted(SMALL)
    assert read_data("elsewhere", archive=str(archive)).table.equals(manifest.table)
    assert files_below(tmp_path / "elsewhere") == dict.fromkeys(SMALL, TINY_JPEG)
    with pytest.raises(ManifestError, match=r"data\.root: needs a value"):
        read_data(None)


def test_a_link_to_an_empty_folder_elsewhere_is_filled(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert unpack(official(tmp_path / "a.zip"), tmp_path / "data") == tmp_path / "data"
    assert (tmp_path / "data").is_symlink()
    assert market_root(tmp_path / "disk") == tmp_path / "disk"


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    swollen = zipped(
        tmp_path / "a.zip", {"bounding_box_test/0001_c1s1_000001_00.jpg": bytes(30 << 20)}, zipfile.ZIP_DEFLATED
    )
    with pytest.raises(MarketError, match="30 MiB would come out of 0 MiB"):
        unpack(swollen, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("letter", ["x", "\u00f1", "\U0001f350"])
def test_a_name_that_no_file_system_holds_is_refused(tmp_path: Path, letter: str) -> None:
    name = f"bounding_box_train/0002_c1s1_{letter * 300}.jpg"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(name, TINY_JPEG)
    with pytest.raises(MarketError, match=r"a name of 314 letters, expected at most 255 bytes: this is not the data"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
