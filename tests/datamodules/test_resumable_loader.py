"""A loader goes on where it stood, inside an epoch and behind its end."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.layouts import read_manifest
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.image_rows import FeatureRows, Features, ImageRows
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import ResumableLoader, default_workers, options_for
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


def test_loading_draws_nothing_from_torch(rows: ImageRows) -> None:
    before = torch.random.get_rng_state()
    list(loader(rows, workers=1))
    list(loader(rows))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_loaded_without_processes_in_whole_batches(rows: ImageRows) -> None:
    bits = np.arange(len(rows) * 4, dtype=np.uint16).reshape(len(rows), 4)
    features = Features(bits, {image: row for row, image in enumerate(rows.images)}, False)
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
