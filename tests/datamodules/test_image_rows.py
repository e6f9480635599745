"""Rows of a data set as images with the ids of their labels, or as what a frozen trunk made of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_rows import FeatureRows, Features, ImageRows
from lookalike.datamodules.online_transforms import OnlineTransforms, sample_seed

PIXELS = PixelSettings(16, 24)


@pytest.fixture(scope="module")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)


def test_a_row_is_its_image_and_the_id_of_its_label(manifest: Manifest) -> None:
    rows = ImageRows(manifest, manifest.table, PIXELS)
    assert len(rows) == len(manifest.table)
    for row in (0, 17, len(rows) - 1):
        image, label = rows[row]
        assert image.dtype == torch.uint8
        path = manifest.table["path"][row]
        np.testing.assert_array_equal(image.numpy(), read_image(manifest.file(path), PIXELS))
        assert manifest.labels[label] == manifest.table["label"][row]


def test_labels_that_are_not_trained_have_no_id(manifest: Manifest) -> None:
    table = manifest.table.assign(label=["new", *manifest.table["label"][1:]])
    rows = ImageRows(manifest, table, PIXELS)
    assert rows.label_ids[0] == -1
    assert (rows.label_ids[1:] >= 0).all()


def test_random_changes_depend_on_seed_epoch_and_row_alone(manifest: Manifest) -> None:
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=0.3, color=0.4)
    rows = ImageRows(manifest, manifest.table, PIXELS, transforms, seed=5)
    image = rows[2, 7][0]
    assert torch.equal(image, rows[2, 7][0])
    assert not torch.equal(image, rows[3, 7][0]), "another epoch"
    reseeded = ImageRows(manifest, manifest.table, PIXELS, transforms, seed=6)
    assert not torch.equal(image, reseeded[2, 7][0])
    expected = transforms(manifest.file(manifest.table["path"][7]), sample_seed(5, 2, 7))
    np.testing.assert_array_equal(image.numpy(), expected)


def test_boxes_are_cut_out(digits: Path, tmp_path: Path) -> None:
    file = sorted((digits / "train").rglob("*.png"))[0]
    (tmp_path / "data.csv").write_text(f"path,label,x1,y1,x2,y2\n{file},a,0,0,16,32\n{file},b,16,0,32,32\n")
    manifest = read_manifest(tmp_path / "data.csv")
    rows = ImageRows(manifest, manifest.table, PIXELS)
    for row, box in enumerate([(0, 0, 16, 32), (16, 0, 32, 32)]):
        np.testing.assert_array_equal(rows[row][0].numpy(), read_image(file, PIXELS, box))


def test_so_many_random_versions_repeat_one_epoch_after_the_other(manifest: Manifest) -> None:
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=0.3, color=0.4)
    fresh = ImageRows(manifest, manifest.table[:6], PIXELS, transforms, seed=3)
    views = ImageRows(manifest, manifest.table[:6], PIXELS, transforms, seed=3, views=2)
    assert len(views.images) == len(set(views.images)) == 12
    for epoch in range(5):
        assert torch.equal(views[epoch, 1][0], fresh[epoch % 2, 1][0])
        assert views.images[6 * (epoch % 2) + 1] == views.image(epoch, 1)
    assert not torch.equal(fresh[0, 1][0], fresh[1, 1][0])
    assert torch.equal(fresh.read(views.image(3, 1)), fresh[1, 1][0])


@pytest.mark.parametrize("views", [None, 5])
def test_rows_without_random_changes_have_no_versions(manifest: Manifest, views: int | None) -> None:
    still = OnlineTransforms(PIXELS, flip=False, crop_area=1.0, color=0.0)
    for transforms in (None, still):
        rows = ImageRows(manifest, manifest.table[:6], PIXELS, transforms, views=views)
        assert rows.images == [(file, None, None) for file in rows.files]
        np.testing.assert_array_equal(rows[7, 2][0].numpy(), read_image(rows.files[2], PIXELS))


def test_threads_change_images_at_the_same_time(manifest: Manifest) -> None:
    rows = ImageRows(manifest, manifest.table, PIXELS, OnlineTransforms(PIXELS, True, 0.3, 0.4, 0.5), views=4)
    expected = [rows.read(image) for image in rows.images]

    def read(part: int) -> list[torch.Tensor]:
        own = rows.for_a_thread()
        return [own.read(image) for image in rows.images[part::4]]

    with ThreadPoolExecutor(4) as pool:
        for part, images in enumerate(pool.map(read, range(4))):
            assert all(torch.equal(image, wanted) for image, wanted in zip(images, expected[part::4], strict=True))


@pytest.mark.parametrize("channels_last", [False, True])
def test_features_come_back_bit_for_bit_in_whole_batches(manifest: Manifest, channels_last: bool) -> None:
    rows = ImageRows(manifest, manifest.table[:20], PIXELS)
    maps = torch.randn(20, 6, 2, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    order = np.random.default_rng(0).permutation(20)
    stored = maps.permute(0, 2, 3, 1).contiguous() if channels_last else maps
    bits = np.empty((20, *stored.shape[1:]), np.uint16)
    bits[order] = stored.view(torch.uint16).numpy()
    features = Features(
        bits, {image: int(order[row]) for row, image in enumerate(rows.images)}, rows.pixels, channels_last
    )
    cached = FeatureRows(features, rows)
    assert len(cached) == 20
    batch, label_ids = cached.__getitems__([4, (9, 0), (2, 19)])
    assert torch.equal(batch, maps[[4, 0, 19]]), "(epoch, row) names the row"
    assert batch.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert label_ids.tolist() == rows.label_ids[[4, 0, 19]].tolist()


def test_features_cover_rows_only_when_every_image_is_there(manifest: Manifest) -> None:
    rows = ImageRows(manifest, manifest.table[:5], PIXELS)
    features = Features(
        np.zeros((4, 1), np.uint16), {image: row for row, image in enumerate(rows.images[:4])}, rows.pixels, False
    )
    assert not features.cover(rows)
    for count in (4, 0):
        fewer = ImageRows(manifest, manifest.table[:count], PIXELS)
        assert features.cover(fewer)
        assert len(FeatureRows(features, fewer)) == count
