"""The loaders of training, validation and test."""

import dataclasses
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.image_rows import Features
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.sampler import ShuffledBatches

PIXELS = PixelSettings(12, 12)
STILL = OnlineTransforms(PIXELS, flip=False, crop_area=1.0, color=0.0)
RANDOM = OnlineTransforms(PIXELS, flip=True, crop_area=0.5, color=0.3)


@pytest.fixture(scope="module")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)


def shuffled(label_ids: np.ndarray) -> ShuffledBatches:
    return ShuffledBatches(len(label_ids), 8, seed=1)


def loaded(loader: object) -> torch.Tensor:
    return torch.cat([images for images, _ in loader])  # type: ignore[attr-defined]


def test_validation_and_test_are_references_then_queries_in_order(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS, eval_batch=7)
    for split, loaders in (("validation", data.val_dataloader()), ("test", data.test_dataloader())):
        protocol = manifest.protocol(split)
        for part, loader in zip((protocol.references, protocol.queries), loaders, strict=True):
            expected = np.stack([read_image(manifest.file(path), PIXELS) for path in part["path"]])
            np.testing.assert_array_equal(loaded(loader).numpy(), expected)
    assert data.protocol.text.startswith("20 queries of split validation")


def test_another_split_may_stand_in_for_test(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS, test_split="train")
    assert data.test_protocol.queries.equals(manifest.gallery_rows)


def test_copies_are_trained_on_and_ignored_images_are_not(digits: Path, tmp_path: Path) -> None:
    files = sorted((digits / "train").rglob("*.png"))[:4]
    lines = [f"{files[0]},a,,", f"{files[1]},a,1,", f"{files[2]},a,,{files[0]}", f"{files[3]},b,,"]
    (tmp_path / "data.csv").write_text("path,label,ignore,source\n" + "\n".join(lines))
    manifest = read_manifest(tmp_path / "data.csv")
    data = ImageDataModule(manifest, PIXELS)
    assert [file for file, _, _ in data.train_rows.images] == [files[0], files[2], files[3]]


def test_the_first_batch_is_that_of_the_loader_and_moves_nothing(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS, RANDOM, shuffled)
    images, label_ids = data.first_batch()
    first = next(iter(data.train_dataloader()))
    assert torch.equal(images, first[0])
    assert torch.equal(label_ids, first[1])


def test_a_restored_module_goes_on_inside_the_epoch(manifest: Manifest) -> None:
    whole = [batch[0] for batch in ImageDataModule(manifest, PIXELS, RANDOM, shuffled).train_dataloader()]
    data = ImageDataModule(manifest, PIXELS, RANDOM, shuffled)
    drawn = [batch[0] for batch in islice(data.train_dataloader(), 2)]
    assert all(torch.equal(*pair) for pair in zip(drawn, whole[:2], strict=True))
    restored = ImageDataModule(manifest, PIXELS, RANDOM, shuffled)
    restored.load_state_dict(data.state_dict())
    rest = [batch[0] for batch in restored.train_dataloader()]
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(*pair) for pair in zip(rest, whole[2:], strict=True))


def test_training_needs_batches(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS)
    with pytest.raises(AssertionError, match=r"ImageDataModule\(batches=\.\.\.\) is needed for training"):
        data.train_dataloader()
    with pytest.raises(AssertionError, match="is needed for training"):
        data.first_batch()


def features_of(data: ImageDataModule) -> Features:
    images = list(dict.fromkeys(image for rows in data.unchanging_rows for image in rows.images))
    bits = np.arange(len(images) * 3, dtype=np.uint16).reshape(len(images), 3)
    return Features(bits, {image: place for place, image in enumerate(images)}, data.pixels, False)


def test_cached_features_take_the_place_of_images_that_never_change(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS, STILL, shuffled)
    assert data.unchanging_rows == [data.train_rows, *data.validation_rows]
    data.features = (features_of(data),)
    assert data.first_batch()[0].dtype == torch.bfloat16
    assert next(iter(data.train_dataloader()))[0].dtype == torch.bfloat16
    for loader in data.val_dataloader():
        assert loaded(loader).dtype == torch.bfloat16
    for loader in data.test_dataloader():
        assert loaded(loader).dtype == torch.uint8, "test is not cached"


def test_training_images_may_have_another_size(manifest: Manifest) -> None:
    small = PixelSettings(16, 12, PIXELS.resize)
    still = OnlineTransforms(small, flip=False, crop_area=1.0, color=0.0)
    data = ImageDataModule(manifest, PIXELS, still, shuffled)
    assert data.first_batch()[0].shape[1:3] == (16, 12)
    assert next(iter(data.train_dataloader()))[0].shape[1:3] == (16, 12)
    assert all(loaded(loader).shape[1:3] == (PIXELS.height, PIXELS.width) for loader in data.val_dataloader())
    data.features = (features_of(data),)  # of the other size alone
    assert data.first_batch()[0].dtype == torch.uint8
    assert all(loaded(loader).dtype == torch.bfloat16 for loader in data.val_dataloader())
    data.features += (dataclasses.replace(features_of(data), pixels=small),)
    assert data.first_batch()[0].dtype == torch.bfloat16


def test_random_changes_are_never_cached(manifest: Manifest) -> None:
    data = ImageDataModule(manifest, PIXELS, RANDOM, shuffled)
    assert data.unchanging_rows == data.validation_rows
    data.features = (features_of(data),)
    assert next(iter(data.train_dataloader()))[0].dtype == torch.uint8
    assert all(loaded(loader).dtype == torch.bfloat16 for loader in data.val_dataloader())
