"""Networks as ONNX give the embeddings that OpenVINO gives, for any number of images."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from lookalike.data.pixels import PixelSettings
from lookalike.export.graph import write_graph
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import Embedder
from lookalike.portable import onnx_graph
from lookalike.portable.onnx_draft import PortableError
from lookalike.portable.onnx_graph import need_onnx, onnx_model

NETWORKS = [  # backbone, side, pooling, neck
    ("tf_efficientnet_lite0", 64, "avg", True),
    ("tf_efficientnet_lite1", 64, "gem", False),
    ("tf_efficientnet_lite2", 46, "avg", False),
    ("resnet18", 64, "gem", True),
    ("test_resnet", 45, "avg", False),
    ("test_vit", 160, "avg", True),
    ("test_convnext", 64, "gem", False),
    ("test_efficientnet", 64, "avg", False),
    ("test_nfnet", 96, "avg", False),
    ("test_byobnet", 64, "avg", False),
]


def graph_of(backbone: str, side: int, pooling: str, neck: bool, folder: Path) -> Path:
    embedder = Embedder(backbone, 16, pooling, neck, ["all"], None, None, (side, side)).eval()
    file = folder / "model.xml"
    write_graph(embedder, PixelSettings(height=side, width=side), file)
    return file


@pytest.mark.parametrize(("backbone", "side", "pooling", "neck"), NETWORKS)
def test_a_network_is_the_same_in_onnx(backbone: str, side: int, pooling: str, neck: bool, tmp_path: Path) -> None:
    graph = graph_of(backbone, side, pooling, neck, tmp_path)
    model = onnx_model(graph, {"who": "me"}).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (put,), (out,) = session.get_inputs(), session.get_outputs()
    assert (put.name, put.type, put.shape) == ("images", "tensor(uint8)", ["batch", side, side, 3])
    assert (out.name, out.type, out.shape) == ("embeddings", "tensor(float)", ["batch", 16])
    assert session.get_modelmeta().custom_metadata_map == {"who": "me"}
    images = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    network = OpenVinoNetwork(graph)
    expected = np.concatenate([network(images[:2]), network(images[2:])])
    for count in (1, 3, 4):
        made = session.run(None, {"images": images[:count]})[0]
        assert made.shape == (count, 16)
        assert (made * expected[:count]).sum(1).min() >= 0.999999
        assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_a_network_too_large_for_one_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("test_resnet", 32, "avg", False, tmp_path)
    monkeypatch.setattr(onnx_graph, "_LARGEST", 1000)
    with pytest.raises(PortableError, match=r"weights of \d+ bytes: expected at most 1000 .*format=openvino"):
        onnx_model(graph, {})


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_a_package_it_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PortableError, match=rf"^ONNX needs .*\(.*{package}.*\): pip install '.*\[onnx"):
        need_onnx()
