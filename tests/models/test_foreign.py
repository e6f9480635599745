"""Checkpoints of torchvision, timm and others: the embeddings must be those of the network that wrote them."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from lookalike.errors import ModelError
from lookalike.models.checkpoint_tensors import TensorsError
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import Match, load_foreign


def images(count: int = 3, side: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def lived(network: nn.Module, side: int = 96) -> nn.Module:
    """Gives batch norms statistics and weights that differ from a new network's."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, side, side))
    return network.eval()


@functools.cache
def vision() -> nn.Module:
    """torchvision's ResNet18 with `fc` of 128."""
    torch.manual_seed(1)
    network = torchvision.models.resnet18(weights=None)
    network.fc = nn.Linear(512, 128)
    return lived(network)


@functools.cache
def small(bias: bool = True) -> nn.Module:
    torch.manual_seed(2)
    network = timm.create_model("test_resnet", num_classes=0)
    network.fc = nn.Linear(network.num_features, 16, bias=bias)
    return lived(network)


def small_state(bias: bool = True) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in small(bias).state_dict().items()}


def make(backbone: str = "test_resnet", **settings: Any) -> Embedder:
    torch.manual_seed(9)
    return Embedder(backbone, **{"embedding_size": 16, **settings})


def theirs(network: nn.Module, embedder: Embedder) -> Tensor:
    pixels = (images().permute(0, 3, 1, 2) / 255 - embedder.mean / 255) / (embedder.std / 255)
    with torch.no_grad():
        output: Tensor = network(pixels)
    return output


def ours(embedder: Embedder) -> Tensor:
    with torch.no_grad():
        return embedder.eval()(images())


def close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5, rtol=1e-5)


def lightning(state: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    return {
        "epoch": 120, "pytorch-lightning_version": "2.5.0",
        "state_dict": {**{prefix + name: tensor for name, tensor in state.items()}, "loss.W": torch.randn(128, 10)},
        "hyper_parameters": {"optimizer": functools.partial(torch.optim.AdamW, lr=1e-3), "net": "resnet18"},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "net.", "model.", "backbone.", "model.backbone.", "module.net._orig_mod."])
def test_a_torchvision_resnet_gives_torchvisions_embeddings(prefix: str, tmp_path: Path) -> None:
    torch.save(lightning(vision().state_dict(), prefix), tmp_path / "w.ckpt")
    embedder = make("resnet18", embedding_size=128, trainable=["layer4", "head"])
    assert not close(ours(embedder), theirs(vision(), embedder))
    match = load_foreign(embedder, tmp_path / "w.ckpt")
    assert close(ours(embedder), theirs(vision(), embedder))
    assert (match.missing, match.unexpected, match.reshaped, match.prefix) == ([], ["loss.W"], [], prefix)
    assert set(match.matched) == set(embedder.state_dict())
    told = f"prefix {prefix}" if prefix else "no prefix"
    assert str(match) == f"122 of 122 tensors of the embedder matched ({told}); 1 in the file not used: loss.W"


def test_a_timm_resnet_and_its_own_features(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = lived(timm.create_model("resnet18", num_classes=1000))
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    embedder = make("resnet18", embedding_size=128)
    text = (
        r"no head in the file: give model\.embedding_size=null for the backbone's own features; or allow_partial=true"
    )
    with pytest.raises(ModelError, match=text):
        load_foreign(embedder, tmp_path / "w.safetensors")
    embedder = make("resnet18", embedding_size=None)
    match = load_foreign(embedder, tmp_path / "w.safetensors")
    assert match.unexpected == ["fc.bias", "fc.weight"]
    network.reset_classifier(0)
    assert close(ours(embedder), theirs(network, embedder))


HEADS = ("fc", "head", "embedding", "embedder", "linear", "last_linear", "proj", "fc.0", "net.fc", "model.head",
         "model.head.0", "head.fc", "fc1", "something_else")  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_a_head_by_any_name_inside_or_outside_the_backbones_prefix(name: str, tmp_path: Path) -> None:
    state = {(f"{name}.{key[3:]}" if key.startswith("fc.") else f"net.{key}"): t for key, t in small_state().items()}
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert not load_foreign(embedder, tmp_path / "w.pth").unexpected
    assert close(ours(embedder), theirs(small(), embedder))


def test_a_head_without_bias_has_a_bias_of_zero(tmp_path: Path) -> None:
    torch.save(small_state(bias=False), tmp_path / "w.pth")
    embedder = make()
    assert "head.bias" not in load_foreign(embedder, tmp_path / "w.pth").missing
    assert not embedder.head.bias.any()
    assert close(ours(embedder), theirs(small(bias=False), embedder))


def test_a_file_from_before_batch_norm_counted(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in small_state().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    match = load_foreign(embedder, tmp_path / "w.pth")
    assert (match.missing, len(match.matched)) == ([], len(state))
    assert close(ours(embedder), theirs(small(), embedder))


def test_half_precision_becomes_float(tmp_path: Path) -> None:
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in small_state().items()}, tmp_path / "w.pth")
    embedder = make()
    load_foreign(embedder, tmp_path / "w.pth")
    assert {tensor.dtype for tensor in embedder.parameters()} == {torch.float32}
    assert torch.allclose(ours(embedder), theirs(small(), embedder), atol=2e-2)


@pytest.mark.parametrize("settings", [{}, {"bn_neck": True}, {"pooling": "gem", "bn_neck": True},
                                      {"embedding_size": None}, {"embedding_size": None, "bn_neck": True}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "embedder."])
def test_our_own_weights_come_back(prefix: str, settings: dict[str, Any], tmp_path: Path) -> None:
    source = make(**settings)
    lived(source.backbone)
    for name, tensor in source.state_dict().items():
        if not name.startswith("backbone.") or name.endswith("power"):
            torch.nn.init.uniform_(tensor, 1, 2) if tensor.is_floating_point() else tensor.fill_(3)
    state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    torch.save({"state_dict": {**state, "loss.loss.W": torch.ones(16, 5)}}, tmp_path / "last.ckpt")
    embedder = make(**settings)
    match = load_foreign(embedder, tmp_path / "last.ckpt")
    assert match.prefix == f"{prefix}backbone."
    assert (match.missing, match.unexpected, match.reshaped) == ([], ["loss.loss.W"], [])
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in embedder.state_dict().items())


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
    assert close(ours(embedder), neck(theirs(small(), embedder)))
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


def untouched(embedder: Embedder, file: Path, match: str, **settings: Any) -> str:
    """Refused with this text, in one line, and the embedder is as before."""
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    with pytest.raises(ModelError, match=match) as told:
        load_foreign(embedder, file, **settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in embedder.state_dict().items())
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(f"{file}: ")
    return str(told.value)


def test_another_head_size_names_the_setting(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "w.pth")
    width = small().num_features
    text = untouched(make(embedding_size=8), tmp_path / "w.pth", r"give model\.embedding_size=16, or null for")
    assert f"head.weight is 16 x {width} in the file (fc.weight), 8 x {width} here: give" in text
    assert f"2 of another shape: head.weight (file 16 x {width}, here 8 x {width}), head.bias (file 16, here 8)" in text


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
        "classifier.weight": torch.ones(16, width), "criterion.fc.weight": torch.ones(16, width),
        "arcface.weight": torch.ones(16, width), **small_state(),
    }  # fmt: skip
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert load_foreign(embedder, tmp_path / "w.pth").unexpected == list(state)[:3]
    assert close(ours(embedder), theirs(small(), embedder))
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


def test_a_neck_or_power_that_the_file_has_not(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "w.pth")
    text = untouched(
        make(bn_neck=True), tmp_path / "w.pth", r"no batch norm behind the head in the file: give .*=false"
    )
    assert "4 missing in the file: neck.weight, neck.bias, neck.running_mean, neck.running_var" in text
    untouched(make(pooling="gem"), tmp_path / "w.pth", r"no power of GeM pooling in the file: give model\.pooling=avg")


@pytest.mark.parametrize(
    ("backbone", "text"),
    [
        ("resnet50", r"another backbone than resnet18: its names look like resnet50: give model\.backbone=resnet50"),
        ("resnet34", r"the file is of another backbone than resnet18: its names look like resnet34"),
        ("wide_resnet50_2", r"the file is of another backbone than resnet18: give its model\.backbone"),
        ("test_efficientnet", r"of another backbone than resnet18: give its model\.backbone"),
    ],
)
def test_another_architecture_is_refused_with_the_list(backbone: str, text: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save({"model": timm.create_model(backbone, num_classes=10).state_dict()}, tmp_path / "w.pth")
    told = untouched(make("resnet18", embedding_size=128), tmp_path / "w.pth", text)
    assert re.search(r": \d+ of \d+ tensors of the embedder matched \(", told)
    assert re.search(r"\d+ (missing in the file|of another shape|in the file not used): \S+.* and \d+ more", told)
    assert len(told) < 1500


def test_a_larger_network_of_the_same_names_holds_the_smaller_one_not(tmp_path: Path) -> None:
    """All tensors of ResNet18 are also in ResNet34, which is another network."""
    torch.save(timm.create_model("resnet34", num_classes=0).state_dict(), tmp_path / "w.pth")
    untouched(make("resnet18", embedding_size=None), tmp_path / "w.pth", "its names look like resnet34")


def test_one_missing_tensor_is_enough_to_refuse_and_partial_loads_the_rest(tmp_path: Path) -> None:
    state = small_state()
    state.pop("layer3.0.conv1.weight")
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:1].clone()
    torch.save(state, tmp_path / "w.pth")
    told = untouched(make(), tmp_path / "w.pth", r"; or allow_partial=true to load what fits$")
    assert "1 missing in the file: backbone.layer3.0.conv1.weight; 1 of another shape: backbone.layer2.0.conv1" in told
    embedder = make()
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    match = load_foreign(embedder, tmp_path / "w.pth", allow_partial=True)
    assert match.missing == ["backbone.layer3.0.conv1.weight"]
    assert [name for name, *_ in match.reshaped] == ["backbone.layer2.0.conv1.weight"]
    for name, tensor in embedder.state_dict().items():
        kept = name in (match.missing[0], match.reshaped[0][0])
        assert torch.equal(
            tensor, before[name] if kept else state[name.removeprefix("backbone.").replace("head", "fc")]
        )


def test_partial_takes_a_backbone_without_head(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in small_state().items() if not name.startswith("fc.")}
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    head = embedder.head.weight.clone()
    assert load_foreign(embedder, tmp_path / "w.pth", allow_partial=True).missing == ["head.weight", "head.bias"]
    assert torch.equal(embedder.head.weight, head)
    assert torch.equal(embedder.backbone.conv1[0].weight if isinstance(embedder.backbone.conv1, nn.Sequential)
                       else embedder.backbone.conv1.weight, next(iter(state.values())))  # fmt: skip


@pytest.mark.parametrize("allow_partial", [True, False])
def test_nothing_in_common_is_refused_even_as_partial(allow_partial: bool, tmp_path: Path) -> None:
    torch.save({"fc.weight": small_state()["fc.weight"], "x": torch.ones(3)}, tmp_path / "w.pth")
    text = r"nothing in it is of this embedder: .*; the file is of another backbone than test_resnet: give its model\."
    untouched(make(), tmp_path / "w.pth", text, allow_partial=allow_partial)


@pytest.mark.parametrize("names", [("student", "teacher"), ("teacher", "student"), ("model_ema", "model"),
                                   ("module.encoder_q", "module.encoder_k")])  # fmt: skip
def test_of_two_copies_the_trained_one_is_taken_whole(names: tuple[str, str], tmp_path: Path) -> None:
    good = next(name for name in names if name in ("student", "model", "module.encoder_q"))
    state = {
        f"{name}.{key}": tensor if name == good else tensor + 1
        for name in names for key, tensor in small_state().items()
    }  # fmt: skip
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert load_foreign(embedder, tmp_path / "w.pth").prefix == f"{good}."
    assert close(ours(embedder), theirs(small(), embedder))


def test_a_transformers_projections_are_no_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=0)
    state = {f"{name}.{key}": t for name in ("student", "teacher") for key, t in network.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    untouched(make("test_vit", embedding_size=network.num_features), tmp_path / "w.pth", "no head in the file")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    state = small_state()
    state["layer4.0.conv1.weight"][0] = value
    torch.save(state, tmp_path / "w.pth")
    untouched(make(), tmp_path / "w.pth", r"found nan or inf in 1 tensors \(backbone\.layer4\.0\.conv1\.weight\): its")


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(TensorsError, match="an empty file"):
        load_foreign(make(), tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "2 of 2 tensors of the embedder matched (prefix net.)"),
        ({"missing": ["c"]}, "2 of 3 tensors of the embedder matched (prefix net.); 1 missing in the file: c"),
        ({"unexpected": list("abcdef")}, "2 of 2 tensors of the embedder matched (prefix net.); "
                                         "6 in the file not used: a, b, c, d, and 2 more"),
        ({"reshaped": [("h", (1, 2), ())]}, "2 of 3 tensors of the embedder matched (prefix net.); 1 of another shape: "
                                            "h (file 1 x 2, here one value)"),
    ],
)  # fmt: skip
def test_a_match_reads_well(change: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"missing": [], "unexpected": [], "reshaped": [], **change}
    assert str(Match(["a", "b"], prefix="net.", **values)) == text


def test_the_tests_networks_differ_from_new_ones() -> None:
    check: Callable[[nn.Module], bool] = lambda network: any(  # noqa: E731
        part.running_mean.abs().sum() > 0 for part in network.modules() if isinstance(part, nn.BatchNorm2d)
    )
    assert check(small())
    assert check(vision())


def test_a_backbones_old_buffers_are_only_unexpected(tmp_path: Path) -> None:
    torch.save({**small_state(), "layer1.0.attn_mask": torch.ones(3)}, tmp_path / "w.pth")
    assert load_foreign(make(), tmp_path / "w.pth").unexpected == ["layer1.0.attn_mask"]
