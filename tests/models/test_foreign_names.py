"""Heads, necks and pooling by the names that projects use."""

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from foreign_networks import close, embeddings, expected, make, small, small_state, untouched
from lookalike.models.foreign import load_foreign
from lookalike.models.foreign_names import Sources, find_sources, first_names, fits, resnet_of

HEADS = (
    "fc",
    "head",
    "embedding",
    "embedder",
    "linear",
    "last_linear",
    "proj",
    "fc.0",
    "net.fc",
    "model.head",
    "model.head.0",
    "head.fc",
    "fc1",
    "something_else",
)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_by_any_name_inside_or_outside_the_backbones_prefix(name: str, tmp_path: Path) -> None:
    state = {(f"{name}.{key[3:]}" if key.startswith("fc.") else f"net.{key}"): t for key, t in small_state().items()}
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert not load_foreign(embedder, tmp_path / "w.pth").unexpected
    assert close(embeddings(embedder), expected(small(), embedder))


NECKS = ("neck", "bnneck", "bn_neck", "bottleneck", "heads.bottleneck.0", "fc.1", "net.features")


@pytest.mark.parametrize("name", NECKS)
def test_a_neck_by_any_name(name: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    neck = nn.BatchNorm1d(16)
    for tensor in (neck.weight, neck.bias, neck.running_mean, neck.running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    neck.eval()
    head = "fc.0" if name == "fc.1" else "fc"
    state = {f"net.{key}" if not key.startswith("fc.") else f"{head}.{key[3:]}": t for key, t in small_state().items()}
    state |= {f"{name}.{key}": tensor for key, tensor in neck.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    embedder = make(bn_neck=True)
    assert not load_foreign(embedder, tmp_path / "w.pth").unexpected
    assert close(embeddings(embedder), neck(expected(small(), embedder)))
    untouched(make(), tmp_path / "w.pth", rf"batch norm behind its head \({re.escape(name)}\): give model.bn_neck=true")
    without = {key: tensor for key, tensor in state.items() if key not in (f"{name}.weight", f"{name}.bias")}
    torch.save(without, tmp_path / "w.pth")
    load_foreign(embedder, tmp_path / "w.pth")
    assert embedder.neck.weight.tolist() == [1] * 16
    assert embedder.neck.bias.tolist() == [0] * 16


@pytest.mark.parametrize("name", ["gem.p", "pool.p", "net.global_pool.p", "pooling.power"])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_power_of_gem(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.save({**small_state(), name: torch.full(shape, 4.5)}, tmp_path / "w.pth")
    embedder = make(pooling="gem")
    load_foreign(embedder, tmp_path / "w.pth")
    assert embedder.backbone.global_pool.power.item() == 4.5
    untouched(make(), tmp_path / "w.pth", rf"pools with GeM \({re.escape(name)}\): give model\.pooling=gem")


@pytest.mark.parametrize("classes", [1000, 21841])
def test_an_imagenet_classifier_is_no_head(classes: int, tmp_path: Path) -> None:
    state = {**small_state(), "fc.weight": torch.zeros(classes, small().num_features), "fc.bias": torch.zeros(classes)}
    torch.save(state, tmp_path / "w.pth")
    text = untouched(make(), tmp_path / "w.pth", r"no head in the file: give model\.embedding_size=null")
    assert "2 missing in the file: head.weight, head.bias" in text
    assert "2 in the file not used: fc.weight, fc.bias" in text


def test_a_classifier_beside_the_head_is_not_taken_for_it(tmp_path: Path) -> None:
    width = small().num_features
    state = {
        "classifier.weight": torch.ones(16, width),
        "criterion.fc.weight": torch.ones(16, width),
        "arcface.weight": torch.ones(16, width),
        **small_state(),
    }
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert load_foreign(embedder, tmp_path / "w.pth").unexpected == list(state)[:3]
    assert close(embeddings(embedder), expected(small(), embedder))
    for part in ("weight", "bias"):
        state.pop(f"fc.{part}")
    torch.save(state, tmp_path / "w.pth")
    untouched(make(), tmp_path / "w.pth", "no head in the file")


def test_a_head_of_several_layers_is_refused(tmp_path: Path) -> None:
    state, width = small_state(), small().num_features
    head = {
        "fc.0.weight": torch.ones(width, width),
        "fc.2.weight": state.pop("fc.weight"),
        "fc.2.bias": state["fc.bias"],
    }
    torch.save({**state, **head}, tmp_path / "w.pth")
    untouched(
        make(), tmp_path / "w.pth", r"fc in the file has several linear layers \(fc\.0, fc\.2\), the head here is"
    )


def block() -> nn.Sequential:
    """Linear and batch norm, as the person re-identification baseline of L. Zheng writes them."""
    torch.manual_seed(5)
    layers = nn.Sequential(nn.Linear(small().num_features, 16), nn.BatchNorm1d(16))
    for tensor in (layers[1].weight, layers[1].bias, layers[1].running_mean, layers[1].running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    return layers.eval()


@pytest.mark.parametrize(
    "name", ["classifier.add_block", "classif.embedding", "classifier.bottleneck", "head.reduction"]
)
def test_a_head_inside_the_classifier(name: str, tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in small_state().items() if not key.startswith("fc.")}
    state |= {f"{name}.{key}": tensor for key, tensor in block().state_dict().items()}
    state |= {"classifier.classifier.weight": torch.ones(7, 16), "classifier.classifier.bias": torch.ones(7)}
    torch.save(state, tmp_path / "w.pth")
    untouched(make(), tmp_path / "w.pth", rf"batch norm behind its head \({name}\.1\): give model\.bn_neck=true")
    embedder = make(bn_neck=True)
    assert load_foreign(embedder, tmp_path / "w.pth").unexpected == list(state)[-2:]
    features = timm.create_model("test_resnet", num_classes=0).eval()
    features.load_state_dict(state, strict=False)
    assert close(embeddings(embedder), block()(expected(features, embedder)))


@pytest.mark.parametrize("name", ["fc", "embedding.0", "reduction", "something"])
def test_a_head_that_is_a_convolution_of_one_pixel(name: str, tmp_path: Path) -> None:
    state = small_state()
    weight, bias = state.pop("fc.weight"), state.pop("fc.bias")
    torch.save({**state, f"{name}.weight": weight[:, :, None, None], f"{name}.bias": bias}, tmp_path / "w.pth")
    embedder = make()
    assert not load_foreign(embedder, tmp_path / "w.pth").unexpected
    assert close(embeddings(embedder), expected(small(), embedder))
    untouched(make(embedding_size=8), tmp_path / "w.pth", rf"{name}\b.* give model\.embedding_size=16\b.*null for the")


WIDTH = small().num_features
OTHER_NETWORKS = {
    "a head per part": {f"parts.{part}.0.weight": torch.ones(16, WIDTH, 1, 1) for part in range(6)},
    "two heads": {"left.weight": torch.ones(16, WIDTH), "right.weight": torch.ones(16, WIDTH)},
    "a head of another name and size": {"something.weight": torch.ones(24, WIDTH)},
    "attention": {"fc.weight": torch.ones(16, WIDTH), "attention.conv.weight": torch.ones(1, 2, 7, 7)},
    "a second stage": {"fc.weight": torch.ones(16, WIDTH), "post.0.weight": torch.ones(5, 9)},
    "a batch norm elsewhere": {"fc.weight": torch.ones(16, WIDTH), "input_bn.running_mean": torch.ones(3)},
}


@pytest.mark.parametrize("what", OTHER_NETWORKS)
def test_layers_that_have_no_place_are_told_and_never_left_out_in_silence(what: str, tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in small_state().items() if not key.startswith("fc.")}
    torch.save({**state, **OTHER_NETWORKS[what]}, tmp_path / "w.pth")
    text = untouched(make(), tmp_path / "w.pth", r"model\.embedding_size=null")
    assert "no head in the file" not in text
    assert next(name for name in OTHER_NETWORKS[what] if "fc" not in name).rpartition(".")[0] in text


def test_without_a_head_that_of_the_file_is_told(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "w.pth")
    text = str(load_foreign(make(embedding_size=None), tmp_path / "w.pth"))
    assert (
        f"the file's own head is left out, as no head is asked for (model.embedding_size=null): fc (16 x {WIDTH})"
        in text
    )


@pytest.mark.parametrize(
    "names",
    [("student", "teacher"), ("teacher", "student"), ("model_ema", "model"), ("module.encoder_q", "module.encoder_k")],
)
def test_of_two_copies_the_trained_one_is_taken_whole(names: tuple[str, str], tmp_path: Path) -> None:
    good = next(name for name in names if name in ("student", "model", "module.encoder_q"))
    state = {
        f"{name}.{key}": tensor if name == good else tensor + 1
        for name in names
        for key, tensor in small_state().items()
    }
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert load_foreign(embedder, tmp_path / "w.pth").prefix == f"{good}."
    assert close(embeddings(embedder), expected(small(), embedder))


def test_a_transformers_projections_are_no_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=0)
    state = {f"{name}.{key}": t for name in ("student", "teacher") for key, t in network.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    untouched(make("test_vit", embedding_size=network.num_features), tmp_path / "w.pth", "no head in the file")


def test_a_backbones_old_buffers_are_only_unexpected(tmp_path: Path) -> None:
    torch.save({**small_state(), "layer1.0.attn_mask": torch.ones(3)}, tmp_path / "w.pth")
    assert load_foreign(make(), tmp_path / "w.pth").unexpected == ["layer1.0.attn_mask"]


def sources(tensors: dict[str, Tensor], **settings: Any) -> Sources:
    return find_sources(make(**settings), tensors)


def test_sources_say_where_every_part_stands() -> None:
    state = {f"net.{name}": tensor for name, tensor in small_state().items()}
    neck = {f"bnneck.{name}": tensor for name, tensor in nn.BatchNorm1d(16).state_dict().items()}
    places = sources({**state, **neck, "gem.p": torch.ones(1)}, bn_neck=True, pooling="gem")
    assert (places.prefix, places.deeper, places.notes) == ("net.", False, [])
    assert places.names["head.weight"] == "net.fc.weight"
    assert places.names["neck.running_mean"] == "bnneck.running_mean"
    assert [places.names[name] for name in places.powers] == ["gem.p"]
    assert set(places.names) == set(make(bn_neck=True, pooling="gem").state_dict())
    assert {places.names[name] for name in places.names if name.startswith("backbone.layer1")} <= set(state)


def test_sources_change_neither_embedder_nor_tensors() -> None:
    embedder, tensors = make(pooling="gem"), {**small_state(), "gem.p": torch.ones(1)}
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    find_sources(embedder, tensors)
    assert all(torch.equal(tensor, before[name]) for name, tensor in embedder.state_dict().items())
    assert list(tensors) == [*small_state(), "gem.p"]
    assert tensors["gem.p"].shape == (1,)


def test_sources_of_a_file_of_something_else_are_empty_of_head_and_prefix() -> None:
    places = sources({"x": torch.ones(3), "loss.W": torch.ones(16, 5)})
    assert (places.prefix, places.deeper, places.notes) == ("", False, [])
    assert "head.weight" not in places.names


def test_without_a_head_nothing_is_taken_for_one() -> None:
    assert not [name for name in sources(small_state(), embedding_size=None).names if name.startswith("head")]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
def test_a_resnet_is_told_by_its_layers(backbone: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=0)
    state = network.state_dict()
    assert resnet_of(state) == backbone
    assert resnet_of({f"a.b.{name}": tensor for name, tensor in state.items()}) == backbone
    assert resnet_of({name: tensor for name, tensor in state.items() if not name.startswith("layer3")}) == ""


@pytest.mark.parametrize("backbone", ["wide_resnet50_2", "test_efficientnet", "test_vit"])
def test_other_networks_are_no_resnet(backbone: str) -> None:
    with torch.device("meta"):
        assert resnet_of(timm.create_model(backbone, num_classes=0).state_dict()) == ""


def test_a_tensor_fits_by_shape_and_kind_of_number() -> None:
    assert fits(torch.ones(2, dtype=torch.float16), torch.ones(2))
    assert not fits(torch.ones(2, 1), torch.ones(2))
    assert not fits(torch.ones(2, dtype=torch.int64), torch.ones(2))


def test_names_for_a_sentence_are_few_and_short() -> None:
    assert first_names(["a", "b"]) == "a, b"
    assert first_names([]) == ""
    assert first_names(["x" * 500, *"abcdef"]) == f"{'x' * 100}, a, b, c, and 3 more"
