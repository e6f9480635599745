"""Checkpoints of torchvision, timm and others: the embeddings must be those of the network that wrote them."""

import functools
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from foreign_networks import close, embeddings, expected, lived, make, small, small_state, untouched, vision
from lookalike.errors import ModelError
from lookalike.models.checkpoint_tensors import TensorsError
from lookalike.models.foreign import Match, load_foreign


def lightning(state: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    return {
        "epoch": 120,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {**{prefix + name: tensor for name, tensor in state.items()}, "loss.W": torch.randn(128, 10)},
        "hyper_parameters": {"optimizer": functools.partial(torch.optim.AdamW, lr=1e-3), "net": "resnet18"},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
    }


@pytest.mark.parametrize("prefix", ["", "net.", "model.", "backbone.", "model.backbone.", "module.net._orig_mod."])
def test_a_torchvision_resnet_gives_torchvisions_embeddings(prefix: str, tmp_path: Path) -> None:
    torch.save(lightning(vision().state_dict(), prefix), tmp_path / "w.ckpt")
    embedder = make("resnet18", embedding_size=128, trainable=["layer4", "head"])
    assert not close(embeddings(embedder), expected(vision(), embedder))
    match = load_foreign(embedder, tmp_path / "w.ckpt")
    prefix = prefix.replace("_orig_mod.", "")  # of torch.compile: no part of the network
    assert close(embeddings(embedder), expected(vision(), embedder))
    assert (match.missing, match.unexpected, match.reshaped, match.prefix) == ([], ["loss.W"], [], prefix)
    assert set(match.matched) == set(embedder.state_dict())
    where = f"prefix {prefix}" if prefix else "no prefix"
    assert str(match) == f"122 of 122 tensors of the embedder matched ({where}); 1 in the file not used: loss.W"


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
    assert close(embeddings(embedder), expected(network, embedder))


def test_a_head_without_bias_has_a_bias_of_zero(tmp_path: Path) -> None:
    torch.save(small_state(bias=False), tmp_path / "w.pth")
    embedder = make()
    assert "head.bias" not in load_foreign(embedder, tmp_path / "w.pth").missing
    assert not embedder.head.bias.any()
    assert close(embeddings(embedder), expected(small(bias=False), embedder))


def test_a_file_from_before_batch_norm_counted(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in small_state().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    match = load_foreign(embedder, tmp_path / "w.pth")
    assert (match.missing, len(match.matched)) == ([], len(state))
    assert close(embeddings(embedder), expected(small(), embedder))


def test_half_precision_becomes_float(tmp_path: Path) -> None:
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in small_state().items()}, tmp_path / "w.pth")
    embedder = make()
    load_foreign(embedder, tmp_path / "w.pth")
    assert {tensor.dtype for tensor in embedder.parameters()} == {torch.float32}
    assert torch.allclose(embeddings(embedder), expected(small(), embedder), atol=2e-2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bn_neck": True},
        {"pooling": "gem", "bn_neck": True},
        {"embedding_size": None},
        {"embedding_size": None, "bn_neck": True},
    ],
    ids=str,
)
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


def test_another_head_size_names_the_setting(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "w.pth")
    width = small().num_features
    text = untouched(make(embedding_size=8), tmp_path / "w.pth", r"give model\.embedding_size=16, or null for")
    assert f"head.weight is 16 x {width} in the file (fc.weight), 8 x {width} here: give" in text
    assert f"2 of another shape: head.weight (file 16 x {width}, here 8 x {width}), head.bias (file 16, here 8)" in text


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
    whole = untouched(make("resnet18", embedding_size=128), tmp_path / "w.pth", text)
    assert re.search(r": \d+ of \d+ tensors of the embedder matched \(", whole)
    assert re.search(r"\d+ (missing in the file|of another shape|in the file not used): \S+.* and \d+ more", whole)
    assert len(whole) < 1500


def test_a_larger_network_of_the_same_names_holds_the_smaller_one_not(tmp_path: Path) -> None:
    """All tensors of ResNet18 are also in ResNet34, which is another network."""
    torch.save(timm.create_model("resnet34", num_classes=0).state_dict(), tmp_path / "w.pth")
    untouched(make("resnet18", embedding_size=None), tmp_path / "w.pth", "its names look like resnet34")


def test_one_missing_tensor_is_enough_to_refuse_and_partial_loads_the_rest(tmp_path: Path) -> None:
    state = small_state()
    state.pop("layer3.0.conv1.weight")
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:1].clone()
    torch.save(state, tmp_path / "w.pth")
    text = untouched(make(), tmp_path / "w.pth", r"; or allow_partial=true to load what fits$")
    assert "1 missing in the file: backbone.layer3.0.conv1.weight; 1 of another shape: backbone.layer2.0.conv1" in text
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
    assert torch.equal(
        embedder.backbone.conv1[0].weight
        if isinstance(embedder.backbone.conv1, nn.Sequential)
        else embedder.backbone.conv1.weight,
        next(iter(state.values())),
    )


@pytest.mark.parametrize("allow_partial", [True, False])
def test_nothing_in_common_is_refused_even_as_partial(allow_partial: bool, tmp_path: Path) -> None:
    torch.save({"fc.weight": small_state()["fc.weight"], "x": torch.ones(3)}, tmp_path / "w.pth")
    text = r"nothing in it is of this embedder: .*; the file is of another backbone than test_resnet: give its model\."
    untouched(make(), tmp_path / "w.pth", text, allow_partial=allow_partial)


SEQUENCES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "all children": lambda network: nn.Sequential(*network.children()),
    "features and head": lambda network: nn.Sequential(
        OrderedDict(base=nn.Sequential(*list(network.children())[:-1]), fc=network.fc)
    ),
    "nested": lambda network: nn.Sequential(nn.Sequential(*list(network.children())[:-2]), nn.Flatten(), network.fc),
    "layer0": lambda network: nn.ModuleDict(
        {"layer0": nn.Sequential(*list(network.children())[:4]), **dict(list(network.named_children())[4:])}
    ),
    "stem": lambda network: nn.ModuleDict(
        {"stem": nn.Sequential(*list(network.children())[:4]), **dict(list(network.named_children())[4:])}
    ),
}


@pytest.mark.parametrize("layout", SEQUENCES)
def test_a_resnet_whose_children_were_put_in_a_sequence(layout: str, tmp_path: Path) -> None:
    torch.save({"state_dict": SEQUENCES[layout](vision()).state_dict()}, tmp_path / "w.ckpt")
    embedder = make("resnet18", embedding_size=128)
    match = load_foreign(embedder, tmp_path / "w.ckpt")
    assert (match.missing, match.unexpected, match.reshaped) == ([], [], [])
    assert close(embeddings(embedder), expected(vision(), embedder))


def test_a_sequence_of_another_resnet_is_told(tmp_path: Path) -> None:
    network = timm.create_model("resnet34", num_classes=0)
    torch.save(nn.Sequential(*network.children()).state_dict(), tmp_path / "w.pth")
    text = r"another backbone than resnet18: its names look like resnet34: give model\.backbone=resnet34"
    untouched(make("resnet18", embedding_size=None), tmp_path / "w.pth", text)
    load_foreign(make("resnet34", embedding_size=None), tmp_path / "w.pth")


WRAPPED = {
    "compiled stage": ("layer2.", "layer2._orig_mod."),
    "compiled block": ("layer3.0.", "layer3.0._orig_mod."),
    "sharded": ("layer1.", "_fsdp_wrapped_module.layer1._fsdp_wrapped_module."),
    "recomputed": ("layer4.0.", "layer4.0._checkpoint_wrapped_module."),
}


@pytest.mark.parametrize("what", WRAPPED)
def test_names_that_torch_puts_inside_names_are_no_part_of_them(what: str, tmp_path: Path) -> None:
    inside, written = WRAPPED[what]
    state = {name.replace(inside, written): tensor for name, tensor in small_state().items()}
    assert set(state) != set(small_state())
    torch.save(state, tmp_path / "w.pth")
    embedder = make()
    assert load_foreign(embedder, tmp_path / "w.pth").prefix == ""
    assert close(embeddings(embedder), expected(small(), embedder))


def moved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor + 0.01 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


SETS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "timm": (lambda own, average: {"state_dict": own, "state_dict_ema": average}, "state_dict_ema"),
    "ema": (lambda own, average: {"model": own, "ema": {"module": average, "updates": 3}}, "ema.module"),
    "model_ema": (lambda own, average: {"model": own, "optimizer": {}, "model_ema": average}, "model_ema"),
    "Lightning": (lambda own, average: {"state_dict": own, "current_model_state": average}, "current_model_state"),
    "callback": (lambda own, average: {"state_dict": own, "callbacks": {"EMA": {"w": average}}}, "callbacks.EMA.w"),
    "prefix": (
        lambda own, average: {
            "state_dict": {f"{a}.{k}": v for a, d in (("net", own), ("swa", average)) for k, v in d.items()}
        },
        "swa",
    ),
}


@pytest.mark.parametrize("layout", SETS)
def test_several_sets_of_weights_are_told_and_each_can_be_taken(layout: str, tmp_path: Path) -> None:
    content, key = SETS[layout]
    own, average = small_state(), moved(small_state())
    torch.save(content(own, average), tmp_path / "w.ckpt")
    embedder, other = make(), make()
    text = str(load_foreign(embedder, tmp_path / "w.ckpt"))
    assert close(embeddings(embedder), expected(small(), embedder))
    assert "several sets of weights in the file: taken are" in text
    assert f"there are also {key}: ckpt_key={key} takes these" in text
    load_foreign(other, tmp_path / "w.ckpt", key=key)
    assert torch.equal(other.state_dict()["head.weight"], average["fc.weight"])
    assert torch.equal(other.state_dict()["backbone.layer1.0.conv1.weight"], average["layer1.0.conv1.weight"])
    with pytest.raises(TensorsError, match=rf"ckpt_key=nope: no such weights in it: it has [^\n]*{key}"):
        load_foreign(other, tmp_path / "w.ckpt", key="nope")


def test_of_one_set_nothing_is_told(tmp_path: Path) -> None:
    extra = {
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
        "ema_decay": 0.9,
        "stats": {"mean": torch.ones(3)},
    }
    torch.save({"state_dict": small_state(), **extra}, tmp_path / "w.ckpt")
    assert "several sets" not in str(load_foreign(make(), tmp_path / "w.ckpt"))


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
        (
            {"unexpected": list("abcdef")},
            "2 of 2 tensors of the embedder matched (prefix net.); 6 in the file not used: a, b, c, d, and 2 more",
        ),
        (
            {"reshaped": [("h", (1, 2), ())]},
            "2 of 3 tensors of the embedder matched (prefix net.); 1 of another shape: h (file 1 x 2, here one value)",
        ),
    ],
)
def test_a_match_reads_well(change: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"missing": [], "unexpected": [], "reshaped": [], **change}
    assert str(Match(["a", "b"], prefix="net.", **values)) == text


def test_the_tests_networks_differ_from_new_ones() -> None:
    check: Callable[[nn.Module], bool] = lambda network: any(  # noqa: E731
        part.running_mean.abs().sum() > 0 for part in network.modules() if isinstance(part, nn.BatchNorm2d)
    )
    assert check(small())
    assert check(vision())
