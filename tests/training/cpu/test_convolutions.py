"""Convolutions as matrix products, compared with torch's own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.convolutions import Rounded, is_pointwise, pointwise, use_products

CONVOLUTIONS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": (3, 5), "padding": 2},
    {"kernel_size": 5, "stride": 3, "padding": 0, "bias": False},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
@pytest.mark.parametrize(("channels", "out"), [(6, 10), (8, 512)])
def test_products_are_the_convolution(options: dict[str, Any], channels: int, out: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, out, **options).to(memory_format=torch.channels_last)
    changed = nn.Sequential(nn.Conv2d(channels, out, **options).to(memory_format=torch.channels_last))
    changed[0].load_state_dict(plain.state_dict())
    assert use_products(changed) == 1
    inputs = torch.randn(3, channels, 11, 9)
    results, gradients = [], []
    for network, bf16 in ((plain, False), (changed, True)):
        given = inputs.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            result = network(given).float()
        (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
        results.append(result.detach())
        gradients.append([given.grad, *(parameter.grad for parameter in network.parameters())])
    assert results[0].shape == results[1].shape
    for exact, computed in zip([results[0], *gradients[0]], [results[1], *gradients[1]], strict=True):
        assert computed is not None
        assert float((computed.float() - exact).norm() / exact.norm()) < 0.01
    assert gradients[1][1].stride() == changed[0].weight.stride(), "no copy is needed for the optimiser"


@pytest.mark.parametrize("biased", [True, False])
def test_single_pixels_are_one_product(biased: bool) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(24, 40, 1)
    assert is_pointwise(convolution)
    assert not any(is_pointwise(nn.Conv2d(24, 40, 1, **other)) for other in ({"stride": 2}, {"padding": 1}))  # type: ignore[arg-type]
    assert not is_pointwise(nn.Conv2d(24, 40, 3, padding=1))
    images = torch.randn(3, 24, 7, 5).bfloat16().float()
    answers = []
    for quick in (False, True):
        given = [part.detach().clone().requires_grad_() for part in (images, *convolution.parameters())]
        given = given if biased else given[:2]
        result = pointwise(*given, *[None] * (3 - len(given))) if quick else nn.functional.conv2d(*given)
        assert result.dtype == (torch.bfloat16 if quick else torch.float32)
        result.backward(torch.linspace(-1, 1, result.numel()).view(result.shape).to(result.dtype))
        answers.append([result.detach(), *(part.grad for part in given)])
    for exact, computed in zip(*answers, strict=True):
        assert computed.shape == exact.shape
        assert float((computed.float() - exact).norm() / exact.norm()) < 0.01


def test_a_weight_in_bf16_is_made_anew_whenever_the_weight_changed() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last))
    use_products(network)
    weight, images = network[0].weight, torch.randn(2, 8, 9, 9)

    def expected() -> Tensor:
        values = images.to(torch.bfloat16).float(), weight.detach().to(torch.bfloat16).float()
        return nn.functional.conv2d(*values) + network[0].bias.detach().view(1, -1, 1, 1)

    def computed() -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return network(images).float()

    other = nn.Conv2d(8, 16, 3)
    optimizer = FlatAdamW([{"params": [*network.parameters()], "lr": 0.3}], 0.1)
    for change in ("nothing", "in place", "load", "step", "step"):
        if change == "in place":
            with torch.no_grad():
                weight.mul_(-2)
        elif change == "load":
            network[0].load_state_dict(other.state_dict())
        elif change == "step":
            with torch.autocast("cpu", torch.bfloat16):
                network(images).square().sum().backward()
            before = weight.detach().clone()
            optimizer.step()
            optimizer.zero_grad()
            assert not torch.equal(weight, before)
        assert float((computed() - expected()).norm() / expected().norm()) < 0.01, change


def test_products_leave_other_convolutions_and_float32_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3).requires_grad_(False),
    )
    assert use_products(network) == 0
    network_alone = nn.Sequential(nn.Conv2d(4, 4, 3))
    images = torch.randn(2, 4, 8, 8)
    before = network_alone(images)
    assert use_products(network_alone) == 1
    assert torch.equal(network_alone(images), before), "outside of autocast nothing changes"


def test_a_step_with_gradients_in_float32_is_seen_by_the_next_forward_pass() -> None:
    """As with versions of torch that give every gradient the type of its parameter."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last))
    use_products(network)
    weight = network[0].weight
    weight.grad_dtype = torch.float32
    optimizer = FlatAdamW([{"params": [*network.parameters()], "lr": 0.1}], 0.0)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            network(torch.randn(2, 8, 9, 9)).square().sum().backward()
        assert weight.grad.dtype == torch.float32
        optimizer.step()
        optimizer.zero_grad()
        assert torch.equal(Rounded.of(weight).up_to_date(weight), weight.detach().to(torch.bfloat16))
