import errno
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import processes
from conftest import TINY
from lookalike import files
from lookalike.cli.main import main
from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_rows import FeatureRows, Features, ImageRows
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.export.graph import ExportError
from lookalike.inference.bundle import load_bundle
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.training.cpu import trunk_network
from lookalike.training.cpu.trunk_cache import cached_trunk

PIXELS = PixelSettings(64, 64)


class DiesError(Exception):
    pass


FROZEN = (
    "model.trainable=[layer4,head]",
    "online=none",
    "online.crop_area=1.0",
    "trainer.precision=32-true",
    "trainer.max_epochs=2",
)


def embedder(seed: int = 0, trainable: tuple[str, ...] = ("layer4", "head")) -> Embedder:
    torch.manual_seed(seed)
    return Embedder("test_resnet", 16, trainable=list(trainable))


def rows(root: Path, split: str = "train", pixels: PixelSettings = PIXELS) -> ImageRows:
    manifest = read_manifest(root)
    return ImageRows(manifest, manifest.table[manifest.table["split"] == split], pixels)


def opened(folder: Path, network: Embedder, *parts: ImageRows, limit: int = 1 << 30, bf16: bool = False) -> Features:
    features = cached_trunk(folder, network, parts, bf16, "cpu", limit)
    assert features is not None
    return features


def cache_of(folder: Path) -> Path:
    (cache,) = folder.glob("*.bf16")
    return cache


@pytest.fixture
def copy(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "data"))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("trainable", [("layer4", "head"), ("head",)])
def test_it_holds_what_the_trunk_makes_of_every_image(digits: Path, tmp_path: Path, trainable: tuple[str, ...]) -> None:
    network, train, validation = embedder(trainable=trainable), rows(digits), rows(digits, "validation")
    features = opened(tmp_path, network, train, validation, train)
    assert len(features.bits) == len(train) + len(validation), "an image that is asked for twice is kept once"
    for part in (train, validation):
        for index, image in enumerate(part.images):
            with torch.no_grad():
                expected = network.trunk(part[index][0][None])[0].to(torch.bfloat16)
            kept = torch.from_numpy(np.array(features.bits[features.places[image]])).view(torch.bfloat16)
            kept = kept.permute(2, 0, 1) if kept.dim() == 3 else kept
            assert torch.allclose(kept.float(), expected.float(), rtol=0.01, atol=0.01)


def test_it_is_made_once_and_told(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, embedder(), rows(digits))
    assert "trunk: frozen up to layer3, cached" in said(capsys)
    monkeypatch.setattr(ImageRows, "read", lambda self, image: pytest.fail("an image was read again"))
    opened(tmp_path, embedder(), rows(digits))
    network = embedder()
    for name, value in network.backbone.layer4.named_buffers():
        value.copy_(value + 1) if name.endswith("running_mean") else None
    opened(tmp_path, network, rows(digits))


def test_a_frozen_statistic_or_a_box_makes_it_another(digits: Path, tmp_path: Path) -> None:
    opened(tmp_path, embedder(), rows(digits))
    network = embedder()
    network.backbone.bn1.running_mean += 1
    opened(tmp_path, network, rows(digits))
    part = rows(digits)
    part.boxes = [(0.0, 0.0, 20.0, 20.0), *part.boxes[1:]]
    opened(tmp_path, embedder(), part)
    assert len(list(tmp_path.glob("*.bf16"))) == 3


def _other_weights(copy: Path) -> dict[str, Any]:
    return {"network": embedder(1)}


def _other_pixels(copy: Path) -> dict[str, Any]:
    return {"part": rows(copy, pixels=PixelSettings(64, 48))}


def _bf16(copy: Path) -> dict[str, Any]:
    return {"bf16": True}


def _another_image(copy: Path) -> dict[str, Any]:
    file = rows(copy).files[0]
    other = rows(copy).files[-1].read_bytes()
    file.write_bytes(other)
    return {}


@pytest.mark.parametrize("change", [_other_weights, _other_pixels, _bf16, _another_image])
def test_a_cache_of_something_else_is_not_used(
    copy: Path, tmp_path: Path, change: Callable[[Path], dict[str, Any]]
) -> None:
    opened(tmp_path, embedder(), rows(copy))
    first = cache_of(tmp_path)
    more = change(copy)
    features = opened(
        tmp_path, more.get("network", embedder()), more.get("part", rows(copy)), bf16=more.get("bf16", False)
    )
    assert {file.name for file in tmp_path.glob("*.bf16")} > {first.name}
    assert Path(str(features.bits.filename)) != first  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["truncated", "a bit", "settings", "no settings", "longer"])
def test_a_damaged_cache_is_made_anew(
    digits: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path, embedder(), rows(digits))
    file = cache_of(tmp_path)
    content, about = file.read_bytes(), file.with_suffix(".json")
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    {
        "truncated": lambda: file.write_bytes(content[:-2]),
        "a bit": lambda: file.write_bytes(changed),
        "longer": lambda: file.write_bytes(content + b"00"),
        "settings": lambda: about.write_text('{"shape": "no"}'),
        "no settings": about.unlink,
    }[damage]()
    capsys.readouterr()
    opened(tmp_path, embedder(), rows(digits))
    assert file.read_bytes() == content
    assert ("made anew" in said(capsys)) == (damage != "no settings")


def test_a_writer_that_dies_leaves_nothing_that_is_used(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise DiesError("gone")

    threads = torch.get_num_threads()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(DiesError, match="gone"):
            cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1 << 30)
    assert not list(tmp_path.glob("*.bf16"))
    assert torch.get_num_threads() == threads
    opened(tmp_path, embedder(), rows(digits))


def test_without_room_training_goes_on_without_it(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1000) is None
    assert "50 images is more than trainer.trunk_cache_gib allows" in said(capsys)

    class Full(io.FileIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> IO[Any]:
        return Full(self, mode) if mode == "xb" else original(self, mode, *more, **options)

    original = Path.open
    monkeypatch.setattr(files.Path, "open", full)
    assert cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1 << 30) is None
    assert "trunk: not cached (" in said(capsys)
    assert not list(tmp_path.glob("*.bf16"))


def test_older_caches_make_room(digits: Path, tmp_path: Path) -> None:
    opened(tmp_path, embedder(), rows(digits))
    size = cache_of(tmp_path).stat().st_size
    names = []
    for seed in range(3):
        opened(tmp_path, embedder(seed), rows(digits), limit=2 * size + 1)
        names.append(max(tmp_path.glob("*.bf16"), key=lambda file: file.stat().st_mtime_ns).name)
    assert {file.name for file in tmp_path.glob("*.bf16")} == set(names[1:])
    assert {file.stem for file in tmp_path.glob("*.json")} == {Path(name).stem for name in names[1:]}


def train(digits: Path, where: Path, run: str, *more: str) -> dict[str, torch.Tensor]:
    folders = (f"models_dir={where / 'models'}", f"checkpoint_dir={where / 'checkpoint'}")
    assert main(["train", f"data.root={digits}", f"run={run}", *folders, *TINY, *FROZEN, *more]) == 0
    return load_file(where / "models" / run / "model.safetensors")


def test_training_from_it_gives_the_same_weights_as_rounding_the_trunk(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ExportError("OpenVINO cannot take the network over (an operation)")

    by_openvino = train(digits, tmp_path / "openvino", "kept")
    monkeypatch.setattr(trunk_network, "write_trunk_graph", refuse)
    kept = train(digits, tmp_path, "kept")
    assert "trunk: OpenVINO cannot take the network over (an operation); torch runs it" in said(capsys)
    for name, value in kept.items():
        torch.testing.assert_close(by_openvino[name].float(), value.float(), rtol=0.05, atol=0.02)
    assert list((tmp_path / "checkpoint" / ".trunk").glob("*.bf16"))
    trunk = Embedder.trunk
    monkeypatch.setattr(Embedder, "trunk", lambda self, images: trunk(self, images).to(torch.bfloat16))
    rounded = train(digits, tmp_path / "off", "rounded", "trainer.trunk_cache=off")
    assert not (tmp_path / "off" / "checkpoint" / ".trunk").exists()
    assert kept.keys() == rounded.keys()
    for name, value in kept.items():
        assert torch.equal(value, rounded[name]), name
    untrained = train(digits, tmp_path / "still", "still", "trainer.learning_rate=1e-12", "trainer.weight_decay=0")
    moved = (kept["backbone.layer4.0.conv1.weight"] - untrained["backbone.layer4.0.conv1.weight"]).abs().max()
    assert moved > 1e-3, "the weights were trained at all"


def test_tokens_of_a_transformer_are_kept_and_trained_from(digits: Path, tmp_path: Path) -> None:
    network = ("model.backbone=test_vit", "model.trainable=[blocks.4,blocks.5,norm,head]")
    kept = train(digits, tmp_path, "kept", *network)
    (about,) = (json.loads(file.read_text()) for file in (tmp_path / "checkpoint" / ".trunk").glob("*.json"))
    assert about["shape"] == [50 + 20, 1 + 2 * 2, 64]  # class token and patches of 16 x 16 pixels
    assert not about["channels_last"]
    computed = train(digits, tmp_path / "off", "computed", *network, "trainer.trunk_cache=off")
    assert kept.keys() == computed.keys()
    for name, value in kept.items():  # OpenVINO's sums differ from torch's in the last bits
        torch.testing.assert_close(computed[name].float(), value.float(), rtol=0.05, atol=0.02)


def test_what_is_not_split_is_told_and_trained(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(digits, tmp_path, "whole", "model.backbone=pit_ti_224", "model.trainable=[transformers.2,norm,head]")
    assert (
        "trunk: not split (more than one tensor goes from stage to stage before transformers.2): the frozen part runs "
        "in every epoch, nothing is cached"
    ) in said(capsys)
    assert not (tmp_path / "checkpoint" / ".trunk").exists()


def test_random_changes_keep_training_images_out_of_it(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(digits, tmp_path, "r", "online.flip=true")
    (about,) = (tmp_path / "checkpoint" / ".trunk").glob("*.json")
    assert json.loads(about.read_text())["shape"][0] == 50 + 20, "validation asks 20 images of 50 references"
    assert "online changes are new in every epoch, so only validation can be cached (online.views=8" in said(capsys)


CHANGES = ("online.flip=true", "online.crop_area=0.5", "online.color=0.3", "online.views=3")


def test_random_versions_are_kept_each(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(digits, tmp_path, "views", *CHANGES)
    (about,) = (tmp_path / "checkpoint" / ".trunk").glob("*.json")
    assert json.loads(about.read_text())["shape"][0] == 3 * 50 + 50 + 20
    assert "for 220 images in" in said(capsys)


def test_training_at_another_size_has_a_cache_of_its_own(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = train(digits, tmp_path, "small", *CHANGES, "online.relative_size=1.5")
    caches = [json.loads(about.read_text()) for about in (tmp_path / "checkpoint" / ".trunk").glob("*.json")]
    assert sorted(about["shape"][:3] for about in caches) == [[50 + 20, 2, 2], [3 * 50, 3, 3]]
    assert "for 150 images in" in said(capsys)
    again = train(digits, tmp_path / "off", "off", *CHANGES, "online.relative_size=1.5", "trainer.trunk_cache=off")
    for name, value in kept.items():
        torch.testing.assert_close(again[name].float(), value.float(), rtol=0.05, atol=0.02)
    assert load_bundle(tmp_path / "models" / "small").config.pixels.height == 32


def test_two_caches_of_a_run_share_the_room(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened(tmp_path, embedder(), rows(digits))
    first = cache_of(tmp_path)
    size = first.stat().st_size
    small = rows(digits, pixels=PixelSettings(32, 32))
    assert cached_trunk(tmp_path, embedder(), [small], False, "cpu", size + size // 8, size) is None
    assert "is more than trainer.trunk_cache_gib allows" in said(capsys)
    assert cached_trunk(tmp_path, embedder(), [small], False, "cpu", size + size // 2, size) is not None
    assert first.exists()


def test_a_network_split_for_one_size_caches_validation_alone(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resizable = ("model.backbone=test_vit", "model.trainable=[blocks.5,norm,head]", "online.relative_size=1.5")
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    main(["train", f"data.root={digits}", "run=vit", *folders, *TINY, *FROZEN, *resizable, "online.views=1"])
    assert "trunk: split for images of 32 x 32 pixels alone: not cached for those of 48 x 48" in said(capsys)
    (about,) = (tmp_path / "checkpoint" / ".trunk").glob("*.json")
    assert json.loads(about.read_text())["shape"][0] == 50 + 20


def test_random_versions_are_those_of_their_epoch(digits: Path, tmp_path: Path) -> None:
    manifest, network = read_manifest(digits), embedder()
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=0.5, color=0.3)
    part = ImageRows(manifest, manifest.training_rows, PIXELS, transforms, seed=4, views=2)
    fresh = ImageRows(manifest, manifest.training_rows, PIXELS, transforms, seed=4)
    features = opened(tmp_path, network, part, rows(digits))
    cached = FeatureRows(features, part)
    for epoch in range(4):
        kept, _ = cached.__getitems__([(epoch, row) for row in range(len(part))])
        with torch.no_grad():
            expected = network.trunk(torch.stack([fresh[epoch % 2, row][0] for row in range(len(part))]))
        torch.testing.assert_close(kept.float(), expected, rtol=0.01, atol=0.01)
    first, second = (cached.__getitems__([(epoch, 0)])[0] for epoch in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "other", [{"seed": 5}, {"views": 3}, {"color": 0.2}, {"flip": False}, {"crop_area": 0.6}, {"erase": 0.5}]
)
def test_other_random_versions_are_another_cache(digits: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    manifest = read_manifest(digits)

    def changing(seed: int = 4, views: int = 2, **changes: Any) -> ImageRows:
        transforms = OnlineTransforms(PIXELS, **{"flip": True, "crop_area": 0.5, "color": 0.3, **changes})
        return ImageRows(manifest, manifest.training_rows[:8], PIXELS, transforms, seed, views)

    opened(tmp_path, embedder(), changing())
    opened(tmp_path, embedder(), changing())
    assert len(list(tmp_path.glob("*.bf16"))) == 1
    opened(tmp_path, embedder(), changing(**other))
    assert len(list(tmp_path.glob("*.bf16"))) == 2


def test_random_versions_without_room_are_made_in_every_epoch(digits: Path, tmp_path: Path) -> None:
    kept = train(digits, tmp_path, "kept", *CHANGES)
    again = train(digits, tmp_path / "off", "off", *CHANGES, "trainer.trunk_cache=off")
    for name, value in kept.items():
        torch.testing.assert_close(again[name].float(), value.float(), rtol=0.05, atol=0.02)


def test_a_network_without_a_frozen_trunk_has_none(digits: Path, tmp_path: Path) -> None:
    train(digits, tmp_path, "all", "model.trainable=[all]")
    assert not (tmp_path / "checkpoint" / ".trunk").exists()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_it(digits: Path, tmp_path: Path, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        opened(tmp_path, embedder(), rows(digits), rows(digits, "validation"))
    finally:
        torch.set_num_threads(before)
    kept = cache_of(tmp_path).read_bytes()
    cache_of(tmp_path).unlink()
    opened(tmp_path, embedder(), rows(digits), rows(digits, "validation"))
    assert cache_of(tmp_path).read_bytes() == kept


def test_two_processes_make_it_once(digits: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nsys.path[:0] = sys.argv[1].split(':')\n"
        "from test_trunk_cache import embedder, opened, rows\n"
        "bits = opened(Path(sys.argv[3]), embedder(), rows(Path(sys.argv[2]))).bits\nprint('SUM', int(bits.sum()))"
    )
    here = f"{Path(__file__).parent}:{Path(__file__).parents[2]}"
    running = [processes.Child(code, here, str(digits), str(tmp_path)) for _ in range(3)]
    done = [process.wait(120) for process in running]
    assert [process.returncode for process in done] == [0, 0, 0], done
    sums = {process.stdout.split("SUM")[1] for process in done}
    assert len(sums) == 1
    assert cache_of(tmp_path)


def test_what_a_killed_writer_left_is_removed(digits: Path, tmp_path: Path) -> None:
    opened(tmp_path, embedder(1), rows(digits))
    cache_of(tmp_path).with_suffix(".json").unlink()  # killed between the two files
    (tmp_path / ".0123.bf16.tmp").write_bytes(b"0" * 1000)  # killed inside the first
    opened(tmp_path, embedder(), rows(digits))
    assert not (tmp_path / ".0123.bf16.tmp").exists()
    assert len(list(tmp_path.glob("*.bf16"))) == 1


def test_a_resumed_run_with_given_weights_goes_on_with_the_same_trunk(digits: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "first.safetensors")
    more = (f"model.weights={tmp_path / 'first.safetensors'}", "trainer.max_epochs=4", "trainer.checkpoint_seconds=0")
    whole = train(digits, tmp_path / "whole", "r", *more)
    step = MetricLearningModule.training_step
    calls = 0

    def dies(self: MetricLearningModule, *arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 15:
            raise DiesError("gone")
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetricLearningModule, "training_step", dies)
        with pytest.raises(DiesError, match="gone"):
            train(digits, tmp_path / "broken", "r", *more)
    resumed = train(digits, tmp_path / "broken", "r", *more)
    assert len(list((tmp_path / "broken" / "checkpoint" / ".trunk").glob("*.bf16"))) == 1
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


# Killed in the n-th fsync: 1 and 2 are the file of maps and its folder, 3 is what is written about it.
_KILLED = """
import os, signal, sys
calls, inner = 0, os.fsync
def kill(handle):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(handle)
os.fsync = kill
from lookalike.cli.main import main
main(sys.argv[1:])
"""


def test_a_cache_whose_writing_was_killed_is_never_used(digits: Path, tmp_path: Path) -> None:
    command = ["train", f"data.root={digits}", "run=r", *TINY, *FROZEN, "trainer.max_epochs=1"]
    folder = tmp_path / "checkpoint/.trunk"
    for call in (1, 2, 3):  # each meets what the one before has left
        code = _KILLED.format(call=call)
        killed = processes.run(code, *command, cwd=tmp_path)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not list(folder.glob("*.json"))
    done = processes.run(processes.COMMAND, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trunk: frozen up to" in done.stderr
    assert len(list(folder.glob("*.bf16"))) == len(list(folder.glob("*.json"))) == 1
    assert not [file for file in folder.iterdir() if file.name.endswith(".tmp")]
