"""Copies on disk are a function of the data and the settings."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pandas as pd
import pytest
from PIL import Image

from image_folders import random_picture
from lookalike.data.image_files import find_broken, find_images
from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest
from lookalike.data.offline_copies import AugmentError, default_output, make_copies
from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.files import DiskFullError

MAKE = """
import resource, signal, sys
from pathlib import Path
from lookalike.data.offline_copies import make_copies
from lookalike.data.reading import read_manifest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
data, output, per_class, room = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if room:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
make_copies(read_manifest(data), output, per_class=per_class, seed=0, strength=1.0, max_side=512, threads=1)
"""


def data_set(root: Path, size: int = 24, **images_per_class: int) -> Path:
    """Training images per class, and one image of each for validation and test."""
    for label, count in images_per_class.items():
        for number in range(count):
            random_picture(root / "train" / label / f"{number}.png", number, size)
        for split in ("validation", "test"):
            random_picture(root / split / label / "0.png", 100)
    return root


def copies(data: Path | Manifest, output: Path, **changes: object) -> pd.DataFrame:
    settings = {"per_class": 5, "seed": 0, "strength": 1.0, "max_side": 512, "threads": 2, **changes}
    return make_copies(data if isinstance(data, Manifest) else read_manifest(data), output, **settings)


def images(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in find_images(folder)}


def start(data: Path, output: Path, per_class: int, room: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", MAKE, str(data), str(output), str(per_class), str(room)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def stop_in_the_middle(data: Path, output: Path, per_class: int, how: signal.Signals) -> int:
    """Starts a process that makes copies, signals it after the first few, and returns its exit status."""
    process = start(data, output, per_class)
    while len(find_images(output)) < 5 and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    process.send_signal(how)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode


def test_every_class_is_brought_to_the_wanted_number(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", one=1, three=3, five=5, seven=7), tmp_path / "copies"
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in find_images(data)}
    rows = copies(data, output)
    assert rows["label"].value_counts().to_dict() == {"one": 4, "three": 2}
    assert sorted(path.name for path in output.iterdir()) == [".lock", "manifest.csv", "one", "three", "transform.json"]
    assert sorted(rows["path"]) == [str(file) for file in find_images(output)]
    assert find_broken(find_images(output)) == []
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in find_images(data)} == before
    assert all(
        source.startswith(f"train/{label}/") for source, label in zip(rows["source"], rows["label"], strict=True)
    )
    assert rows["source"].value_counts().to_dict() == {
        "train/one/0.png": 4,
        "train/three/0.png": 1,
        "train/three/1.png": 1,
    }

    manifest = read_manifest(data).with_augmented(rows)
    assert manifest.counts()["augmented"].to_dict() == {"one": 4, "three": 2, "five": 0, "seven": 0}
    written = pd.read_csv(output / "manifest.csv", dtype=str)
    assert (written["label"] == rows["label"]).all()
    assert [str(output / path) for path in written["path"]] == rows["path"].tolist()


def test_copies_differ_from_the_original_and_from_each_other(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", a=1), tmp_path / "copies"
    copies(data, output, per_class=9)
    assert len(set(images(output).values())) == 8
    original = read_image(data / "train/a/0.png").astype(int)
    assert all(abs(read_image(file) - original).mean() > 1 for file in find_images(output))


def test_the_steps_of_the_recipe_decide_independently(tmp_path: Path) -> None:
    file = random_picture(tmp_path / "data/train/a/0.png")
    copies(tmp_path / "data", tmp_path / "copies", per_class=301)
    plain = read_image(file)
    encoded = [
        cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1] for image in (plain, plain[:, ::-1])
    ]
    contents = list(images(tmp_path / "copies").values())
    unchanged, mirrored = (contents.count(data.tobytes()) for data in encoded)
    assert unchanged < 8, "0.5 * 0.1 * 0.3 * 0.5 * 0.7 = 0.3 % expected; 10 % when all steps throw the same dice"
    assert mirrored < 8


def test_the_copies_of_the_same_image_do_not_depend_on_the_other_classes(tmp_path: Path) -> None:
    copies(data_set(tmp_path / "data", b=2), tmp_path / "few")
    copies(data_set(tmp_path / "data", a=1, b=2, c=3), tmp_path / "many", per_class=8)
    few, many = images(tmp_path / "few"), images(tmp_path / "many")
    assert len(few) == 3
    assert few.items() <= many.items()


def test_same_seed_same_bytes_whatever_the_threads_and_other_seed_other_bytes(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data", a=2, b=3)
    outputs = [tmp_path / name for name in ("first", "one-thread", "many-threads", "other-seed")]
    for output, changes in zip(outputs, [{}, {"threads": 1}, {"threads": 8}, {"seed": 1}], strict=True):
        copies(data, output, per_class=20, **changes)
    first, single, many, reseeded = (images(output) for output in outputs)
    assert len(first) == 35
    assert first == single == many
    assert not set(first.values()) & set(reseeded.values())


def test_deleted_copies_come_back_the_same_and_the_others_are_not_touched(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", a=2, b=2), tmp_path / "copies"
    rows = copies(data, output)
    before, times = images(output), {file: file.stat().st_mtime_ns for file in find_images(output)}
    gone = find_images(output)[::2]
    for file in gone:
        file.unlink()
    assert copies(data, output).equals(rows)
    assert images(output) == before
    assert all(file.stat().st_mtime_ns == time for file, time in times.items() if file not in gone)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, output, total = data_set(tmp_path / "data", size=160, a=2, b=2), tmp_path / "copies", 300
    assert stop_in_the_middle(data, output, total // 2 + 2, signal.SIGKILL) == -signal.SIGKILL
    done = images(output)
    assert 0 < len(done) < total
    assert find_broken(find_images(output)) == [], "no file is half written"
    (output / "a" / ".lookalike-0123456789abcdef.tmp").write_bytes(b"half")
    times = {file: file.stat().st_mtime_ns for file in find_images(output)}
    rows = copies(data, output, per_class=total // 2 + 2)
    copies(data, tmp_path / "uninterrupted", per_class=total // 2 + 2)
    assert images(output) == images(tmp_path / "uninterrupted")
    assert len(rows) == len(images(output)) == total
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())
    assert "other settings" not in capsys.readouterr().err, "a temporary file is no copy"


def test_an_interrupt_stops_at_once_instead_of_making_the_rest(tmp_path: Path) -> None:
    data, output, total = data_set(tmp_path / "data", size=160, a=2), tmp_path / "copies", 6000
    assert stop_in_the_middle(data, output, total, signal.SIGINT) != 0
    assert 0 < len(find_images(output)) < total // 2


def test_a_full_disk_stops_the_run_and_says_so(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", size=700, a=2), tmp_path / "copies"
    process = start(data, output, 50, room=20_000)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert f"{DiskFullError.__name__}: {output}" in error
    assert "free some space, then run the same command again" in error
    assert images(output) == {}


def test_sources_of_the_same_stem_do_not_collide(tmp_path: Path) -> None:
    for number, name in enumerate(["a.png", "a.jpg", "sub/a.png", "sub/b.png"]):
        random_picture(tmp_path / "data/train/x" / name, number)
    rows = copies(tmp_path / "data", tmp_path / "copies", per_class=12)
    assert rows["source"].value_counts().tolist() == [2, 2, 2, 2]
    assert rows["path"].is_unique
    assert len(set(images(tmp_path / "copies").values())) == 8


@pytest.mark.parametrize("change", [{"strength": 0.5}, {"max_side": 12}, {"seed": 7}])
def test_other_settings_make_other_files_and_the_old_ones_are_left_and_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object]
) -> None:
    data, output = data_set(tmp_path / "data", a=2), tmp_path / "copies"
    first = copies(data, output)
    old = images(output)
    assert capsys.readouterr().err == ""
    second = copies(data, output, **change)
    assert not set(first["path"]) & set(second["path"])
    assert old.items() <= images(output).items()
    assert capsys.readouterr().err == f"{output}: 3 file(s) of other settings lie there too; they are not used\n"
    assert len(pd.read_csv(output / "manifest.csv")) == 3
    assert copies(data, output).equals(first), "and back again"


def test_another_picture_under_the_same_name_makes_other_copies(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", a=1), tmp_path / "copies"
    first = copies(data, output)
    random_picture(data / "train/a/0.png", seed=9)
    assert not set(first["path"]) & set(copies(data, output)["path"])


def test_max_side_scales_large_pictures_down_and_keeps_their_shape(tmp_path: Path) -> None:
    file = random_picture(tmp_path / "data/train/a/0.png", size=64)
    Image.open(file).resize((64, 32)).save(file)
    copies(tmp_path / "data", tmp_path / "small", per_class=2, max_side=16)
    copies(tmp_path / "data", tmp_path / "large", per_class=2, max_side=100)
    assert [read_image(file).shape for file in find_images(tmp_path / "small")] == [(8, 16, 3)]
    assert [read_image(file).shape for file in find_images(tmp_path / "large")] == [(32, 64, 3)]


@pytest.mark.parametrize("output", ["data", "data/train", "data/train/a", "data/validation", "data/test/a", "."])
def test_an_output_folder_that_holds_images_of_the_data_set_is_refused(tmp_path: Path, output: str) -> None:
    data = data_set(tmp_path / "data", a=1)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AugmentError, match=r"holds images of the data set \(.*0\.png\): give another output=<folder>"):
        copies(data, tmp_path / output)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("layout", ["splits", "classes"])
def test_copies_beside_the_originals_are_never_read_as_originals(tmp_path: Path, layout: str) -> None:
    data = data_set(tmp_path / "data", a=3, b=3)
    output, share = data / "train" / "copies", 0.0
    if layout == "classes":
        data, share = data / "train", 0.34
    before = read_manifest(data, validation_share=share)
    assert len(copies(before, output)) > 0
    assert read_manifest(data, validation_share=share).table.equals(before.table)


def test_unusable_sources_are_all_listed_and_the_rest_is_made(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", a=2, b=2), tmp_path / "copies"
    (data / "train/a/1.png").write_bytes((data / "train/a/1.png").read_bytes()[:150])
    manifest = read_manifest(data)
    (data / "train/b/0.png").unlink()
    with pytest.raises(AugmentError, match=r"^2 image\(s\) cannot be copied:\n") as caught:
        copies(manifest, output)
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(": ")[:2] for line in lines] == [
        [f"  {data / 'train/a/1.png'}", lines[0].split(": ")[1]],
        [f"  {data / 'train/b/0.png'}", lines[1].split(": ")[1]],
    ]
    assert "damaged" in lines[0]
    assert "cannot be read (No such file" in lines[1]
    assert len(images(output)) == 3
    random_picture(data / "train/a/1.png", 1)
    random_picture(data / "train/b/0.png", 0)
    assert len(copies(manifest, output)) == 6


def test_ignored_images_are_no_source(tmp_path: Path) -> None:
    for number in range(3):
        random_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "data.csv").write_text("path,label,ignore\n0.png,a,1\n1.png,a,\n2.png,b,1\n")
    rows = copies(tmp_path / "data.csv", tmp_path / "copies", per_class=3)
    assert rows["source"].tolist() == ["1.png", "1.png"]


def test_copies_of_copies_are_not_made(tmp_path: Path) -> None:
    data, output = data_set(tmp_path / "data", a=2), tmp_path / "copies"
    rows = copies(data, output)
    assert copies(read_manifest(data).with_augmented(rows), output).equals(rows)


def test_a_box_is_copied_without_what_surrounds_it(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    image.save(tmp_path / "1.png")
    boxes = "1.png,r,0,0,40,40\n1.png,b,40,0,80,40\n1.png,b,44,4,76,36\n"
    (tmp_path / "data.csv").write_text("path,label,x1,y1,x2,y2\n" + boxes)
    rows = copies(tmp_path / "data.csv", tmp_path / "copies", per_class=6)
    assert rows["path"].is_unique
    assert rows["label"].value_counts().to_dict() == {"r": 5, "b": 4}
    for path, label in zip(rows["path"], rows["label"], strict=True):
        red, _, blue = read_image(Path(path)).astype(int).mean(axis=(0, 1))
        assert (red > blue + 50) == (label == "r")


def test_labels_and_names_from_a_table_lead_nowhere_else(tmp_path: Path) -> None:
    labels = ["../up", "..", "/abs", "N/A", "a\\b", ".hidden", "jalapeño", "x" * 300]
    data = tmp_path / "data"
    long = f"{'é' * 120}.png"  # 244 bytes of the 255 that a name may have
    for number, _ in enumerate(labels):
        random_picture(data / str(number) / long, number)
    table = pd.DataFrame({"path": [f"{number}/{long}" for number in range(len(labels))], "label": labels})
    table.to_csv(data / "data.csv", index=False)
    before = sorted(entry for entry in tmp_path.rglob("*"))
    rows = copies(data / "data.csv", tmp_path / "copies", per_class=2)
    assert sorted(rows["label"]) == sorted(labels)
    assert sorted(rows["path"]) == [str(file) for file in find_images(tmp_path / "copies")], "inside, and not hidden"
    assert [
        entry for entry in sorted(tmp_path.rglob("*")) if tmp_path / "copies" not in [entry, *entry.parents]
    ] == before


def test_default_output_lies_in_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output(Path("data")) == Path("data/albumentation")
    assert default_output(tmp_path / "data") == Path("data/albumentation")
    assert default_output(Path("elsewhere/fruits")) == Path("data/albumentation-fruits")
    data = data_set(tmp_path / "data", a=1)
    before = read_manifest(data)
    copies(data, default_output(data))
    assert read_manifest(data).table.equals(before.table)


def test_photographs_are_copied_recognisably(produce: Path, tmp_path: Path) -> None:
    manifest = read_manifest(produce)
    label = manifest.labels[0]
    few = Manifest(produce, manifest.table[manifest.table["label"] == label].reset_index(drop=True))
    count = int(few.counts().loc[label, "train"])
    rows = copies(few, tmp_path, per_class=count + 4, max_side=128)
    small = PixelSettings(32, 32)
    for path, source in zip(rows["path"], rows["source"], strict=True):
        assert max(read_image(Path(path)).shape) == 128
        pair = [read_image(file, small).mean(axis=(0, 1)) for file in (Path(path), produce / source)]
        assert abs(pair[0] - pair[1]).max() < 80, "light and colour stay near the original's"
