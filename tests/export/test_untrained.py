"""Networks without training: the recipes of the command line by name, their pixels, their weights or what to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from lookalike.cli.arguments import read_settings
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError, ModelError
from lookalike.export.untrained import identity, recipe, untrained_encoder
from lookalike.inference.openvino_network import OpenVinoNetwork


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a small network, as if they were learnt."""
    torch.manual_seed(3)
    torch.save(timm.create_model("test_resnet", num_classes=7).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2", "resnet18"])
def test_a_recipe_is_that_of_the_command_line(name: str) -> None:
    of_python, typed, trained = (
        recipe(name),
        read_settings("embed", [f"model={name}"]),
        read_settings("train", [f"model={name}"]),
    )
    assert of_python == typed
    assert of_python.model is not None
    assert of_python.model.model_dump().items() <= trained.model.model_dump().items()
    assert of_python.pixels == trained.pixels, "the pixels are those of a training that begins with this network"


def test_settings_of_a_recipe_may_be_others() -> None:
    chosen = recipe("efficientnet_lite1", {"pooling": "gem", "weights": "x.pth"}, {"height": 64, "resize": "pad"})
    assert chosen.model is not None
    assert chosen.pixels is not None
    assert (chosen.model.backbone, chosen.model.pooling) == ("tf_efficientnet_lite1", "gem")
    assert chosen.model.weights == "x.pth"
    assert (chosen.pixels.height, chosen.pixels.width, chosen.pixels.resize) == (64, 240, "pad")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("efficientnet_lite3",), r"^Model\.pretrained\('efficientnet_lite3'\): expected one of .*; did you mean effi"),
        (
            ("resnet50",),
            r"^Model\.pretrained\('resnet50'\): expected one of .*efficientnet_lite0, .*'timm', model={'back",
        ),
        ((7,), r"^Model\.pretrained\(7\): expected one of .*efficientnet_lite0"),
        (("timm",), r"^model\.backbone: needs a value"),
        (("timm", "resnet50"), r"^Model\.pretrained: model='resnet50': expected settings by name, as a dictionary$"),
        (("efficientnet_lite0", {}, 224), r"^Model\.pretrained: pixels=224: expected settings by name"),
        (("efficientnet_lite0", {"embedding_size": 64}), r"^model\.embedding_size=64: is of training"),
        (("efficientnet_lite0", {}, {"hight": 64}), r"^pixels\.hight: unknown setting; did you mean height\?"),
    ],
)
def test_a_wrong_recipe_is_told(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LookalikeError, match=message) as caught:
        recipe(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pixels", "size"), [({}, (160, 160)), ({"height": 64, "width": 32, "resize": "crop"}, (64, 32))]
)
def test_it_embeds_as_torch_does_with_the_weights_that_are_given(
    pixels: Mapping[str, Any], size: tuple[int, int], weights: Path, digits: Path, tmp_path: Path
) -> None:
    whole = {"interpolation": None, "antialias": None} if pixels else {}
    chosen = recipe("timm", {"backbone": "test_resnet", "weights": str(weights)}, {**pixels, **whole})
    encoder = untrained_encoder(tmp_path / "graph", chosen)
    assert isinstance(encoder.network, OpenVinoNetwork)
    assert (encoder.pixels.height, encoder.pixels.width) == size, "those of timm where nothing else is said"
    files = sorted((digits / "test").rglob("*.png"))[:3]
    made = encoder.embed(files)
    network = timm.create_model("test_resnet", num_classes=0).eval()
    network.load_state_dict(torch.load(weights), strict=False)
    cfg = network.pretrained_cfg
    read_as = PixelSettings(*size, resize=pixels.get("resize", "stretch"))
    images = np.stack([read_image(file, read_as) for file in files])
    scaled = (torch.from_numpy(images) / 255 - torch.tensor(cfg["mean"])) / torch.tensor(cfg["std"])
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(scaled.permute(0, 3, 1, 2)), dim=1)
    assert np.abs(made - expected.numpy()).max() < 1e-4
    again = untrained_encoder(tmp_path / "again", chosen)
    assert again.fingerprint == encoder.fingerprint, "a gallery of the one may be opened with the other"
    assert np.array_equal(again.embed(files), made)


def test_the_usual_network_is_told_from_others_by_its_package_and_pixels() -> None:
    assert identity() == "tf_efficientnet_lite0 0.1.0 224 stretch"


def test_a_hub_that_does_not_answer_is_told_with_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(
        ModelError,
        match=r"^the weights of test_resnet could not be fetched .*; two ways out: model=.*_lite2 .*, or [^,]*>$",
    ):
        untrained_encoder(tmp_path / "graph", recipe("timm", {"backbone": "test_resnet"}))
    assert not (tmp_path / "graph").exists()
