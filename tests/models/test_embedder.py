"""The embedder: what is trained and what is frozen, its settings, its weights on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from embedders import FAMILIES, changed, family, make, pictures, snapshot, step
from lookalike.data.pixels import PixelSettings
from lookalike.errors import ModelError
from lookalike.export.graph import write_graph
from lookalike.inference.bundle_config import NetworkConfig
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import Embedder, load_embedder, stage_names
from lookalike.settings.check import SettingsError, check
from lookalike.settings.training import Model


@pytest.mark.parametrize("backbone", FAMILIES)
def test_a_step_changes_the_trained_parts_and_nothing_else(backbone: str) -> None:
    names, _ = FAMILIES[backbone]
    embedder = make(backbone, trainable=names)  # no .train(): Lightning keeps the modes it finds
    before = snapshot(embedder)
    for _ in range(2):  # after the first: timm starts the last batch norm of a residual branch at 0
        step(embedder, pictures(3, 224))
    trained = {name for name, parameter in embedder.named_parameters() if parameter.requires_grad}
    expected = {
        name
        for name in before
        if name.startswith(("head.", "backbone.head.", *(f"backbone.{stage}." for stage in names)))
    }
    assert changed(before, embedder) == expected  # running statistics of batch norm included
    assert trained <= expected
    for name, parameter in embedder.named_parameters():
        assert (parameter.grad is not None) == (name in trained)
        assert name not in trained or torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("backbone", [*FAMILIES, "test_resnet"])
def test_the_openvino_graph_agrees_with_torch(backbone: str, tmp_path: Path) -> None:
    tiny = backbone == "test_resnet"
    embedder = make(backbone, pooling="gem", bn_neck=True) if tiny else family(backbone)
    side = 64 if tiny else 224
    images = pictures(3, side)
    write_graph(embedder.eval(), PixelSettings(side, side, "stretch"), tmp_path / "model.xml")
    network = OpenVinoNetwork(tmp_path / "model.xml")
    encoder = Encoder(network, PixelSettings(side, side, "stretch"), "", embedder.embedding_size)
    theirs = torch.from_numpy(encoder.embed_arrays(images.numpy()))
    with torch.no_grad():
        ours = embedder.embed(images)
    assert torch.allclose(theirs.norm(dim=1), torch.ones(3), atol=1e-5)
    assert (ours * theirs).sum(1).min() > 0.9999


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_batch_norms_of_trained_stages_keep_their_statistics_where_asked_for(backbone: str) -> None:
    embedder = make(backbone, trainable=["all"], frozen_batch_norm=True, bn_neck=True)
    statistics = {
        name for name, part in embedder.backbone.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    }
    assert statistics
    for again in (False, True):
        before = snapshot(embedder)
        embedder.train() if again else None
        embedder(pictures(4)).sum().backward()
        assert {name.rpartition(".")[0] for name in changed(before, embedder)} == {"neck"}
        modules = dict(embedder.backbone.named_modules())
        assert all(modules[name].weight.grad is not None for name in statistics), "scale and shift are trained"
    assert embedder.train(False).train().neck.training


def test_frozen_batch_norm_keeps_its_statistics_and_trained_batch_norm_does_not() -> None:
    embedder = make("test_resnet", trainable=["layer3", "head"], bn_neck=True)
    for again in (False, True):
        before = snapshot(embedder)
        embedder.train() if again else None
        embedder(pictures(4))
        moved = {name.rpartition(".")[0] for name in changed(before, embedder)}
        layer3 = {
            f"backbone.{name}"
            for name, part in embedder.backbone.named_modules()
            if isinstance(part, nn.BatchNorm2d) and name.startswith("layer3.")
        }
        assert moved == {"neck", *layer3}


def test_a_frozen_neck_keeps_its_statistics_too() -> None:
    embedder = make("test_resnet", trainable=["layer4"], bn_neck=True)
    before = snapshot(embedder)
    embedder(pictures(4))
    assert not any(name.startswith(("neck", "head")) for name in changed(before, embedder))


def test_eval_mode_is_whole_and_train_mode_comes_back() -> None:
    embedder = make("test_resnet", trainable=["layer4", "head"], bn_neck=True)
    modes = {name: part.training for name, part in embedder.named_modules()}
    assert not any(part.training for part in embedder.eval().modules())
    assert {name: part.training for name, part in embedder.train().named_modules()} == modes


# test_vit_relpos has dropout of 0.125 in every block, fasternet_t1 stochastic depth.
@pytest.mark.parametrize(("backbone", "last"), [("test_vit_relpos", "blocks.8"), ("fasternet_t1", "stages.3")])
def test_randomness_stays_off_in_frozen_parts_only(backbone: str, last: str) -> None:
    embedder, images = make(backbone, trainable=[last, "head"]), pictures(8, 160)
    for part in embedder.modules():
        if hasattr(part, "drop_prob"):
            part.drop_prob = 0.5  # timm's few percent would need many draws to show
    entered: list[Tensor] = []
    embedder.backbone.get_submodule(last).register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.no_grad():
        first, second = embedder(images), embedder(images)
        embedder.eval()(images)
    assert torch.equal(entered[0], entered[1])
    assert torch.equal(entered[0], entered[2])
    assert not torch.equal(first, second)  # the trained block still drops


def trained_parts(embedder: Embedder) -> set[str]:
    return {name for name, parameter in embedder.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext"])
def test_fc_is_another_name_of_head(backbone: str) -> None:
    head = trained_parts(make(backbone, trainable=["head"], bn_neck=True))
    assert trained_parts(make(backbone, trainable=["fc"], bn_neck=True)) == head
    assert {"head.weight", "head.bias", "neck.weight", "neck.bias"} <= head
    own = {name for name in head if name.startswith("backbone.")}
    assert own == ({"backbone.head.norm.weight", "backbone.head.norm.bias"} if backbone == "test_convnext" else set())


def test_a_stage_may_be_part_of_a_stage() -> None:
    embedder = make("resnet18", trainable=["layer4.1"])
    assert trained_parts(embedder) == {
        f"backbone.layer4.1.{name}" for name, _ in embedder.backbone.layer4[1].named_parameters()
    }
    assert embedder.trunk_end == "layer4.1"
    assert not embedder.backbone.layer4[0].training
    with torch.no_grad():
        assert torch.equal(embedder.rest(embedder.trunk(pictures(2))), embedder(pictures(2)))


def test_stages_that_start_alike_are_told_apart() -> None:
    embedder = make("vit_tiny_patch16_224", trainable=["blocks.1"])
    assert all(name.startswith("backbone.blocks.1.") for name in trained_parts(embedder))


@pytest.mark.parametrize(
    ("backbone", "trainable", "text"),
    [
        ("test_resnet", ["layr4", "head"], r"no stage 'layr4'; did you mean layer\d.*; it has conv1, .* and head$"),
        ("test_resnet", ["layer4.9"], r"no stage 'layer4\.9'; did you mean layer4\.0.*; it has conv1"),
        ("test_resnet", ["layer"], r"no stage 'layer'"),
        ("test_resnet", ["act1"], r"no stage 'act1'"),  # has no parameters
        ("test_convnext", ["stage.3"], r"no stage 'stage\.3'; did you mean stages\.3.* stages\.3 and head$"),
        (
            "vit_tiny_patch16_224",
            ["blocks.12", "head"],
            r"no stage 'blocks\.12'; did you mean blocks\.\d.*; it has patch_embed, .*blocks\.11, norm and head$",
        ),
        ("vit_tiny_patch16_224", ["pos_embed"], r"no stage 'pos_embed'; did you mean patch_embed"),
        (
            "swin_tiny_patch4_window7_224",
            ["blocks.3"],
            r"no stage 'blocks\.3'.*; it has patch_embed, layers, .*norm and head$",
        ),
        ("test_resnet", [], r"model\.trainable is empty, so nothing would be trained: name stages, head or all"),
    ],
)
def test_unknown_stages_are_refused(backbone: str, trainable: list[str], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        Embedder(backbone, trainable=trainable)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
def test_every_stage_named_in_the_error_can_be_trained(backbone: str) -> None:
    plain = timm.create_model(backbone, num_classes=0)
    names = stage_names(plain)
    assert len(set(names)) == len(names)
    for name in names:
        expected = {f"backbone.{name}.{part}" for part, _ in plain.get_submodule(name).named_parameters()}
        assert expected
        assert trained_parts(make(backbone, trainable=[name])) >= expected


@pytest.mark.parametrize(
    ("backbone", "text"),
    [
        ("resnett18", r"model\.backbone=resnett18: timm [\d.]+ has no such model; did you mean resnet18"),
        ("qqqqqq", r"model\.backbone=qqqqqq: .* no such model; timm\.list_models\(\) names all"),
        ("resnet18.nope", r"model\.backbone=resnet18\.nope: .*tag \(nope\) for resnet18: timm\.list_pretrained"),
    ],
)
def test_unknown_backbones_are_refused(backbone: str, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        Embedder(backbone)


def test_the_neck_normalises_the_batch() -> None:
    embedder, images = make("test_resnet", bn_neck=True), pictures(16)
    with torch.no_grad():
        output = embedder(images)
        raw = embedder.head(embedder.backbone(embedder._normalised(images)))
    assert torch.allclose(output.mean(0), torch.zeros(16), atol=1e-5)
    assert torch.allclose(output, (raw - raw.mean(0)) / (raw.var(0, unbiased=False) + 1e-5).sqrt(), atol=1e-4)
    assert isinstance(make("test_resnet").neck, nn.Identity)


def test_mean_and_std_are_part_of_the_model() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 0.125]
    embedder, images = make("test_resnet", mean=mean, std=std).eval(), pictures(2, 160)
    pixels = torch.stack([(images[..., c] / 255 - mean[c]) / std[c] for c in range(3)], dim=1)
    with torch.no_grad():
        assert torch.allclose(embedder(images), embedder.head(embedder.backbone(pixels)), atol=1e-5)
        assert torch.allclose(embedder.embed(images).norm(dim=1), torch.ones(2), atol=1e-6)
    timms = timm.get_pretrained_cfg("resnet18").mean
    assert make("resnet18").mean.flatten().tolist() == pytest.approx([255 * value for value in timms])


@pytest.mark.parametrize(
    ("name", "value"), [("mean", [0.5]), ("mean", [0.5, 0.5, 127]), ("std", [0, 0.5, 0.5]), ("std", [])]
)
def test_impossible_mean_and_std_are_refused(name: str, value: list[float]) -> None:
    settings = {
        "backbone": "resnet18",
        "weights": "none",
        "embedding_size": 8,
        "pooling": "avg",
        "bn_neck": False,
        "frozen_batch_norm": False,
        "trainable": ["all"],
        "mean": [0.0, 0.5, 1.0],
        "std": [0.1, 0.5, 1.0],
    }
    assert check(Model, settings).mean == [0.0, 0.5, 1.0]
    with pytest.raises(SettingsError, match=rf"{name}.*(at least|less than or equal to|greater than)"):
        check(Model, {**settings, name: value})


def settings_of(backbone: str) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"bn_neck": True, "trainable": ["head"]}
    if backbone != "test_vit":
        yield {"pooling": "gem", "trainable": ["head"]}


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_efficientnet"])
def test_construction_draws_the_initial_weights_and_no_more(backbone: str) -> None:
    torch.manual_seed(5)
    plain = timm.create_model(backbone, num_classes=0)
    head = nn.Linear(plain.num_features, 16)
    expected = torch.get_rng_state()
    for settings in settings_of(backbone):
        embedder = make(backbone, seed=5, **settings)
        assert torch.equal(torch.get_rng_state(), expected)
        assert torch.equal(embedder.head.weight, head.weight)
        for name, tensor in plain.state_dict().items():
            assert torch.equal(embedder.backbone.state_dict()[name], tensor)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_load_embedder_brings_everything_back(backbone: str, tmp_path: Path) -> None:
    pooling = "avg" if backbone == "test_vit" else "gem"
    model = {
        "backbone": backbone,
        "embedding_size": 12,
        "pooling": pooling,
        "bn_neck": True,
        "trainable": ["head"],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "weights": "none",
    }
    made = Embedder(**{k: v for k, v in model.items() if k != "weights"})
    step(made, pictures(6, 160))
    save_file(made.state_dict(), tmp_path / "model.safetensors")
    loaded = load_embedder(tmp_path / "model.safetensors", NetworkConfig(**model), PixelSettings())
    with torch.no_grad():
        images = pictures(2, 160, seed=9)
        assert torch.equal(loaded.eval().embed(images), made.eval().embed(images))
    assert trained_parts(loaded) == trained_parts(made)


@pytest.mark.parametrize(
    "change", [{"backbone": "test_efficientnet"}, {"embedding_size": 8}, {"bn_neck": True}, {"pooling": "gem"}]
)
def test_load_embedder_refuses_other_weights(change: dict[str, Any], tmp_path: Path) -> None:
    save_file(make("test_resnet").state_dict(), tmp_path / "model.safetensors")
    model = {"backbone": "test_resnet", "embedding_size": 16, **change}
    with pytest.raises(ModelError, match=rf"model\.safetensors: does not fit {model['backbone']} \(") as caught:
        load_embedder(tmp_path / "model.safetensors", NetworkConfig(**model), PixelSettings())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "mobilenetv3_small_100", "convnext_atto"])
def test_without_a_head_the_embedding_is_the_backbones_features(backbone: str, tmp_path: Path) -> None:
    model = {"backbone": backbone, "embedding_size": None, "trainable": ["all"]}
    embedder, images = make(seed=1, **model).eval(), pictures(2, 224 if backbone == "mobilenetv3_small_100" else 160)
    with torch.no_grad():
        features = embedder.backbone(embedder._normalised(images))
        assert torch.equal(embedder(images), features)
    assert features.shape == (2, embedder.embedding_size)
    assert not any(name.startswith("head") for name in embedder.state_dict())
    save_file(embedder.state_dict(), tmp_path / "w.safetensors")
    with torch.no_grad():
        assert torch.equal(
            load_embedder(
                tmp_path / "w.safetensors",
                NetworkConfig(**model, dimensions=features.shape[1]),
                PixelSettings(*images.shape[1:3]),
            ).eval()(images),
            features,
        )


def test_a_neck_without_a_head_normalises_the_features() -> None:
    embedder = make("test_resnet", embedding_size=None, bn_neck=True, trainable=["head"])
    assert embedder.neck.num_features == embedder.embedding_size == embedder.backbone.num_features
    assert trained_parts(embedder) == {"neck.weight", "neck.bias"}


def test_stages_are_trained_without_a_head_too() -> None:
    embedder = make("test_resnet", embedding_size=None, trainable=["layer4", "head"])
    assert embedder.trunk_end == "layer4.0"
    before, images = snapshot(embedder), pictures(3)
    step(embedder, images)
    assert changed(before, embedder)
    assert all(name.startswith("backbone.layer4.") for name in changed(before, embedder))
    with torch.no_grad():
        embedder.eval()
        assert torch.equal(embedder.rest(embedder.trunk(images)), embedder(images))


def test_a_missing_head_alone_cannot_be_trained() -> None:
    text = r"model\.trainable=\[head\]: with model\.embedding_size=null there is no head.*name stages or all$"
    with pytest.raises(ModelError, match=text):
        make("test_resnet", embedding_size=None, trainable=["head"])


def test_embedding_size_may_be_null_in_the_settings() -> None:
    settings = {
        "backbone": "resnet18",
        "weights": "none",
        "embedding_size": None,
        "pooling": "avg",
        "bn_neck": False,
        "frozen_batch_norm": False,
        "trainable": ["all"],
        "mean": None,
        "std": None,
    }
    assert check(Model, settings).embedding_size is None
    assert make("test_resnet").embedding_size == 16
    with pytest.raises(SettingsError, match="embedding_size=0: expected greater than or equal to 1"):
        check(Model, {**settings, "embedding_size": 0})
