"""Batch norms of two processes do what one process does with the whole batch."""

from typing import Any

import pytest
import torch
from timm.layers import DropPath
from torch import nn

import two_processes
from lookalike.models.synced_norms import random_parts
from lookalike.models.world import ALONE


def test_outputs_gradients_and_running_statistics_are_those_of_one(of_two: list[dict[str, Any]]) -> None:
    alone = two_processes.norms(ALONE)
    for key in ("outputs", "of rows"):
        whole = torch.cat([result["norms"][key] for result in of_two])
        torch.testing.assert_close(whole, alone[key], rtol=1e-9, atol=1e-9)
    for result in of_two:
        assert result["norms"].keys() == alone.keys()
        for key in alone.keys() - {"outputs", "of rows"}:
            torch.testing.assert_close(result["norms"][key], alone[key], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("part", "draws"),
    [(nn.Dropout(0.1), True), (nn.Dropout(0.0), False), (DropPath(0.2), True), (nn.Linear(1, 1), False)],
)
def test_what_draws_random_numbers_is_named(part: nn.Module, draws: bool) -> None:
    network = nn.Sequential(nn.Identity(), part)
    assert random_parts(network.train()) == (["1"] if draws else [])
    assert random_parts(network.eval()) == []
