"""Class weights of which a step takes a sample: drawn as said, exact where all are in it, small in what it keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from lookalike.errors import LookalikeError
from lookalike.models.losses import LossError, MetricLoss, loss_names, needs_label_batches
from lookalike.models.sampled_classes import SampledClasses

C, D, B = 40, 6, 8
WITH_WEIGHTS = [name for name in loss_names() if not needs_label_batches(name)]


def loss_of(name: str, sampled: int | None, classes: int = C) -> MetricLoss:
    file = Path(__file__).parents[2] / "configs" / "loss" / f"{name}.yaml"
    settings: Any = OmegaConf.to_container(OmegaConf.load(file))
    del settings["name"]
    settings.pop("sample_classes", None)
    torch.manual_seed(1)
    return MetricLoss(name, settings, classes, D, sampled, seed=5)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(B, D, generator=generator), torch.randint(0, C, (B,), generator=generator)


def trained(loss: MetricLoss, steps: int, first: int = 0) -> list[float]:
    whole = loss.trained_whole()
    optimizer = torch.optim.AdamW(whole, lr=0.05, weight_decay=0.0) if whole else None
    values = []
    for step in range(first, steps):
        value = loss(*batch(step), step)
        value.backward()
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()
        loss.step_of_sample(0.05)
        values.append(value.item())
    return values


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_sample_of_all_labels_trains_as_without_samples(name: str) -> None:
    whole, sampled = loss_of(name, None), loss_of(name, C)
    assert trained(whole, 5) == pytest.approx(trained(sampled, 5), rel=1e-6)
    (weights,) = whole.parameters()
    rows = weights if name == "proxy_anchor" else weights.t()
    assert sampled.sample is not None
    torch.testing.assert_close(sampled.sample.table, rows.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_step_changes_the_weights_of_its_sample_alone(name: str) -> None:
    loss = loss_of(name, 12)
    sample = loss.sample
    assert sample is not None
    per_label = len(sample.table) // C
    assert per_label == (3 if name == "subcenter_arcface" else 1)
    before = sample.table.clone()
    trained(loss, 1)
    labels = (sample.table != before).any(1).reshape(C, per_label).any(1)
    in_sample = sample._rows[::per_label] // per_label
    assert set(labels.nonzero().flatten().tolist()) <= set(in_sample.tolist())
    assert set(batch(0)[1].tolist()) <= set(in_sample.tolist())
    assert labels[batch(0)[1]].all(), "those of the batch are always in it"
    assert len(set(in_sample.tolist())) == 12
    assert sample.rows_with_moments == 12 * per_label


def test_samples_come_from_seed_and_step_and_every_label_comes_in() -> None:
    table = torch.arange(C * 2.0).reshape(C, 2)
    sample, again, other = (SampledClasses(table, 1, 10, seed) for seed in (3, 3, 4))
    labels = torch.tensor([7, 7, 0, 39])
    counts = np.zeros(C)
    for step in range(400):
        rows, within = sample.draw(labels, step)
        assert torch.equal(rows[within], table[labels])
        ids = (rows[:, 0] / 2).long()
        assert torch.equal(ids, ids.unique()), "in the order of the labels, each once"
        counts[ids] += 1
        assert torch.equal(again.draw(labels, step)[0], rows)
    assert not torch.equal(other.draw(labels, 399)[0], rows)
    assert counts[[0, 7, 39]].tolist() == [400] * 3
    others = np.delete(counts, [0, 7, 39])
    expected = 400 * 7 / 37
    assert (abs(others - expected) < 5 * np.sqrt(expected)).all(), "each as often as the others"


def test_a_resumed_run_ends_with_the_same_weights() -> None:
    whole, first, second = (loss_of("arcface", 12) for _ in range(3))
    values = trained(whole, 6)
    trained(first, 3)
    assert first.sample is not None
    assert second.sample is not None
    second.load_state_dict(first.state_dict())
    second.sample.load_optimiser_state(first.sample.optimiser_state())
    assert trained(second, 6, first=3) == values[3:]
    assert whole.sample is not None
    assert torch.equal(second.sample.table, whole.sample.table)
    ours, theirs = second.sample.optimiser_state(), whole.sample.optimiser_state()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_moments_of_other_weights_are_refused() -> None:
    state = SampledClasses(torch.zeros(5, 2), 1, 2, 0).optimiser_state()
    with pytest.raises(ValueError, match="of other weights"):
        SampledClasses(torch.zeros(6, 2), 1, 2, 0).load_optimiser_state(state)


def test_a_batch_with_more_labels_than_a_sample_is_refused() -> None:
    with pytest.raises(LookalikeError, match=r"a sample has 2 labels, and the batch alone 3: give a larger share"):
        SampledClasses(torch.zeros(9, 2), 1, 2, 0).draw(torch.tensor([1, 2, 3]), 0)


def test_a_pair_loss_has_no_classes_to_draw() -> None:
    with pytest.raises(LossError, match=r"loss triplet: it has no class weights to draw from"):
        loss_of("triplet", 10)
