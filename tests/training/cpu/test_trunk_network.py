from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_has_bf16
from lookalike.models.embedder import Embedder
from lookalike.models.pretrained import load_pretrained
from lookalike.training.cpu import trunk_network as module
from lookalike.training.cpu.trunk_network import TrunkNetwork, in_memory_order, trunk_network

LITE0 = ("tf_efficientnet_lite0", "package")


def photographs(produce: Path, pixels: PixelSettings) -> torch.Tensor:
    files = sorted((produce / "validation").rglob("*.jpg"))[::60]
    return torch.from_numpy(np.stack([read_image(file, pixels) for file in files]))


def network(name: str, trainable: list[str], size: int, weights: str = "none") -> Embedder:
    torch.manual_seed(0)
    embedder = Embedder(name, 16, trainable=trainable, mean=[0.5] * 3, std=[0.5] * 3, size=(size, size))
    load_pretrained(embedder.backbone, name, weights)
    return embedder.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "weights", "trainable", "size"),
    [
        (*LITE0, ["blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2", "head"], 224),
        (*LITE0, ["head"], 224),
        ("test_resnet", "none", ["layer4", "head"], 96),
        ("test_efficientnet", "none", ["blocks.2", "head"], 96),
    ],
)
@pytest.mark.parametrize("bf16", [False, True])
def test_openvino_gives_what_torch_gives(
    produce: Path,
    name: str,
    weights: str,
    trainable: list[str],
    size: int,
    bf16: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if bf16 and not openvino_has_bf16():
        bf16 = False  # this processor is never asked for it
    embedder, pixels = network(name, trainable, size, weights), PixelSettings(size, size)
    images = photographs(produce, pixels)[:2]
    modes = [part.training for part in embedder.modules()]
    with torch.no_grad():
        expected, last = in_memory_order(embedder.trunk(images))
    quick = trunk_network(embedder, pixels, bf16, "cpu", last)
    if quick.batch == TrunkNetwork(embedder, bf16, "cpu").batch:  # bf16 of this processor is too far from torch's
        assert bf16
        assert "OpenVINO disagrees with torch (cosine 0.99" in capsys.readouterr().err
        return
    features = quick(images)
    assert features.shape == expected.shape
    assert features.dtype == torch.bfloat16
    likeness = torch.nn.functional.cosine_similarity(features.flatten(1).double(), expected.flatten(1).double())
    assert likeness.min() > 0.9999 if not bf16 else 0.999
    assert torch.equal(quick(images[1:2]), features[1:2]), "an image's features do not depend on its neighbours"
    assert [part.training for part in embedder.modules()] == modes
    assert "torch runs it" not in capsys.readouterr().err


def test_a_network_that_openvino_gets_wrong_is_run_by_torch(
    produce: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embedder, other, pixels = (
        network("test_resnet", ["layer4", "head"], 64),
        network("test_resnet", ["layer4", "head"], 64),
        PixelSettings(64, 64),
    )
    for value in other.backbone.parameters():
        value.data.uniform_(-1, 1)
    original = module.write_trunk_graph
    monkeypatch.setattr(module, "write_trunk_graph", lambda _, *rest: original(other, *rest))
    images = photographs(produce, pixels)
    with torch.no_grad():
        expected, last = in_memory_order(embedder.trunk(images).to(torch.bfloat16))
    made = trunk_network(embedder, pixels, False, "cpu", last)
    assert "trunk: OpenVINO disagrees with torch (cosine " in capsys.readouterr().err
    torch.testing.assert_close(made(images), expected)
