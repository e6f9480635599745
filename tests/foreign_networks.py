"""Networks of other projects for tests, and what an embedder makes of their checkpoints."""

import functools
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from lookalike.errors import ModelError
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign


def images(count: int = 3, side: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def lived(network: nn.Module, side: int = 96) -> nn.Module:
    """Gives batch norms statistics and weights that differ from a new network's."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, side, side))
    return network.eval()


@functools.cache
def vision() -> nn.Module:
    """torchvision's ResNet18 with `fc` of 128."""
    torch.manual_seed(1)
    network = torchvision.models.resnet18(weights=None)
    network.fc = nn.Linear(512, 128)
    return lived(network)


@functools.cache
def small(bias: bool = True) -> nn.Module:
    torch.manual_seed(2)
    network = timm.create_model("test_resnet", num_classes=0)
    network.fc = nn.Linear(network.num_features, 16, bias=bias)
    return lived(network)


def small_state(bias: bool = True) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in small(bias).state_dict().items()}


def make(backbone: str = "test_resnet", **settings: Any) -> Embedder:
    torch.manual_seed(9)
    return Embedder(backbone, **{"embedding_size": 16, **settings})


def expected(network: nn.Module, embedder: Embedder) -> Tensor:
    pixels = (images().permute(0, 3, 1, 2) / 255 - embedder.mean / 255) / (embedder.std / 255)
    with torch.no_grad():
        output: Tensor = network(pixels)
    return output


def embeddings(embedder: Embedder) -> Tensor:
    with torch.no_grad():
        return embedder.eval()(images())


def close(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, atol=1e-5, rtol=1e-5)


def untouched(embedder: Embedder, file: Path, match: str, **settings: Any) -> str:
    """Refused with this text, in one line, and the embedder is as before."""
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    with pytest.raises(ModelError, match=match) as caught:
        load_foreign(embedder, file, **settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in embedder.state_dict().items())
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    return str(caught.value)
