import copy
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookalike.cli.main import main
from lookalike.files import write_once
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import TrainPrecision, autocast, forward
from lookalike.training.cpu import precision
from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.convolutions import Rounded, use_products
from lookalike.training.cpu.precision import CHOICES, fastest_precision, prepare

ARCFACE = {"margin_degrees": 28.6, "scale": 30.0}


def batch(size: int = 8, side: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8, generator=generator)
    return images, torch.arange(size) % 4


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
    for exact, found in zip([results[0], *gradients[0]], [results[1], *gradients[1]], strict=True):
        assert found is not None
        assert float((found.float() - exact).norm() / exact.norm()) < 0.01
    assert gradients[1][1].stride() == changed[0].weight.stride(), "no copy is needed for the optimiser"


def test_a_weight_in_bf16_is_made_anew_whenever_the_weight_changed() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last))
    use_products(network)
    weight, images = network[0].weight, torch.randn(2, 8, 9, 9)

    def expected() -> Tensor:
        values = images.to(torch.bfloat16).float(), weight.detach().to(torch.bfloat16).float()
        return nn.functional.conv2d(*values) + network[0].bias.detach().view(1, -1, 1, 1)

    def found() -> Tensor:
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
        assert float((found() - expected()).norm() / expected().norm()) < 0.01, change


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


def test_products_leave_other_convolutions_and_float32_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3).requires_grad_(False),
    )
    assert use_products(network) == 0
    one = nn.Sequential(nn.Conv2d(4, 4, 3))
    images = torch.randn(2, 4, 8, 8)
    before = one(images)
    assert use_products(one) == 1
    assert torch.equal(one(images), before), "outside of autocast nothing changes"


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
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
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


def run(embedder: Embedder, chosen: TrainPrecision, images: Tensor) -> Tensor:
    return forward(embedder, chosen, images, False)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_vit"])
@pytest.mark.parametrize("chosen", CHOICES[1:])
def test_every_arithmetic_keeps_embedding_and_gradients(backbone: str, chosen: TrainPrecision) -> None:
    side = 160 if backbone == "test_vit" else 64
    images, labels = batch(side=side)
    found: dict[str, tuple[Tensor, list[Tensor]]] = {}
    for name in ("32-true", chosen):
        torch.manual_seed(0)
        embedder = Embedder(backbone, 16, trainable=["all"])
        loss = MetricLoss("arcface", ARCFACE, 4, 16)
        prepare(embedder, name)  # type: ignore[arg-type]
        embedding = run(embedder, name, images)  # type: ignore[arg-type]
        loss(embedding, labels).backward()
        gradients = [parameter.grad for parameter in [*embedder.parameters(), *loss.parameters()]]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
        found[name] = (nn.functional.normalize(embedding.detach().float(), dim=1), gradients)  # type: ignore[assignment]
    exact, quick = found["32-true"], found[chosen]
    assert (exact[0] * quick[0]).sum(1).min() > 0.99
    flat = [torch.cat([gradient.flatten() for gradient in gradients]) for gradients in (exact[1], quick[1])]
    assert float(nn.functional.cosine_similarity(flat[0], flat[1], dim=0)) > 0.95


def test_a_choice_is_measured_remembered_and_changes_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    before = {name: value.clone() for name, value in embedder.state_dict().items()}
    random = torch.get_rng_state()
    found = fastest_precision(tmp_path, {"model": "a"}, embedder, loss, run, batch())
    assert found.chosen in CHOICES
    assert set(found.milliseconds) == set(CHOICES) == set(found.loss_difference)
    assert found.loss_difference["32-true"] == 0
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in embedder.state_dict().items())
    assert all(parameter.grad is None for parameter in embedder.parameters())
    (file,) = tmp_path.glob("*.json")
    changed = {**json.loads(file.read_text()), "chosen": "bf16-mixed", "milliseconds": {"bf16-mixed": 1.0}}
    file.write_text(json.dumps(changed))
    again = fastest_precision(tmp_path, {"model": "a"}, embedder, loss, run, batch())
    assert (again.chosen, again.milliseconds) == ("bf16-mixed", {"bf16-mixed": 1.0}), "remembered, not measured"
    fastest_precision(tmp_path, {"model": "b"}, embedder, loss, run, batch())
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'{"chosen": "float8"}', b"\xff", b'{"chosen": "32-true"}'])
def test_a_memory_that_cannot_be_read_is_measured_again(tmp_path: Path, content: bytes) -> None:
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    fastest_precision(tmp_path, {}, embedder, loss, run, batch())
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(content)
    assert fastest_precision(tmp_path, {}, embedder, loss, run, batch()).chosen in CHOICES
    assert json.loads(file.read_bytes())["chosen"] in CHOICES


def test_an_arithmetic_that_changes_the_loss_is_not_taken() -> None:
    best = precision._best
    steady = [10.0, 9.0, 8.0]
    fast_and_wrong = {"32-true": (1.0, steady), "bf16-mixed": (0.1, [10.0, 9.0, 9.0]), "bf16-products": (0.5, steady)}
    assert best(fast_and_wrong).chosen == "bf16-products"  # type: ignore[arg-type]
    hardly_faster = {"32-true": (1.0, steady), "bf16-mixed": (0.97, steady), "bf16-products": (1.2, steady)}
    assert best(hardly_faster).chosen == "32-true"  # type: ignore[arg-type]
    not_finite = {"32-true": (1.0, steady), "bf16-mixed": (0.1, [10.0, float("nan"), float("nan")])}
    assert best(not_finite).chosen == "32-true"  # type: ignore[arg-type]


def _write(place: tuple[Path, int]) -> None:
    write_once(place[0], str(place[1]).encode())


def test_the_first_to_write_wins(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_write, [(tmp_path / "one", number) for number in range(20)])
    first = (tmp_path / "one").read_bytes()
    write_once(tmp_path / "one", b"other")
    assert (tmp_path / "one").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_asked_for_arithmetic_is_used_kept_and_told(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from conftest import TINY

    weights = {}
    for chosen in CHOICES:
        folders = (f"models_dir={tmp_path / chosen}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
        arguments = ["train", f"data.root={digits}", f"run={chosen}", *folders, *TINY, f"trainer.precision={chosen}"]
        assert main(arguments) == 0
        config = json.loads((tmp_path / chosen / chosen / "config.json").read_text())
        assert config["training"]["arithmetic"] == chosen
        weights[chosen] = (tmp_path / chosen / chosen / "model.safetensors").read_bytes()
    assert "arithmetic:" not in capsys.readouterr().err, "what was asked for is not measured"
    assert len(set(weights.values())) == len(CHOICES)
    state = torch.load(tmp_path / "checkpoint" / "32-true" / "last.ckpt", weights_only=True)
    assert state["hyper_parameters"]["arithmetic"] == "32-true"


def test_autocast_is_for_bf16_only() -> None:
    one = torch.ones(2, 2)
    for chosen, kind in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("bf16-products", torch.bfloat16)):
        with autocast("cpu", chosen):  # type: ignore[arg-type]
            assert (one @ one).dtype == kind


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


@pytest.mark.parametrize("links", [True, False])
def test_what_cannot_be_remembered_is_measured_and_used(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    if links:
        monkeypatch.setattr(Path, "write_bytes", refuse)
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    assert fastest_precision(tmp_path / "cache", {}, embedder, loss, run, batch()).chosen in CHOICES
    assert len(list((tmp_path / "cache").glob("*.json"))) == (0 if links else 1)
    assert ("cannot be remembered" in " ".join(capsys.readouterr().err.split())) == links
