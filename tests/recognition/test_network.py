"""The network of a blueprint: every tensor has its place, poolings and mirrored images are those of the project."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from foreign_networks import vision
from lookalike.errors import CheckpointError, ModelError
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk
from lookalike.recognition.facts import Blueprint, Fact, Recognised
from lookalike.recognition.network import network_of, pixels_of
from lookalike.recognition.positions import at_size
from lookalike.recognition.recognise import Given, recognise

BARE = ResidualOptions(layers=(1, 1, 1, 1), bottleneck=False, padded_pool=False)


def images(side: int = 64) -> Tensor:
    return torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def embedded(state: dict[str, Tensor], folder: Path, **model: Any) -> Tensor:
    torch.save(state, folder / "a.pth")
    given = Given({"embedding_size": None, **model}, {"height": 64, "width": 64})
    with torch.no_grad():
        return network_of(*recognise(folder / "a.pth", given)).embed(images())


def features(network: nn.Module) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    pixels = (images().permute(0, 3, 1, 2) / 255 - mean) / std
    parts = [part for name, part in network.named_children() if name not in ("avgpool", "fc")]
    with torch.no_grad():
        return nn.Sequential(*parts)(pixels)


@pytest.mark.parametrize("pooling", ["avg", "max", "avg+max", "gem"])
def test_poolings(pooling: str, tmp_path: Path) -> None:
    network = vision()
    there = features(network)
    expected = {
        "avg": there.mean((2, 3)),
        "max": there.amax((2, 3)),
        "avg+max": there.mean((2, 3)) + there.amax((2, 3)),
        "gem": there.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3),
    }[pooling]
    made = embedded(network.state_dict(), tmp_path, pooling=pooling)
    assert torch.allclose(made, nn.functional.normalize(expected, dim=1), atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("test_vit", r"test_vit\S* with features \[1, \d+, 64\]"),
        ("test_convnext", r"test_convnext\S* with head\.norm\.weight, head\.norm\.bias behind its own pooling"),
        (
            "mobilenetv4_conv_small_035",
            r"mobilenetv4\S* with conv_head\.weight, norm_head\.weight behind its own pooling",
        ),
    ],
)
def test_a_pooling_is_refused_of_networks_that_have_more_than_maps(
    architecture: str, reason: str, tmp_path: Path
) -> None:
    network = timm.create_model(architecture, num_classes=0)
    names = tuple(name for name in network.state_dict() if not name.endswith("num_batches_tracked"))
    blueprint = Blueprint(architecture, {name: (name,) for name in names}, pooling="gem")
    with pytest.raises(ModelError, match=rf"model\.pooling=gem: expected a network whose .* found {reason}"):
        network_of(recognised_as(blueprint, saved(network.state_dict(), tmp_path)), dict(network.state_dict()))


def test_maps_with_channels_last_are_not_pooled(tmp_path: Path) -> None:
    network = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0)
    state = {name: value for name, value in network.state_dict().items() if "relative_position_index" not in name}
    blueprint = Blueprint("swin_tiny_patch4_window7_224", {name: (name,) for name in state}, pooling="max")
    with pytest.raises(ModelError, match=r"found swin_tiny\S* with features \[1, 7, 7, 768\]"):
        network_of(recognised_as(blueprint, saved(state, tmp_path), 224), state)


def recognised_as(blueprint: Blueprint, file: Path, side: int = 64) -> Recognised:
    values = {"height": side, "width": side, "mean": [0.5] * 3, "std": [0.5] * 3, "channels": "RGB"}
    return Recognised(str(file), {name: Fact(value, "given", "") for name, value in values.items()}, blueprint)


def test_the_power_of_gem_is_read(tmp_path: Path) -> None:
    network = vision()
    expected = features(network).clamp(min=1e-6).pow(2.5).mean((2, 3)).pow(1 / 2.5)
    made = embedded({**network.state_dict(), "pool.p": torch.tensor([2.5])}, tmp_path)
    assert torch.allclose(made, nn.functional.normalize(expected, dim=1), atol=1e-5)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in vision().state_dict().items()}
    state["layer2.0.conv1.weight"][0] = float("nan")
    with pytest.raises(
        ModelError, match=r"a\.pth: expected finite weights, found nan or inf in 1 tensors \(backbone\.lay"
    ):
        embedded(state, tmp_path)
    state["layer2.0.conv1.weight"][0] = 0
    state["fc.weight"][0] = float("nan")  # left out
    assert torch.isfinite(embedded(state, tmp_path)).all()


@pytest.mark.parametrize("network", [vision(), FastReidNetwork(ResidualTrunk(BARE), EmbeddingHead(512))])
def test_a_network_that_a_small_file_only_mentions_is_not_made(network: nn.Module, tmp_path: Path) -> None:
    """One number of a file can be a weight of any shape."""
    state = {name: torch.zeros(()).expand(value.shape) for name, value in network.state_dict().items()}
    recognised, tensors = recognise(
        saved(state, tmp_path), Given({"embedding_size": None} if isinstance(network, ResNet) else {})
    )
    with pytest.raises(
        CheckpointError, match=r"a\.pth: its names and shapes are those of a network of \d+ MB, found a f"
    ):
        network_of(recognised, tensors)


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save(state, folder / "a.pth")
    return folder / "a.pth"


def test_pixels_are_those_of_the_facts(tmp_path: Path) -> None:
    torch.save({"net." + name: value for name, value in vision().state_dict().items()}, tmp_path / "a.pth")
    given = Given({"embedding_size": 128}, {"height": 96, "width": 64, "resize": "crop", "shorter_side": 100})
    pixels = pixels_of(recognise(tmp_path / "a.pth", given)[0].facts)
    assert str(pixels) == "96 x 64 pixels, crop, bilinear, from a shorter side of 100"


@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_position_embeddings_come_to_another_size(library: str) -> None:
    value = torch.linspace(0, 1, 1 + 16).view(1, 17, 1).expand(1, 17, 4)
    made = at_size("backbone.pos_embed", value, torch.zeros(1, 1 + 64, 4), Blueprint("a", {}, library=library))
    assert made.shape == (1, 65, 4)
    assert torch.equal(made[:, 0], value[:, 0])
    assert (made[0, 1:, 0].diff()[:7] >= -0.01).all()
    with pytest.raises(ModelError, match=r"pos_embed: expected the shape \[1, 30, 4\] of images of this size"):
        at_size("backbone.pos_embed", value, torch.zeros(1, 30, 4), Blueprint("a", {}, library=library))
