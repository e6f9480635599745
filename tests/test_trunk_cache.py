import errno
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lookalike import files
from lookalike.cli import main, read_settings
from lookalike.datamodules.image_datamodule import Features, ImageRows
from lookalike.images import PixelSettings
from lookalike.manifest import read_manifest
from lookalike.models.embedder import Embedder
from lookalike.trunk_cache import cached_trunk

PIXELS = PixelSettings(64, 64)
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
    (found,) = folder.glob("*.bf16")
    return found


@pytest.fixture
def copy(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "data"))


def told(capsys: pytest.CaptureFixture[str]) -> str:
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


def test_it_is_made_once_and_told(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened(tmp_path, embedder(), rows(copy))
    assert "trunk: frozen up to layer3, cached" in told(capsys)
    before = cache_of(tmp_path).read_bytes()
    for file in copy.rglob("*.png"):
        content, state = file.read_bytes(), file.stat()
        file.write_bytes(bytes(len(content)))  # unreadable, though nothing that is looked at has changed
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    opened(tmp_path, embedder(), rows(copy))
    assert cache_of(tmp_path).read_bytes() == before


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
    assert ("made anew" in told(capsys)) == (damage != "no settings")


def test_a_writer_that_dies_leaves_nothing_that_is_used(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiesError(Exception):
        pass

    def fail(_: int) -> None:
        raise DiesError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(DiesError, match="gone"):
            cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1 << 30)
    assert not list(tmp_path.glob("*.bf16"))
    assert torch.get_num_threads() >= 1
    opened(tmp_path, embedder(), rows(digits))


def test_without_room_training_goes_on_without_it(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1000) is None
    assert "more than trainer.trunk_cache_gib allows: computed in every epoch" in told(capsys)

    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> IO[Any]:
        return Full() if "w" in mode and ".bf16" in self.name else original(self, mode, *more, **options)

    original = Path.open
    monkeypatch.setattr(files.Path, "open", full)
    assert cached_trunk(tmp_path, embedder(), [rows(digits)], False, "cpu", 1 << 30) is None
    assert "trunk: not cached, so computed in every epoch" in told(capsys)
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
    from conftest import TINY

    assert main(["train", f"data.root={digits}", f"run={run}", *folders, *TINY, *FROZEN, *more]) == 0
    return load_file(where / "models" / run / "model.safetensors")


def test_training_from_it_gives_the_same_weights_as_rounding_the_trunk(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = train(digits, tmp_path, "kept")
    assert list((tmp_path / "checkpoint" / ".trunk").glob("*.bf16"))
    trunk = Embedder.trunk
    monkeypatch.setattr(Embedder, "trunk", lambda self, images: trunk(self, images).to(torch.bfloat16))
    rounded = train(digits, tmp_path / "off", "rounded", "trainer.trunk_cache=off")
    assert not (tmp_path / "off" / "checkpoint" / ".trunk").exists()
    assert kept.keys() == rounded.keys()
    start = embedder()
    moved = 0.0
    for name, value in kept.items():
        assert torch.equal(value, rounded[name]), name
        moved = max(moved, float((value.float() - start.state_dict()[name].float()).abs().max()))
    assert moved > 0.01, "the weights were trained at all"


def test_random_changes_keep_training_images_out_of_it(digits: Path, tmp_path: Path) -> None:
    train(digits, tmp_path, "r", "online.flip=true")
    (about,) = (tmp_path / "checkpoint" / ".trunk").glob("*.json")
    assert json.loads(about.read_text())["shape"][0] == 50 + 20, "validation asks 20 images of 50 references"
    plain, flipped = (
        read_settings("train", [f"data.root={digits}", f"online={online}"]).online for online in ("none", "light")
    )
    assert not plain.flip
    assert flipped.flip


def test_a_network_without_a_frozen_trunk_has_none(digits: Path, tmp_path: Path) -> None:
    train(digits, tmp_path, "all", "model.trainable=[all]")
    assert not (tmp_path / "checkpoint" / ".trunk").exists()
