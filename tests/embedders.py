"""Small embedders and what the tests ask of them."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss

# Four families of backbones: what is trained, and where the frozen trunk ends.
FAMILIES: dict[str, tuple[list[str], str]] = {
    "resnet18": (["layer4", "head"], "layer4.0"),
    "mobilenetv3_small_100": (["blocks.5", "conv_head", "head"], "blocks.5"),
    "vit_tiny_patch16_224": (["blocks.11", "norm", "head"], "blocks.11"),
    "convnext_atto": (["stages.3", "head"], "stages.3"),
}


def make(backbone: str, seed: int = 0, **settings: Any) -> Embedder:
    torch.manual_seed(seed)
    return Embedder(backbone, **{"embedding_size": 16, **settings})


def pictures(count: int, side: int = 64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def step(embedder: Embedder, images: Tensor) -> None:
    """One training step with ArcFace; Adam moves a weight by as much whatever the size of its gradient."""
    loss = MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 30.0}, 3, embedder.embedding_size)
    trained = [parameter for parameter in embedder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam([*trained, *loss.parameters()], lr=1e-2, eps=1e-30)
    loss(embedder(images), torch.arange(len(images)) % 3).backward()
    optimizer.step()


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


@cache
def family(backbone: str) -> Embedder:
    """Shared by the tests that do not train it."""
    return make(backbone, trainable=FAMILIES[backbone][0])
