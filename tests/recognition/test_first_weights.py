"""First weights of a training run out of any file: the same tensors as eval takes."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.recognition.first_weights import first_weights
from lookalike.recognition.restore import restore

SMALL = {"height": 64, "width": 32}


def small() -> nn.Module:
    torch.manual_seed(2)
    return timm.create_model("test_resnet", num_classes=0)


def plain(before: str = "net.") -> dict[str, Any]:
    return {before + name: value for name, value in small().state_dict().items()}


@pytest.mark.parametrize("layout", ["prefix", "sequence"])
def test_first_weights_of_training_are_those(layout: str, tmp_path: Path) -> None:
    state = plain() if layout == "prefix" else nn.Sequential(*small().children()).state_dict()
    torch.save(state, tmp_path / "model.pth")
    network: Any = restore(tmp_path / "model.pth", {"backbone": "test_resnet"}, SMALL)[0]
    tensors = first_weights(tmp_path / "model.pth", "test_resnet")
    backbone = network.network.network.backbone.state_dict()
    assert tensors.keys() == {key for key in backbone if not key.endswith("num_batches_tracked")}
    assert all(torch.equal(value, backbone[key]) for key, value in tensors.items())


def test_first_weights_of_two_networks_are_asked_for(tmp_path: Path) -> None:
    for first, second in (("a", "b"), ("student", "teacher")):
        torch.save({**plain(f"{first}."), **plain(f"{second}.")}, tmp_path / "two.pth")
        with pytest.raises(
            LookalikeError, match=r"two\.pth: .* in it.*: save the one that is meant as a file of its own"
        ):
            first_weights(tmp_path / "two.pth", "test_resnet")
