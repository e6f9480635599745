"""Graphs of ONNX and OpenVINO are run as they are: how pixels are scaled is asked for, the rest is read from them."""

import base64
import zlib
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from PIL import Image
from torch import nn

from lookalike import Model
from lookalike.errors import LookalikeError
from lookalike.recognition.graphs import graph_facts, read_graph

# Conv (3 x 3, stride 2, 4 channels, weights (0..107 mod 7 - 3) / 5), Relu, mean, Flatten of [b, 3, 32, 24],
# written by onnx 1.23.
ONNX = (
    "c-rIOu)5B|rO3rt!NpiE#F(ta;+&sXrX|3|UR+X?nUY%Uz~sQRfRUYxhl?>;h_OhCB`7tgluMF}u}FxqKuOR&CqF4M$FVH6C^0=XAU{8ci=T_JK!`C_iQ"
    "O$Hv7{t5Plz#H>i{zc3kNd@3NSh`mV0ero;6c)|JgHV_MJWBvyTA?fV3TuZwC~&AC((?a#1qCBqAivCCb4lB*?`q#F)gz#K8>23P3E8B*Mj*D#Xvl3z"
    "X%A$+9@Ha4`r70ss~C`=I"
)
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(zlib.decompress(base64.b85decode(ONNX)))
    return tmp_path / "model.onnx"


def network() -> nn.Module:
    convolution = nn.Conv2d(3, 4, 3, 2, bias=False)
    weight = (np.arange(108).reshape(4, 3, 3, 3) % 7 - 3).astype(np.float32) / 5
    convolution.weight.data = torch.from_numpy(weight)
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def picture() -> np.ndarray:
    small = np.random.default_rng(2).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((50, 60), Image.Resampling.BICUBIC))


def expected() -> np.ndarray:
    pixels = Image.fromarray(picture()).resize((24, 32), Image.Resampling.BILINEAR)
    scaled = torch.from_numpy(np.asarray(pixels).copy()).permute(2, 0, 1).float() / 255
    scaled = (scaled - torch.tensor(IMAGENET["mean"]).view(3, 1, 1)) / torch.tensor(IMAGENET["std"]).view(3, 1, 1)
    with torch.no_grad():
        return nn.functional.normalize(network()(scaled[None]), dim=1)[0].numpy()


def test_an_onnx_file_embeds_as_its_network_does(file: Path) -> None:
    model = Model.from_checkpoint(file, model=IMAGENET)
    assert repr(model) == f"Model('{file.parent.name}-model': 4 dimensions from 32 x 24 pixels, float32)"
    assert np.abs(model.embed(picture()) - expected()).max() < 1e-5


def test_a_graph_of_openvino_with_bytes_needs_nothing(file: Path, tmp_path: Path) -> None:
    """The graph of one of our own bundles, say."""
    first = Model.from_checkpoint(file, model=IMAGENET)
    assert first.keep_network(tmp_path / "kept")
    again = Model.from_checkpoint(tmp_path / "kept" / "model.xml")
    assert np.abs(again.embed(picture()) - expected()).max() < 1e-5


def test_what_no_graph_says_is_asked_for(file: Path, tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"model\.onnx: no graph says how pixels are scaled .*give model\.mean"):
        Model.from_checkpoint(file)
    with pytest.raises(LookalikeError, match=r"pixels\.height=64: its graph takes 32 pixels: leave it out"):
        Model.from_checkpoint(file, model=IMAGENET, pixels={"height": 64})
    with pytest.raises(LookalikeError, match=r"device=cuda: a graph is run by OpenVINO on the processor"):
        Model.from_checkpoint(file, model=IMAGENET, device="cuda")
    any_size = openvino.convert_model(network(), example_input=torch.zeros(1, 3, 32, 24))
    openvino.save_model(any_size, tmp_path / "any.xml", compress_to_fp16=False)
    with pytest.raises(LookalikeError, match=r"takes images of any size: give pixels\.height and pixels\.width"):
        Model.from_checkpoint(tmp_path / "any.xml", model=IMAGENET)
    sized = Model.from_checkpoint(tmp_path / "any.xml", model=IMAGENET, pixels={"height": 32, "width": 24})
    assert np.abs(sized.embed(picture()) - expected()).max() < 1e-5


def test_a_graph_with_several_vectors_is_asked_which(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            vector = self.net(images)
            return vector, vector * 2

    graph = openvino.convert_model(Two().eval(), example_input=torch.zeros(1, 3, 32, 24), input=[(1, 3, 32, 24)])
    openvino.save_model(graph, tmp_path / "two.xml", compress_to_fp16=False)
    with pytest.raises(LookalikeError, match=r"expected one output \[B, D\], found .*say which by ckpt_key"):
        read_graph(tmp_path / "two.xml")
    assert (
        graph_facts(tmp_path / "two.xml", read_graph(tmp_path / "two.xml", "0"), IMAGENET, {}).facts["height"].value
        == 32
    )


@pytest.mark.parametrize("content", [b"", b"not a graph", zlib.decompress(base64.b85decode(ONNX))[:300]])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(LookalikeError, match=r"bad\.onnx: (not a graph that OpenVINO reads|expected a graph)"):
        read_graph(tmp_path / "bad.onnx")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"no such file: give the path of an \.onnx or \.xml file"):
        Model.from_checkpoint(tmp_path / "none.onnx")


@pytest.mark.parametrize("given", [{"last_stride": 1}, {"embedding_size": 8}, {"bn_neck": True}, {"pooling": "gem"}])
def test_a_graph_takes_nothing_that_is_said_of_its_layers(given: dict[str, object], file: Path) -> None:
    with pytest.raises(LookalikeError, match=rf"model\.{next(iter(given))}=\w+: recognised a graph.*leave it out"):
        Model.from_checkpoint(file, model={**IMAGENET, **given})


def test_borders_and_the_shorter_side_reach_the_pixels(file: Path) -> None:
    for one, other in (
        ({"resize": "pad", "border": 0}, {"resize": "pad", "border": 255}),
        ({"resize": "crop"}, {"resize": "crop", "shorter_side": 60}),
    ):
        first, second = (Model.from_checkpoint(file, model=IMAGENET, pixels=said) for said in (one, other))
        assert np.abs(first.embed(picture()) - second.embed(picture())).max() > 1e-4
