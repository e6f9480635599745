"""Networks of timm are found under any prefix, whole or not at all; two of the same tensors are told apart or named."""

import pytest

from lookalike.recognition.backbones import find_backbones
from lookalike.recognition.catalogue import Shape, outline


def shapes(name: str, prefix: str = "") -> dict[str, Shape]:
    return {f"{prefix}{tensor}": shape for tensor, shape in outline(name).items()}


@pytest.mark.parametrize("prefix", ["", "net.", "model.backbone.", "module.0."])
def test_a_network_is_found_under_any_prefix(prefix: str) -> None:
    (match,), _ = find_backbones(shapes("test_resnet", prefix))
    assert (match.architecture, match.view.prefix) == ("test_resnet", prefix)
    assert match.used == set(shapes("test_resnet", prefix))


def test_the_deepest_is_taken_and_not_a_part_of_it() -> None:
    (match,), _ = find_backbones(shapes("resnet34"))
    assert match.architecture == "resnet34"


def test_one_of_a_sequence_of_modules() -> None:
    """As `nn.Sequential` numbers them."""
    (match,), _ = find_backbones({**shapes("resnet18", "0."), "1.weight": (64, 512), "1.bias": (64,)})
    assert match.view.prefix == "0."


@pytest.mark.parametrize(
    ("name", "same", "others"),
    [
        ("resnet18", [], ["resnetblur18"]),
        ("vit_tiny_patch16_224", ["deit_tiny_patch16_224"], []),
        ("mobilenetv3_small_075", [], ["tf_mobilenetv3_small_075"]),
    ],
)
def test_networks_of_the_same_tensors_are_named(name: str, same: list[str], others: list[str]) -> None:
    (match,), _ = find_backbones(shapes(name))
    assert (match.same, match.others) == (same, others)


def test_position_embeddings_tell_apart_what_else_is_alike() -> None:
    (match,), _ = find_backbones(shapes("vit_tiny_patch16_384"))
    assert match.architecture == "vit_tiny_patch16_384"
    smaller = {**shapes("vit_tiny_patch16_224"), "pos_embed": (1, 26, 192)}
    (match,), _ = find_backbones(smaller)
    assert match.resized == ["pos_embed"]


def test_what_is_not_whole_is_near_and_says_what_is_missing() -> None:
    there = {name: shape for name, shape in shapes("resnet18", "net.").items() if name != "net.layer1.0.conv1.weight"}
    there["net.conv1.weight"] = (32, 3, 7, 7)
    matches, near = find_backbones(there)
    assert not matches
    assert near is not None
    assert near.architecture in ("resnet18", "resnetblur18")
    assert near.differences() == [
        f"net.conv1.weight is 32 x 3 x 7 x 7, {near.architecture} has 64 x 3 x 7 x 7",
        "net.layer1.0.conv1.weight is missing",
    ]
    assert find_backbones({"a.weight": (3, 3), "b.weight": (5,)}) == ([], None)
