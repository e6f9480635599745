"""Folded batch norms against the network as it is, on photographs: outputs, gradients, statistics."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.models.embedder import Embedder
from lookalike.models.pretrained import load_pretrained
from lookalike.training.cpu.folded_norms import fold_frozen_norms, unfold
from lookalike.training.cpu.precision import prepare

NETWORKS = [  # name, weights, trained, pixels, convolutions that are folded
    ("tf_efficientnet_lite0", "package", ["blocks.5", "blocks.6", "conv_head", "bn2", "head"], 224, 16),
    ("test_efficientnet", "none", ["all"], 96, None),
    ("test_resnet", "none", ["layer3", "layer4", "head"], 64, None),
    ("resnet18", "none", ["layer4", "head"], 64, 5),
]
DEPTHWISE = [  # name, trained, pixels: ReLU6, SiLU behind squeeze and excitation, ReLU as modules of their own
    ("efficientnet_lite0", ["blocks.3", "blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2", "head"], 96),
    ("tf_efficientnet_lite0", ["blocks.5", "blocks.6", "conv_head", "bn2", "head"], 71),
    ("efficientnet_b0", ["blocks.5", "blocks.6", "head"], 64),
    ("mobilenetv2_050", ["blocks.5", "blocks.6", "head"], 64),
    ("test_efficientnet", ["all"], 48),
]


def network(name: str, weights: str, trainable: list[str], size: int, **settings: Any) -> Embedder:
    torch.manual_seed(0)
    settings = {"frozen_batch_norm": True, **settings}
    embedder = Embedder(name, 16, "avg", False, trainable, [0.5] * 3, [0.5] * 3, (size, size), **settings)
    load_pretrained(embedder.backbone, name, weights)
    for part in embedder.backbone.modules():
        if weights == "none" and isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return embedder.to(memory_format=torch.channels_last)


def photographs(produce: Path, size: int) -> Tensor:
    files = sorted((produce / "validation").rglob("*.jpg"))[::33]
    return torch.from_numpy(np.stack([read_image(file, PixelSettings(size, size)) for file in files]))


def folded(embedder: Embedder) -> int:
    return sum("forward" in vars(part) for part in embedder.backbone.modules() if isinstance(part, nn.Conv2d))


@pytest.mark.parametrize(("name", "weights", "trainable", "size", "count"), NETWORKS)
def test_outputs_gradients_and_statistics_are_those_of_the_network(
    produce: Path, name: str, weights: str, trainable: list[str], size: int, count: int | None
) -> None:
    exact = network(name, weights, trainable, size).double()
    quick = network(name, weights, trainable, size)
    before = copy.deepcopy(quick.state_dict())
    made = fold_frozen_norms(quick.backbone, quick.image_size)
    assert made == folded(quick) > 0
    assert count is None or made == count
    assert quick.state_dict().keys() == before.keys()
    images = photographs(produce, size)
    results = [embedder(images) for embedder in (exact, quick)]
    torch.testing.assert_close(results[1], results[0].float(), rtol=1e-3, atol=1e-4)
    for result in results:
        nn.functional.normalize(result, dim=1)[:, :8].square().sum().backward()
    own = dict(exact.named_parameters())
    for parameter_name, parameter in quick.named_parameters():
        expected = own[parameter_name].grad
        assert (parameter.grad is None) == (expected is None), parameter_name
        if expected is not None and parameter.grad is not None:
            difference = (parameter.grad - expected).norm() / expected.norm().clamp_min(1e-9)
            assert difference < 1e-4, parameter_name
    for buffer_name, buffer in quick.named_buffers():
        assert buffer_name not in before or torch.equal(buffer, before[buffer_name]), buffer_name
    quick.eval()
    exact.eval()
    with torch.no_grad():
        torch.testing.assert_close(quick(images), exact(images).float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "trainable", "size"), DEPTHWISE)
def test_depthwise_networks_give_the_gradients_of_the_network(name: str, trainable: list[str], size: int) -> None:
    exact = network(name, "none", trainable, size).double()
    quick = network(name, "none", trainable, size)
    prepare(quick, "32-true")
    images = torch.randint(0, 256, (6, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert "_Depthwise" in _operations(quick(images))
    results = []
    for embedder in (exact, quick):
        embedding = nn.functional.normalize(embedder(images), dim=1)
        embedding[:, :8].square().sum().backward()
        results.append({key: part.grad for key, part in embedder.named_parameters() if part.grad is not None})
    assert results[0].keys() == results[1].keys()
    whole = [torch.cat([gradient.flatten().double() for gradient in result.values()]) for result in results]
    assert float((whole[1] - whole[0]).norm()) < 1e-4 * float(whole[0].norm())
    copy.deepcopy(quick)  # nothing of the step is kept that cannot be copied
    prepare(quick, "32-true", compiled=False)
    assert "_Depthwise" not in _operations(quick(images))


def _operations(result: Tensor) -> set[str]:
    """Names of what a result was made by."""
    names, waiting, seen = set(), [result.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.add(type(node).__name__.removesuffix("Backward"))
            waiting += [earlier for earlier, _ in node.next_functions]
    return names


def test_products_beside_depthwise_ones_keep_the_gradients() -> None:
    name, trainable, size = DEPTHWISE[0]
    images = torch.randint(0, 256, (8, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    gradients = []
    for precision, half in (("32-true", False), ("bf16-products", True)):
        embedder = network(name, "none", trainable, size)
        prepare(embedder, precision)  # type: ignore[arg-type]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            embedding = embedder(images)
        assert {"_Depthwise", "_Pointwise"} & _operations(embedding) == {"_Depthwise", *(["_Pointwise"] * half)}
        nn.functional.normalize(embedding.float(), dim=1)[:, :8].square().sum().backward()
        gradients.append(torch.cat([part.grad.flatten() for part in embedder.parameters() if part.grad is not None]))
    assert float(nn.functional.cosine_similarity(*gradients, dim=0)) > 0.99


def test_a_norm_in_training_mode_between_folded_ones_runs_as_ever() -> None:
    name, trainable, size = DEPTHWISE[0]
    images = torch.randint(0, 256, (4, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for norms in (("bn1",), ("bn2",), ("bn1", "bn2"), ("bn3",)):
        plain, quick = (network(name, "none", trainable, size) for _ in range(2))
        prepare(quick, "32-true")
        for embedder in (plain, quick):
            for norm in norms:
                embedder.backbone.blocks[4][1].get_submodule(norm).train()
        torch.testing.assert_close(quick(images), plain(images), rtol=1e-3, atol=1e-4)


class Beside(nn.Module):
    """Maps that enter a depthwise convolution and are used beside it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 1, bias=False), BatchNormAct2d(16, act_layer=nn.ReLU6)
        self.second, self.last = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.first(images))
        joined: Tensor = self.last(self.second(features)) + features
        return joined


def test_maps_that_are_used_beside_a_depthwise_convolution_are_activated() -> None:
    torch.manual_seed(0)
    module, images = Beside().eval(), torch.rand(2, 3, 16, 16)
    before = module(images)
    fold_frozen_norms(module, (16, 16))
    torch.testing.assert_close(module(images), before)


def test_a_batch_norm_in_training_mode_runs_as_ever(produce: Path) -> None:
    images = photographs(produce, 64)
    plain, quick = (network("resnet18", "none", ["layer4", "head"], 64, frozen_batch_norm=False) for _ in range(2))
    fold_frozen_norms(quick.backbone, quick.image_size)
    assert torch.equal(plain(images), quick(images))
    for name, value in plain.state_dict().items():
        assert torch.equal(value, quick.state_dict()[name]), name


def test_copies_have_weights_of_their_own(produce: Path) -> None:
    images = photographs(produce, 64)
    first = network("resnet18", "none", ["layer4", "head"], 64)
    fold_frozen_norms(first.backbone, first.image_size)
    before = first(images).detach()
    second = copy.deepcopy(first)
    for parameter in second.backbone.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(first(images), before)
    assert not torch.equal(second(images), before)


def test_a_precision_that_needs_the_convolutions_takes_the_folding_back() -> None:
    embedder = network("resnet18", "none", ["layer4", "head"], 64)
    prepare(embedder, "32-true")
    assert folded(embedder) == 5
    prepare(embedder, "bf16-products")
    norms = [part for part in embedder.backbone.modules() if isinstance(part, nn.BatchNorm2d)]
    assert not any("forward" in vars(part) for part in norms)
    prepare(network("resnet18", "none", ["layer4", "head"], 64, frozen_batch_norm=False), "32-true")
    unfold(embedder.backbone)
    assert folded(embedder) > 0, "products stay"


class Twice(nn.Module):
    """A convolution whose output is used beside its batch norm, too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        nn.init.uniform_(self.norm.weight, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolution(images)
        joined: Tensor = self.norm(features) + features
        return joined


def test_a_convolution_that_is_used_twice_is_left_alone() -> None:
    module = Twice().eval()
    images = torch.rand(2, 3, 16, 16)
    before = module(images)
    assert fold_frozen_norms(module, (16, 16)) == 0
    assert torch.equal(module(images), before)
