"""What stands behind a backbone of a project that is not known: taken, left out, or asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lookalike.recognition.contents import Contents
from lookalike.recognition.heads import Head, sides
from lookalike.recognition.unknown_heads import read_unknown_head

W = 16


def layer(stem: str, out: int, entering: int = W) -> dict[str, Tensor]:
    return {f"{stem}.weight": torch.ones(out, entering), f"{stem}.bias": torch.ones(out)}


def norm(stem: str, size: int = W) -> dict[str, Tensor]:
    return {f"{stem}.{part}": torch.ones(size) for part in ("weight", "bias", "running_mean", "running_var")}


def read(tensors: dict[str, Tensor], size: Any = "auto", neck: bool | None = None, **saved: Any) -> Head:
    return read_unknown_head(Contents(Path("a"), tensors, saved=saved), list(tensors), W, size, neck)


def test_saved_sizes_tell_a_head_from_a_classifier() -> None:
    assert [part.stem for part in read(layer("fc", 8), embedding_size=8).layers] == ["fc"]
    assert read(layer("fc", 8), num_classes=8).left_out == ["fc.weight", "fc.bias"]
    assert read(layer("fc", 8), num_classes=8).settled == "num_classes in the file"
    for saved in ({"embedding_size": 9}, {"embedding_size": 8, "num_classes": 8}, {"feat_dim": 8, "out_dim": 4}):
        assert read(layer("fc", 8), **saved).doubtful == ("fc", 8), saved
    assert read(layer("fc", W), feat_dim=W).doubtful == ("fc", W), "it may be the backbone's own width"


@pytest.mark.parametrize("name", ["projector", "net.projection_head", "proj"])
def test_a_projector_is_asked_for_unless_a_loss_takes_what_it_gives(name: str) -> None:
    assert read(layer(name, 8)).doubtful == (name, 8)
    assert read(layer(name, 8)).projector
    assert [part.stem for part in read(layer(name, 8) | {"loss.W": torch.ones(8, 30)}).layers] == [name]


@pytest.mark.parametrize(
    ("tensors", "stems"),
    [
        ({}, []),
        (layer("net.embedding", 8), ["net.embedding"]),
        (layer("net.fc", 8) | {"loss.W": torch.ones(8, 30)}, ["net.fc"]),
        (norm("net.bottleneck") | layer("net.classifier", 30), ["net.bottleneck"]),
        (layer("net.fc.0", 8) | norm("net.fc.1", 8), ["net.fc.0", "net.fc.1"]),
        (norm("net.bn", 8) | layer("net.embedder", 8), ["net.embedder", "net.bn"]),
        (layer("net.fc", 1000), []),
        (layer("net.embedding", 8) | layer("net.classifier", 30, 8), ["net.embedding"]),
        ({"proj": torch.ones(W, 4)}, ["proj"]),
    ],
)
def test_what_leaves_no_doubt_is_taken(tensors: dict[str, Tensor], stems: list[str]) -> None:
    head = read(tensors)
    assert [part.stem for part in head.layers] == stems
    assert (head.unexplained, head.problem, head.doubtful) == ([], "", None)


def test_a_layer_that_may_be_either_is_asked_for_and_settled_by_a_size() -> None:
    assert read(layer("fc", 8)).doubtful == ("fc", 8)
    assert [part.stem for part in read(layer("fc", 8), 8).layers] == ["fc"]
    assert read(layer("fc", 8), None).left_out == ["fc.weight", "fc.bias"]


def test_the_side_of_a_loss_that_counts_classes_is_no_width() -> None:
    before = read(layer("net.fc", 30) | {"loss.weight": torch.ones(40, W)})
    assert (before.layers, before.doubtful) == ([], None)
    assert before.left_out == ["loss.weight", "net.fc.weight", "net.fc.bias"]
    for shape in ((30, W), (W, 30)):  # 30 classes and no head, or a head of 30 and W classes
        either = read(layer("net.fc", 30) | {"arcface.weight": torch.ones(shape)})
        assert (either.layers, either.doubtful) == ([], ("net.fc", 30))
    named = read(layer("net.fc", 30) | layer("net.embedding", 8) | {"arcface.weight": torch.ones(30, 8)})
    assert [part.stem for part in named.layers] != ["net.fc"]


def test_a_neck_can_be_left_out() -> None:
    assert [part.kind for part in read(norm("bottleneck"), neck=None).layers] == ["batch norm"]
    assert read(norm("bottleneck"), neck=None).two_sides == "bottleneck"
    assert read(norm("bottleneck"), neck=True).two_sides == ""
    assert read(layer("embedding", 8) | norm("bn", 8), neck=None).two_sides == ""
    inner = norm("bn") | layer("embedding", 8) | norm("features_bn", 8)
    assert [part.stem for part in read(inner, neck=False).layers] == ["bn", "embedding"]
    assert not read(norm("bottleneck"), neck=False).layers


def test_two_linear_layers_and_what_fits_nothing_are_no_head() -> None:
    assert (
        "several linear layers (projector.0, projector.2)"
        in read(layer("projector.0", 8) | layer("projector.2", 4, 8)).problem
    )
    assert read(layer("net.other", 5, 7)).unexplained == ["net.other.weight", "net.other.bias"]
    assert sides(layer("a", 5, 7), "a") == (7, 5)
