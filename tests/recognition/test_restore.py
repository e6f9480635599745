"""An embedder out of any checkpoint: ours bring their settings, those of others are told what they are."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from embedders import pictures
from lookalike.data.pixels import PixelSettings
from lookalike.errors import CheckpointError, LookalikeError
from lookalike.models.embedder import Embedder
from lookalike.models.image_network import ImageNetwork
from lookalike.recognition.restore import restore
from lookalike.settings.check import SettingsError


@pytest.fixture(scope="module")
def checkpoint(bundle_path: Path) -> Path:
    """The folder of the tiny run's state."""
    return bundle_path.parents[1] / "checkpoint" / "tiny"


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Embedder, Path]:
    torch.manual_seed(1)
    embedder = Embedder("test_resnet", 128, bn_neck=True).eval()
    torch.save({"state_dict": {f"model.{k}": v for k, v in embedder.state_dict().items()}}, tmp_path / "theirs.ckpt")
    return embedder, tmp_path / "theirs.ckpt"


def same_embeddings(first: Embedder, second: Embedder) -> bool:
    with torch.no_grad():
        return torch.equal(first.eval().embed(pictures(2)), second.eval().embed(pictures(2)))


def close_embeddings(first: ImageNetwork, second: ImageNetwork) -> bool:
    with torch.no_grad():
        return torch.allclose(first.eval().embed(pictures(2)), second.eval().embed(pictures(2)), atol=1e-5)


@pytest.mark.parametrize("name", ["best.safetensors", "last.ckpt"])
def test_ours_bring_their_settings(checkpoint: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    embedder, pixels, built = restore(checkpoint / name, {"backbone": "resnet50"}, {"height": 8})
    assert pixels == PixelSettings(32, 32)
    assert built == {
        "backbone": "test_resnet",
        "embedding_size": 16,
        "pooling": "avg",
        "bn_neck": False,
        "mean": None,
        "std": None,
    }
    expected = Embedder("test_resnet", 16)
    if name == "best.safetensors":
        expected.load_state_dict(load_file(checkpoint / name))
    else:
        state = torch.load(checkpoint / name, weights_only=True)["state_dict"]
        own = {key: value for key, value in state.items() if key.startswith("embedder.")}
        expected.load_state_dict({key.removeprefix("embedder."): value for key, value in own.items()})
    assert same_embeddings(embedder, expected)
    assert all(parameter.requires_grad for parameter in embedder.parameters())
    said = capsys.readouterr().err
    assert "its own model and pixel settings are used" in " ".join(said.split())
    assert "the size of the input" not in said


def test_best_weights_alone_show_their_network_but_not_their_size(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copyfile(checkpoint / "best.safetensors", tmp_path / "best.safetensors")
    whole = restore(checkpoint / "best.safetensors", {}, {})[0]
    shown, read_as, _ = restore(tmp_path / "best.safetensors", {}, {"height": 32, "width": 32})
    assert close_embeddings(shown, whole)
    assert read_as == PixelSettings(32, 32)
    model = {"backbone": "test_resnet", "embedding_size": 16}
    embedder, _, _ = restore(tmp_path / "best.safetensors", model, {"height": 32, "width": 32})
    assert close_embeddings(embedder, restore(checkpoint / "best.safetensors", {}, {})[0])


def test_those_of_others_are_built_as_they_are_said_to_be(
    theirs: tuple[Embedder, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    embedder, file = theirs
    restored, pixels, built = restore(file, {"backbone": "test_resnet", "embedding_size": 128, "bn_neck": True}, {})
    assert close_embeddings(restored, embedder)
    assert (pixels.interpolation, pixels.antialias) == ("bilinear", True)
    assert (built["backbone"], built["embedding_size"], built["bn_neck"]) == ("test_resnet", 128, True)
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "assumed, as nothing says it: last_stride, height, width, resize, interpolation, antialias, mean, std" in said
    )


def test_settings_of_training_may_come_along(theirs: tuple[Embedder, Path]) -> None:
    """As the command gives all settings of a model, those of training among them."""
    model = {"backbone": "test_resnet", "bn_neck": True, "weights": "auto", "trainable": ["layer4"], "mean": [0.5] * 3}
    embedder, _, built = restore(theirs[1], model, {"height": 16, "width": 24, "resize": "pad"})
    assert built["mean"] == [0.5] * 3
    assert embedder.mean.flatten().tolist() == [127.5] * 3
    assert all(parameter.requires_grad for parameter in embedder.parameters())


@pytest.mark.parametrize(
    ("model", "pixels", "text"),
    [
        (
            {"backbone": "test_resnet", "embeding_size": 9},
            {},
            r"^model\.embeding_size: unknown setting; did you",
        ),
        (
            {"backbone": "test_resnet", "embedding_size": 0},
            {},
            r"^model\.embedding_size=0: expected greater than",
        ),
        ({"backbone": "test_resnet", "pooling": "most"}, {}, r"^model\.pooling=most: expected 'avg', 'gem', 'max'"),
        ({"backbone": "test_resnet"}, {"height": 4}, r"^pixels\.height=4: expected greater than or equal to 8"),
        ({"backbone": "test_resnet"}, {"size": 64}, r"^pixels\.size: unknown setting"),
        ({"name": "resnet18"}, {}, r"^model\.name: unknown setting"),
    ],
)
def test_settings_that_do_not_exist_or_fit_are_refused(
    theirs: tuple[Embedder, Path], model: dict[str, Any], pixels: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingsError, match=text):
        restore(theirs[1], model, pixels)


def test_what_is_missing_must_be_allowed(theirs: tuple[Embedder, Path], tmp_path: Path) -> None:
    embedder, _ = theirs
    save_file(
        {name: tensor for name, tensor in embedder.state_dict().items() if not name.startswith("neck")},
        tmp_path / "part.safetensors",
    )
    model = {"backbone": "test_resnet", "embedding_size": 128, "bn_neck": True}
    with pytest.raises(LookalikeError, match=r"part\.safetensors: .*model\.bn_neck=true: no batch norm is behind its"):
        restore(tmp_path / "part.safetensors", model, {})
    restored, _, _ = restore(tmp_path / "part.safetensors", model, {}, allow_partial=True)
    assert torch.equal(restored.head.weight, embedder.head.weight)


def test_images_of_a_part_are_read_as_those_of_the_whole(tmp_path: Path) -> None:
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    names = {"cls_token": "cls_token", "patch_embed.proj.weight": "patch_embeddings.projection.weight"}
    state = {f"vit.embeddings.{name}": network.state_dict()[own] for own, name in names.items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "vit", "transformers_version": "4.40.0"}')
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": 256, "crop_size": 224, "do_center_crop": true, "image_processor_type": "ViTImageProcessor"}'
    )
    model = {"backbone": "vit_tiny_patch16_224", "embedding_size": None}
    _, pixels, _ = restore(tmp_path / "model.safetensors", model, {}, allow_partial=True)
    assert (pixels.height, pixels.width, pixels.resize, pixels.shorter_side) == (224, 224, "stretch", 256)


def test_a_module_without_settings_of_ours_is_of_another_project(tmp_path: Path) -> None:
    """Lightning writes our module's state, too, when somebody else's script trains it."""
    embedder = Embedder("test_resnet", 128)
    state = {f"embedder.{name}": value for name, value in embedder.state_dict().items()}
    for number, more in enumerate(({}, {"hyper_parameters": {}}, {"hyper_parameters": {"lr": 0.1}})):
        file = tmp_path / f"{number}.ckpt"
        torch.save({"state_dict": state, "lookalike": {"history": []}, **more}, file)
        assert close_embeddings(restore(file, {}, {})[0], embedder)
        assert close_embeddings(restore(file, {"backbone": "test_resnet"}, {})[0], embedder)


def test_what_is_given_for_ours_is_checked_though_it_is_not_used(checkpoint: Path) -> None:
    for model, pixels, text in (
        ({"backbon": "resnet50"}, {}, r"^model\.backbon: unknown setting; did you mean backbone"),
        ({}, {"height": 4}, r"^pixels\.height=4: expected greater than or equal to 8"),
    ):
        with pytest.raises(SettingsError, match=text):
            restore(checkpoint / "last.ckpt", model, pixels)


def test_a_missing_file_is_the_reason_whatever_is_given(tmp_path: Path) -> None:
    for model in ({}, {"backbone": "test_resnet"}):
        with pytest.raises(LookalikeError, match=r"^[^\n]+gone\.ckpt: no such file: give the path of a"):
            restore(tmp_path / "gone.ckpt", model, {})


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("model.backbone", ["a"], r"model\.backbone=\['a'\]: "),
        ("model.backbone", "a\nb", r"model\.backbone: expected a short text"),
        ("model.backbone", {"a": 1}, r"model\.backbone: expected a plain value"),
        ("model.embedding_size", 0, r"model\.embedding_size=0: expected greater than or equal to 1"),
        ("model.later", 1, r"model\.later: unknown setting"),
        ("pixels.height", 10**9, r"pixels\.height=1000000000: expected less than or equal to 4096"),
    ],
)
def test_own_settings_are_checked_before_they_build_anything(
    name: str, value: object, text: str, checkpoint: Path, tmp_path: Path
) -> None:
    state = torch.load(checkpoint / "last.ckpt", weights_only=True)
    state["hyper_parameters"]["settings"][name] = value
    torch.save(state, tmp_path / "x.ckpt")
    with pytest.raises(
        CheckpointError, match=rf"^[^\n]+x\.ckpt: its own settings cannot be used \({text}[^\n]*\): it is"
    ):
        restore(tmp_path / "x.ckpt", {}, {})


@pytest.mark.parametrize("backbone", ["hf-hub:attacker/x", "hf_hub:attacker/x", "HF-HUB:a/x", "local-dir:/tmp/x"])
@pytest.mark.parametrize("given", [{}, {"backbone": "test_resnet"}, {"backbone": "hf-hub:attacker/y"}])
def test_a_checkpoint_does_not_choose_what_is_fetched(
    backbone: str, given: dict[str, str], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*arguments: object, **options: object) -> None:
        raise AssertionError(f"asked for {arguments}")

    monkeypatch.setattr("timm.create_model", asked)
    monkeypatch.setattr("requests.head", asked)
    state = torch.load(checkpoint / "last.ckpt", weights_only=True)
    state["hyper_parameters"]["settings"]["model.backbone"] = backbone
    torch.save(state, tmp_path / "last.ckpt")
    shutil.copyfile(checkpoint / "best.safetensors", tmp_path / "best.safetensors")
    for name in ("last.ckpt", "best.safetensors"):
        with pytest.raises(
            CheckpointError,
            match=rf"^[^\n]+: its own settings take the network from elsewhere \(model\.backbone={backbone}\), "
            rf"expected the same from you[^\n]+: give model\.backbone={backbone} if you know it$",
        ):
            restore(tmp_path / name, given, {})


def test_a_network_from_elsewhere_is_made_where_a_person_names_it_too(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    cfg = {**timm.create_model("test_resnet").pretrained_cfg, "num_classes": 0}
    plain = {name: value for name, value in cfg.items() if name not in ("hf_hub_id", "url", "tag", "architecture")}
    config = {"architecture": "test_resnet", "num_classes": 0, "pretrained_cfg": plain}
    (folder / "config.json").write_text(json.dumps(config))
    state = torch.load(checkpoint / "last.ckpt", weights_only=True)
    state["hyper_parameters"]["settings"]["model.backbone"] = f"local-dir:{folder}"
    torch.save(state, tmp_path / "last.ckpt")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    embedder, _, _ = restore(tmp_path / "last.ckpt", {"backbone": f"local-dir:{folder}"}, {})
    assert same_embeddings(embedder, restore(checkpoint / "last.ckpt", {}, {})[0])


def test_a_network_that_is_far_larger_than_its_file_is_not_made(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint / "last.ckpt", weights_only=True)
    state["hyper_parameters"]["settings"]["model.backbone"] = "vit_giant_patch14_224"
    torch.save(state, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"its own settings \(model\.backbone=vit_giant"):
        restore(tmp_path / "x.ckpt", {}, {})


def test_best_weights_beside_a_damaged_checkpoint_say_why(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(checkpoint / "best.safetensors", tmp_path / "best.safetensors")
    (tmp_path / "last.ckpt").write_bytes((checkpoint / "last.ckpt").read_bytes()[:-7])
    restore(tmp_path / "best.safetensors", {}, {"height": 32, "width": 32})
    assert "stand in it, so they must be given" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.ckpt"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(LookalikeError, match=r"x\.ckpt: "):
        restore(file, {"backbone": "test_resnet"}, {})


def test_images_are_scaled_as_the_project_does_unless_asked_otherwise(
    theirs: tuple[Embedder, Path], tmp_path: Path
) -> None:
    model, file = {"backbone": "test_resnet", "bn_neck": True}, tmp_path / "last.ckpt"
    callbacks = {"ModelCheckpoint{'monitor': 'OVERALL/cmc/1'}": {}}
    trunk = timm.create_model("test_resnet", num_classes=0).state_dict()
    torch.save({"state_dict": trunk, "callbacks": callbacks}, file)
    whole = {"backbone": "test_resnet"}
    assert restore(file, whole, {})[1] == PixelSettings(224, 224, "pad", "bilinear", antialias=False, border=255)
    for given in ({"interpolation": "area"}, {"interpolation": "lanczos", "antialias": True, "resize": "stretch"}):
        pixels = restore(file, whole, given)[1]
        assert pixels.interpolation == given["interpolation"]
        assert pixels.antialias
    with pytest.raises(LookalikeError, match=r"model\.bn_neck=true: recognised a network of open-metric-learning"):
        restore(file, model, {})


def test_other_sets_of_weights_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = timm.create_model("test_resnet", num_classes=0)
    torch.save({"state_dict": network.state_dict(), "state_dict_ema": network.state_dict()}, tmp_path / "both.pth")
    restore(tmp_path / "both.pth", {}, {"height": 32, "width": 32})
    assert "; other weights in the file: state_dict_ema (ckpt_key=...)" in capsys.readouterr().err
