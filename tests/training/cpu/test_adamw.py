"""The flat optimiser, compared with torch's own."""

import copy

import pytest
import torch
from torch import nn

from lookalike.training.cpu.adamw import FlatAdamW


def test_steps_with_gradients_in_bf16_are_those_of_adamw() -> None:
    torch.manual_seed(0)
    shape, options = (600, 64, 3, 3), {"lr": 0.01, "weight_decay": 0.1}
    exact = nn.Parameter(torch.randn(shape).contiguous(memory_format=torch.channels_last))
    rounded = nn.Parameter(exact.detach().clone(memory_format=torch.preserve_format))
    rounded.grad_dtype = torch.bfloat16
    plain = torch.optim.AdamW([exact], **options, fused=True)
    ours = FlatAdamW([{"params": [rounded], "lr": 0.01}], 0.1)
    assert rounded.numel() % (1 << 18) != 0, "the last part is a smaller one"
    for _ in range(3):
        gradient = torch.randn(shape).to(torch.bfloat16)
        exact.grad = gradient.float().contiguous(memory_format=torch.channels_last)
        rounded.grad = gradient
        plain.step()
        ours.step()
    assert torch.equal(exact, rounded)
    states = [optimizer.state_dict()["state"][0] for optimizer in (plain, ours)]
    assert states[0].keys() == states[1].keys()
    assert float(states[1]["step"]) == 3
    assert torch.equal(states[0]["exp_avg_sq"].permute(0, 2, 3, 1).flatten(), states[1]["exp_avg_sq"])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_flat_optimiser_does_the_arithmetic_of_torch(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(16 * 36, 5)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    networks = [network.to(memory_format=layout) for network in networks]
    groups = [[{"params": list(network.parameters()), "lr": 0.01}] for network in networks]
    theirs, ours = torch.optim.AdamW(groups[0], weight_decay=0.1), FlatAdamW(groups[1], 0.1)
    for _ in range(5):
        images = torch.randn(4, 8, 8, 8)
        for network, optimizer in zip(networks, (theirs, ours), strict=True):
            optimizer.zero_grad()
            optimizer.step(lambda network=network, images=images: network(images).square().mean().backward())
    for theirs_now, ours_now in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.allclose(theirs_now, ours_now, rtol=1e-4, atol=1e-6)
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in networks[1].parameters())


def test_the_flat_optimiser_goes_on_from_its_state() -> None:
    def steps(network: nn.Linear, optimizer: FlatAdamW, numbers: range) -> None:
        for number in numbers:
            network(torch.full((2, 3), float(number))).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.manual_seed(0)
    whole, first, second = (nn.Linear(3, 2) for _ in range(3))
    first.load_state_dict(whole.state_dict())
    optimizers = [FlatAdamW([{"params": list(part.parameters()), "lr": 0.1}], 0.0) for part in (whole, first)]
    steps(whole, optimizers[0], range(6))
    steps(first, optimizers[1], range(3))
    second.load_state_dict(first.state_dict())
    resumed = FlatAdamW([{"params": list(second.parameters()), "lr": 0.1}], 0.0)
    resumed.load_state_dict(optimizers[1].state_dict())
    steps(second, resumed, range(3, 6))
    assert torch.equal(whole.weight, second.weight)


def test_a_state_of_the_usual_optimiser_is_taken_over() -> None:
    torch.manual_seed(0)
    networks = [nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    images = torch.randn(2, 4, 6, 6)
    theirs = torch.optim.AdamW(networks[0].parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(3):
        theirs.zero_grad()
        networks[0](images).square().mean().backward()
        theirs.step()
    networks[1].load_state_dict(networks[0].state_dict())
    ours = FlatAdamW([{"params": list(networks[1].parameters()), "lr": 0.01}], 0.1)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for network, optimizer in zip(networks, (theirs, ours), strict=True):
        for _ in range(3):
            optimizer.zero_grad()
            network(images).square().mean().backward()
            optimizer.step()
    assert torch.allclose(networks[0].weight, networks[1].weight, rtol=1e-4, atol=1e-6)
