"""Inverted residuals by our kernels, compared with torch's modules in float64."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from timm import create_model
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor, nn

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.models.embedder import Embedder
from lookalike.models.pretrained import load_pretrained
from lookalike.training.cpu.residuals import has_residuals, use_residuals

BLOCKS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "3 x 3, added to its input": ({"in_chs": 80, "out_chs": 80}, (14, 14)),
    "5 x 5": ({"in_chs": 80, "out_chs": 112, "dw_kernel_size": 5}, (14, 14)),
    "5 x 5, stride 2, padded on one side more": (
        {"in_chs": 48, "out_chs": 64, "dw_kernel_size": 5, "stride": 2, "pad_type": "same"},
        (14, 14),
    ),
    "odd sizes, channels that fill no panel": (
        {"in_chs": 20, "out_chs": 28, "stride": 2, "pad_type": "same", "exp_ratio": 3},
        (15, 11),
    ),
    "odd sizes, added": ({"in_chs": 20, "out_chs": 20, "exp_ratio": 3, "act_layer": nn.ReLU}, (9, 12)),
    "even padding, stride 2": ({"in_chs": 24, "out_chs": 24, "stride": 2, "dw_kernel_size": 5}, (13, 10)),
    "7 x 7": ({"in_chs": 16, "out_chs": 16, "dw_kernel_size": 7}, (10, 10)),
    "dilated": ({"in_chs": 16, "out_chs": 24, "dilation": 2}, (9, 9)),
    "dilated, 5 x 5": ({"in_chs": 16, "out_chs": 16, "dilation": 2, "dw_kernel_size": 5}, (11, 7)),
    "three pixels wide": ({"in_chs": 16, "out_chs": 16}, (4, 3)),
    "two pixels": ({"in_chs": 16, "out_chs": 16}, (1, 2)),
    "smaller than the kernel": ({"in_chs": 16, "out_chs": 16, "dw_kernel_size": 5}, (2, 3)),
}


def block_of(options: dict[str, Any]) -> InvertedResidual:
    torch.manual_seed(0)
    block = InvertedResidual(**{"exp_ratio": 6.0, "act_layer": nn.ReLU6, **options})
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return block.to(memory_format=torch.channels_last)


def passed(block: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Everything that a pass forward and backward makes or changes."""
    given = images.to(next(block.parameters()).dtype).clone().requires_grad_()
    result = block(given)
    gradient = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result.dtype)
    result.backward(gradient)
    gradients = {f"gradient of {name}": value.grad for name, value in block.named_parameters()}
    assert given.grad is not None
    buffers = {name: value.clone() for name, value in block.named_buffers()}
    return {"result": result.detach(), "gradient of images": given.grad, **gradients, **buffers}


def difference(value: Tensor, exact: Tensor) -> float:
    assert value.shape == exact.shape
    return float((value.double() - exact).norm() / exact.double().norm().clamp_min(1e-12))


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("training", [True, False])
def test_results_gradients_and_statistics_are_those_of_torch(name: str, training: bool) -> None:
    options, size = BLOCKS[name]
    plain = block_of(options).train(training)
    exact, changed = copy.deepcopy(plain).double(), copy.deepcopy(plain)
    assert use_residuals(changed) == 1
    images = torch.randn(3, options["in_chs"], *size)
    expected, computed, of_torch = passed(exact, images), passed(changed, images), passed(plain, images)
    for part, value in expected.items():
        off = difference(computed[part], value)
        assert off < 1e-5, f"{part}: {off} (torch {difference(of_torch[part], value)})"
        if min(size) > 1:  # else a stride means nothing
            assert computed[part].stride() == of_torch[part].stride(), part


def test_large_means_lose_nothing() -> None:
    """A batch norm whose input is far from 0 by its own spread: float32 sums of squares would be off."""
    block = block_of({"in_chs": 16, "out_chs": 16})
    exact, changed = copy.deepcopy(block).double(), copy.deepcopy(block)
    use_residuals(changed)
    images = torch.randn(16, 16, 12, 12) * 0.01 + 10
    expected, computed, of_torch = passed(exact, images), passed(changed, images), passed(block, images)
    for part, value in expected.items():
        assert difference(computed[part], value) < max(1e-5, 2 * difference(of_torch[part], value)), part


def test_any_number_of_threads_gives_the_same_bits() -> None:
    options, size = BLOCKS["odd sizes, added"]
    block = block_of(options)
    use_residuals(block)
    images = torch.randn(5, 20, *size)
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3, 5, 2):
            torch.set_num_threads(number)
            results.append(passed(copy.deepcopy(block), images))
    finally:
        torch.set_num_threads(threads)
    for part, value in results[0].items():
        assert all(torch.equal(value, other[part]) for other in results[1:]), part


def test_two_passes_before_one_backward_do_not_meet() -> None:
    block = block_of({"in_chs": 16, "out_chs": 16})
    exact, changed = copy.deepcopy(block).double(), copy.deepcopy(block)
    use_residuals(changed)
    views = torch.randn(2, 3, 16, 8, 8)
    for network in (exact, changed):
        kind = next(network.parameters()).dtype
        sum(network(view.to(kind)).square().sum() for view in views).backward()
    for (name, value), other in zip(exact.named_parameters(), changed.parameters(), strict=True):
        assert difference(other.grad, value.grad) < 1e-5, name


def test_what_is_not_trained_gets_no_gradient_and_paths_are_dropped_by_torch() -> None:
    block = block_of({"in_chs": 16, "out_chs": 16, "drop_path_rate": 0.5})
    for part in (block.conv_dw, block.bn1):
        part.requires_grad_(False)
    exact, changed = copy.deepcopy(block).double(), copy.deepcopy(block)
    use_residuals(changed)
    images, results = torch.randn(8, 16, 7, 7), []
    for network in (exact, changed):
        torch.manual_seed(3)
        result = network(images.to(next(network.parameters()).dtype))
        result.square().sum().backward()
        results.append(result)
    assert difference(results[1].detach(), results[0].detach()) < 1e-5
    for (name, value), other in zip(exact.named_parameters(), changed.parameters(), strict=True):
        assert (other.grad is None) == (value.grad is None), name
        assert other.grad is None or difference(other.grad, value.grad) < 1e-5, name


def test_the_last_convolution_of_a_network_runs_by_our_kernels_with_its_batch_norm() -> None:
    torch.manual_seed(0)
    network = create_model("tf_efficientnet_lite0", num_classes=0, channel_multiplier=0.25)
    network.to(memory_format=torch.channels_last).requires_grad_(False)
    for part in (network.blocks[5], network.blocks[6], network.conv_head, network.bn2):
        part.requires_grad_(True)
    exact, changed = copy.deepcopy(network).double(), copy.deepcopy(network)
    assert use_residuals(changed) == 5
    assert list(changed.state_dict()) == list(network.state_dict())
    changed = copy.deepcopy(changed)
    images, results = torch.randn(4, 3, 96, 64), []
    for each in (exact, changed):
        result = each(images.to(next(each.parameters()).dtype))
        result.square().sum().backward()
        results.append(result.detach())
    assert difference(results[1], results[0]) < 1e-4
    for name, value in exact.named_parameters():
        if value.requires_grad and not name.endswith("bn3.bias"):
            assert difference(changed.get_parameter(name).grad, value.grad) < 1e-4, name
    assert difference(changed.bn2.running_var, exact.bn2.running_var) < 1e-5
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        changed.load_state_dict(network.state_dict())
        assert torch.equal(network.eval()(images), changed.eval()(images)), "in bf16 both parts are torch's"


@pytest.mark.parametrize(
    "options",
    [
        {"act_layer": nn.SiLU},
        {"se_layer": lambda channels, **_: nn.Conv2d(channels, channels, 1)},
        {"exp_kernel_size": 3},
        {"group_size": 2},
        {"dw_kernel_size": 9},
    ],
)
def test_blocks_the_kernels_do_not_know_stay_torchs(options: dict[str, Any]) -> None:
    assert use_residuals(nn.Sequential(block_of({"in_chs": 16, "out_chs": 16, **options}))) == 0


def test_bf16_and_frozen_blocks_stay_torchs() -> None:
    block = block_of({"in_chs": 16, "out_chs": 16})
    changed = copy.deepcopy(block)
    assert has_residuals(changed)
    use_residuals(changed)
    images = torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(block(images), changed(images))
    assert torch.equal(copy.deepcopy(block).double()(images.double()), changed.double()(images.double()))
    assert not has_residuals(block.requires_grad_(False))


def test_what_is_no_number_stays_none() -> None:
    block = block_of({"in_chs": 16, "out_chs": 16}).eval()
    use_residuals(block)
    images = torch.randn(2, 16, 8, 8)
    images[0, 3, 4, 4] = float("nan")
    with torch.no_grad():
        result = block(images)
    assert result[0].isnan().any()
    assert result[1].isfinite().all()


def test_photographs_train_as_with_torch(produce: Path) -> None:
    """Lite0 with its ImageNet weights, from `blocks.3` on: gradients against float64."""
    stages = ["blocks.3", "blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2", "head"]
    torch.manual_seed(0)
    embedder = Embedder("tf_efficientnet_lite0", 32, trainable=stages, size=(96, 80))
    load_pretrained(embedder.backbone, "tf_efficientnet_lite0", "package")
    embedder.to(memory_format=torch.channels_last)
    files = sorted(produce.rglob("*.jpg"))[::40][:6]
    pixels = PixelSettings(96, 80)
    images = torch.stack([torch.from_numpy(read_image(file, pixels)) for file in files])
    with torch.no_grad():
        features = embedder.trunk(images)
    exact, changed = copy.deepcopy(embedder).double(), copy.deepcopy(embedder)
    assert use_residuals(changed) == 11
    direction = torch.randn(len(files), 32)
    for network in (exact, embedder, changed):
        kind = next(network.parameters()).dtype
        (network.rest(features.to(kind)) * direction.to(kind)).sum().backward()
    for (name, value), plain, ours in zip(
        exact.named_parameters(), embedder.parameters(), changed.parameters(), strict=True
    ):
        if value.grad is not None and not name.endswith("bn3.bias"):  # that is 0 where a batch norm follows
            off = difference(ours.grad, value.grad)
            assert off < max(1e-4, 3 * difference(plain.grad, value.grad)), name
    for (name, value), ours in zip(exact.named_buffers(), changed.buffers(), strict=True):
        assert difference(ours, value) < 1e-5, name
