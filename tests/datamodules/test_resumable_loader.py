"""A loader goes on where it stood, inside an epoch and behind its end."""

import re
import shutil
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.image_rows import FeatureRows, Features, ImageRows
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import ResumableLoader, default_workers, options_for, workers_with_room
from lookalike.datamodules.sampler import ShuffledBatches

PIXELS = PixelSettings(12, 12)
Batch = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def rows(digits: Path) -> ImageRows:
    manifest = read_manifest(digits)
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=0.5, color=0.3)
    return ImageRows(manifest, manifest.training_rows, PIXELS, transforms)


def loader(rows: ImageRows, workers: int = 0) -> ResumableLoader:
    return ResumableLoader(rows, ShuffledBatches(len(rows), 8, seed=3), workers)


def same(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(*part) for pair in pairs for part in zip(*pair, strict=True))


def test_every_epoch_is_its_own_and_the_same_in_every_process(rows: ImageRows) -> None:
    alone, in_processes = loader(rows), loader(rows, workers=2)
    epochs = [list(alone) for _ in range(3)]
    assert [len(batches) for batches in epochs] == [6, 6, 6]
    assert not same(epochs[0], epochs[1])
    for batches in epochs:
        assert same(list(in_processes), batches)


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_a_new_loader_goes_on_behind_the_last_batch(rows: ImageRows, stop: int) -> None:
    whole = loader(rows)
    epochs = [list(whole) for _ in range(2)]
    first = loader(rows)
    drawn = list(islice(first, stop))
    assert same(drawn, epochs[0][:stop])
    position = first.position
    assert position == {"epoch": 0, "batches_done": stop}
    second = loader(rows)
    second.position = position
    rest = list(second)
    assert same(rest, epochs[0][stop:] or epochs[1]), "an epoch that is done is followed by the next"
    assert same(list(second), epochs[1] if stop < 6 else list(whole))


@pytest.mark.parametrize("stop", [0, 3, 6, 9, 11])
def test_an_epoch_of_two_passes_is_two_epochs_of_one(rows: ImageRows, stop: int) -> None:
    source, alone = ShuffledBatches(len(rows), 8, seed=3), loader(rows)
    passes = [batch for _ in range(4) for batch in alone]
    begun = ResumableLoader(rows, source, 0, passes=2)
    assert len(begun) == 12
    assert same(list(begun), passes[:12])
    assert same(list(islice(begun, stop)), passes[12 : 12 + stop])
    resumed = ResumableLoader(rows, source, 0, passes=2)
    resumed.position = begun.position if stop else {"epoch": 1, "batches_done": 0}
    assert same(list(resumed), passes[12 + stop :])


def test_loading_draws_nothing_from_torch(rows: ImageRows) -> None:
    before = torch.random.get_rng_state()
    list(loader(rows, workers=1))
    list(loader(rows))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_loaded_without_processes_in_whole_batches(digits: Path) -> None:
    manifest = read_manifest(digits)
    rows = ImageRows(manifest, manifest.training_rows, PIXELS)
    bits = np.arange(len(rows) * 4, dtype=np.uint16).reshape(len(rows), 4)
    features = Features(bits, {image: row for row, image in enumerate(rows.images)}, rows.pixels, False)
    cached = FeatureRows(features, rows)
    assert options_for(cached, 4)["num_workers"] == 0
    assert options_for(rows, 4)["num_workers"] == 4
    batches = ShuffledBatches(len(rows), 8, seed=3)
    loaded = list(ResumableLoader(cached, batches, workers=4))
    for (values, label_ids), chosen in zip(loaded, batches.batches(0), strict=True):
        np.testing.assert_array_equal(values.view(torch.uint16).numpy(), bits[chosen])
        assert label_ids.tolist() == rows.label_ids[chosen].tolist()


def test_a_core_is_left_to_the_network() -> None:
    assert 0 <= default_workers() <= 4


@pytest.mark.parametrize(
    ("free_mb", "wanted", "room", "text"),
    [
        (24_000, 4, 4, ""),
        (64, 1, 1, ""),
        (64, 4, 1, r"workers=4: /dev/shm has 64 MB free and each process fills up to 48 MB of it, so 1 of them load"),
        (50, 4, 0, r"workers=4: /dev/shm has 50 MB free .* so none of them load images \(.*--shm-size=1g\)"),
        (0, 2, 0, r"/dev/shm has 0 MB free"),
    ],
)
def test_no_more_processes_than_the_shared_memory_has_room_for(
    free_mb: int,
    wanted: int,
    room: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage("/")._replace(free=free_mb * 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    batch = 224 * 224 * 3
    assert workers_with_room(wanted, [32 * batch, 64 * batch, 64 * batch]) == room
    said = capsys.readouterr().err
    assert re.search(text, said) if text else not said


def test_a_system_without_such_a_folder_has_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: str) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(shutil, "disk_usage", missing)
    assert workers_with_room(3, [10**12]) == 3


def test_data_modules_ask_how_many_there_is_room_for(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, asked = read_manifest(digits), []
    monkeypatch.setattr(
        "lookalike.datamodules.image_datamodule.workers_with_room", lambda *given: asked.append(given) or 1
    )
    batches = partial(ShuffledBatches, batch_size=8, seed=0)
    training = ImageDataModule(manifest, PIXELS, None, lambda ids: batches(len(ids)), workers=3, eval_batch=16)
    assert training.train_dataloader().num_workers == 1
    assert [loaded.num_workers for loaded in (*training.val_dataloader(), *training.test_dataloader())] == [1] * 4
    image = 12 * 12 * 3
    assert asked == [(3, [8 * image, 16 * image, 16 * image])]
