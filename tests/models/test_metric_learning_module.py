"""The module in Lightning's own loop, without settings of ours."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.evaluation.identify import evaluate_rows
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import MetricLearningModule


def embeddings(embedder: Embedder, root: Path, pixels: PixelSettings) -> tuple[MetricLearningModule, MarketDataModule]:
    module, data = MetricLearningModule(embedder), MarketDataModule(root, pixels=pixels, eval_batch=32)
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).test(module, data, verbose=False)
    return module, data


def test_lightning_logs_the_metrics_of_a_test(few_market: Path) -> None:
    module, data = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    assert module.identification is not None
    found = module.trainer.callback_metrics
    for name in ("accuracy", "accuracy_at_5", "cmc_at_10", "map", "map_trapezoid", "minp"):
        assert float(found[f"test/{name}"]) == pytest.approx(
            module.identification.metrics[name.replace("_at_", "@")], abs=1e-6
        )
    whole = module.identification.whole
    assert whole.metrics["accuracy@1"] == module.identification.metrics["accuracy"]
    assert "no camera rule" in whole.protocol
    assert "same label and camera left out" in module.identification.result.protocol
    people = {
        part: set(data.manifest.table["label"][data.manifest.table["split"] == part]) for part in ("train", "test")
    }
    assert not people["train"] & people["test"]
    assert data.train_rows.label_ids.min() == 0


def test_validation_of_a_module_by_itself(few_market: Path) -> None:
    """Without settings of ours: the module and the data module in Lightning's own loop."""
    data = MarketDataModule(few_market, pixels=PixelSettings(32, 32), validation_share=0.2)
    module = MetricLearningModule(Embedder("test_resnet", 16))
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).validate(
        module, data, verbose=False
    )
    module.eval()
    protocol = data.protocol
    assert set(protocol.queries["label"]) <= set(protocol.references["label"])
    assert len(module.history) == 1
    with torch.inference_mode():
        loaders = [torch.cat([module.embedder.embed(x) for x, _ in loader]).numpy() for loader in data.val_dataloader()]
    expected = evaluate_rows(loaders[1], loaders[0], protocol).metrics
    assert module.history[0]["validation/map"] == expected["map"]
