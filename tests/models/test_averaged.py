"""Means of weights over the last steps, and where they take the place of the last ones."""

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.sampler import ShuffledBatches
from lookalike.evaluation.identify import evaluate_rows
from lookalike.models.averaged import WeightAverage
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import MetricLearningModule, forward

RATES = {"learning_rate": 1e-3, "head_learning_rate": 2e-3, "loss_learning_rate": 4e-3, "weight_decay": 0.1}


def network() -> Embedder:
    torch.manual_seed(0)
    return Embedder("test_resnet", 16, bn_neck=True, trainable=["layer4", "head"])


def moved(embedder: Embedder, steps: int) -> list[dict[str, torch.Tensor]]:
    """Changes it as training would; what it was after each step."""
    states = []
    for step in range(steps):
        torch.manual_seed(step)
        with torch.no_grad():
            for parameter in embedder.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter))
        embedder(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))  # moves running statistics
        states.append(copy.deepcopy(embedder.state_dict()))
    return states


def test_it_is_the_plain_mean_from_its_first_step_on() -> None:
    embedder, average = network(), WeightAverage(begins=3)
    with torch.no_grad():
        states = []
        for step in range(1, 7):
            states += moved(embedder, 1)
            average.add(embedder, step)
    assert average.count == 4
    means = average.state()["means"]
    changed = {name for name in states[0] if not torch.equal(states[0][name], states[5][name])}
    assert means.keys() == {name for name in changed if not name.endswith("num_batches_tracked")}
    assert "neck.running_var" in means
    assert not any(name.startswith("backbone.layer1") for name in means)
    for name, mean in means.items():
        wanted = torch.stack([state[name].double() for state in states[2:]]).mean(0)
        torch.testing.assert_close(mean.double(), wanted, rtol=1e-5, atol=1e-6)


def test_the_network_has_its_own_weights_back_to_the_last_bit_after_an_error_too() -> None:
    embedder, average = network(), WeightAverage(begins=1)
    moved(embedder, 1)
    average.add(embedder, 1)
    (before,) = moved(embedder, 1)
    average.add(embedder, 2)

    def stopped() -> None:
        with average.inside(embedder):
            assert torch.equal(embedder.head.weight, average.state()["means"]["head.weight"])  # type: ignore[arg-type]
            assert not torch.equal(embedder.head.weight, before["head.weight"])  # type: ignore[arg-type]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert all(torch.equal(value, before[name]) for name, value in embedder.state_dict().items())
    with WeightAverage(begins=9).inside(embedder):  # nothing is in it yet
        assert torch.equal(embedder.head.weight, before["head.weight"])  # type: ignore[arg-type]


def test_a_state_goes_on_like_the_average_that_wrote_it() -> None:
    embedder, whole = network(), WeightAverage(begins=1)
    for step in (1, 2):
        moved(embedder, 1)
        whole.add(embedder, step)
    again = WeightAverage(begins=1)
    again.load(copy.deepcopy(whole.state()))
    moved(embedder, 3)
    for average in (whole, again):
        average.add(embedder, 3)
    assert again.count == whole.count == 3
    assert all(torch.equal(again.state()["means"][name], mean) for name, mean in whole.state()["means"].items())


@pytest.mark.parametrize("change", ["shape", "missing", "more"])
def test_means_of_another_network_are_refused(change: str) -> None:
    embedder, average = network(), WeightAverage(begins=1)
    average.add(embedder, 1)
    state = copy.deepcopy(average.state())
    if change == "shape":
        state["means"]["head.bias"] = torch.zeros(1)  # would be stretched
    elif change == "missing":
        del state["means"]["head.bias"]
    else:
        state["means"]["head.other"] = torch.zeros(16)
    average.load(state)
    wrong = "head.other" if change == "more" else "head.bias"
    with pytest.raises(ValueError, match=rf"^the averaged weights are not those of this network: {wrong}$"):
        average.add(embedder, 2)


def learner(steps: int, share: float | None) -> MetricLearningModule:
    schedule = {**RATES, "warmup_share": 0.1, "steps": float(steps), "averaged_share": share}
    loss = MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 10.0}, 5, 16)
    return MetricLearningModule(network(), loss, schedule)


class Seen(pl.Callback):
    """The weights after every step."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        self.states.append(copy.deepcopy(pl_module.embedder.state_dict()))  # type: ignore[operator,union-attr]


def test_training_validates_and_keeps_the_mean_of_its_last_steps(digits: Path) -> None:
    module, seen = learner(15, 0.6), Seen()
    data = ImageDataModule(
        read_manifest(digits), PixelSettings(32, 32), batches=lambda ids: ShuffledBatches(len(ids), 10, 0)
    )
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing"), False)
    pl.Trainer(
        accelerator="cpu",
        devices=1,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_epochs=3,
        callbacks=[seen],
        **quiet,
    ).fit(module, data)
    assert len(seen.states) == 15
    kept = module.kept_weights()
    wanted = torch.stack([state["head.weight"] for state in seen.states[6:]]).mean(0)
    torch.testing.assert_close(kept["head.weight"], wanted)
    assert torch.equal(module.embedder.head.weight, seen.states[-1]["head.weight"])  # type: ignore[arg-type]

    averaged = network()
    averaged.load_state_dict(kept)
    averaged.eval()
    with torch.inference_mode():
        batches = [
            [forward(averaged, "32-true", images, False) for images, _ in rows] for rows in data.val_dataloader()
        ]
    sides = [torch.nn.functional.normalize(torch.cat(side), dim=1).numpy() for side in batches]
    assert all(np.isfinite(side).all() for side in sides)
    expected = evaluate_rows(sides[1], sides[0], data.protocol).metrics
    assert module.history[-1]["validation/map"] == pytest.approx(expected["map"], abs=1e-6)


def test_rates_stay_at_their_peaks_while_weights_are_averaged() -> None:
    rates = {}
    for share in (None, 0.5):
        chosen = learner(20, share).configure_optimizers()
        schedule, optimizer = chosen["lr_scheduler"]["scheduler"], chosen["optimizer"]
        rates[share] = []
        for _ in range(20):
            rates[share].append(schedule.get_last_lr())
            optimizer.step()
            schedule.step()
    assert rates[0.5][:2] == rates[None][:2]
    assert rates[0.5][2:] == [[1e-3, 2e-3, 4e-3]] * 18
    assert max(rates[None][10:]) < [1e-3, 2e-3, 4e-3]
