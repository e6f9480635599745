"""Small networks of re-identification for tests, filled so that every tensor matters."""

import numpy as np
import recipe
import torch
from torch import Tensor, nn

from lookalike.models.networks.residual import ResidualOptions

TINY = ResidualOptions(layers=(1, 2, 2, 1), width=16)


def fill(network: nn.Module) -> nn.Module:
    """Weights of the recipe, which depend on names and shapes alone."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.from_numpy(np.asarray(recipe.filled(name, tuple(value.shape)))))
    return network.eval()


def pixels(height: int = 64, width: int = 32) -> Tensor:
    return torch.from_numpy(recipe.pixels(height, width))


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def count(network: nn.Module) -> int:
    """Parameters, without buffers."""
    return sum(parameter.numel() for parameter in network.parameters())


def idle(network: nn.Module, *inputs: Tensor) -> list[str]:
    """Parameters that nothing of the embedding hangs on."""
    embedding = network(*inputs)
    assert torch.isfinite(embedding).all()
    (embedding * torch.linspace(-1, 1, embedding.shape[1])).sum().backward()
    return [name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().max() > 0]
