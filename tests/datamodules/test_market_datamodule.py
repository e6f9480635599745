"""Market-1501 for Lightning."""

from pathlib import Path

import pytest

from lookalike.data.pixels import PixelSettings
from lookalike.data.tables import ManifestError
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.datamodules.sampler import LabelBatches


def test_people_of_validation_are_not_trained_and_test_has_its_own_references(few_market: Path) -> None:
    data = MarketDataModule(few_market, validation_share=0.25, eval_batch=16, workers=0)
    assert data.pixels == PixelSettings(256, 128)
    held_out = set(data.protocol.references["label"])
    assert len(held_out) == 10
    assert not held_out & set(data.manifest.labels)
    assert set(data.protocol.queries["label"]) <= held_out
    assert {path.partition("/")[0] for path in data.test_protocol.references["path"]} == {"bounding_box_test"}
    assert {path.partition("/")[0] for path in data.test_protocol.queries["path"]} == {"query"}
    assert data.test_protocol.references["ignore"].any(), "junk stays: ranking passes over it"
    images, _ = next(iter(data.test_dataloader()[1]))
    assert images.shape == (16, 256, 128, 3)


def test_who_is_held_out_depends_on_the_seed(few_market: Path) -> None:
    held_out = [set(MarketDataModule(few_market, seed=seed).protocol.queries["label"]) for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] != held_out[2]


def test_training_batches_are_those_asked_for(few_market: Path) -> None:
    data = MarketDataModule(
        few_market, pixels=PixelSettings(16, 8), batches=lambda label_ids: LabelBatches(label_ids, 4, 2, seed=0)
    )
    images, label_ids = next(iter(data.train_dataloader()))
    assert images.shape == (8, 16, 8, 3)
    assert sorted(label_ids.bincount()[label_ids.unique()].tolist()) == [2, 2, 2, 2]


def test_other_layouts_are_refused(digits: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected the folders bounding_box_train.*use ImageDataModule for other"):
        MarketDataModule(digits)
