"""Gradients of a batch that two processes share are those of one process with the whole batch."""

from typing import Any

import pytest
import torch

import two_processes
from lookalike.models.losses import loss_names
from lookalike.models.world import ALONE


def test_rows_of_all_come_in_the_order_of_one(of_two: list[dict[str, Any]]) -> None:
    for result in of_two:
        assert result["exchanges"]["joined"].tolist() == [0, 10, 1, 11]


@pytest.mark.parametrize("name", loss_names())
def test_gradients_are_those_of_the_whole_batch(of_two: list[dict[str, Any]], name: str) -> None:
    """Of the network before the loss, and of the class weights; pairs and miners see all rows."""
    alone = two_processes.gradients(name, ALONE)
    assert alone["value"] > 0
    assert alone["weight"].abs().max() > 1e-4, "a gradient that could be wrong"
    for result in of_two:
        shared = result["gradients"][name]
        assert shared.keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(shared[key], value, rtol=0, atol=1e-6 * float(value.abs().max()))
