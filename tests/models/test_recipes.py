"""The recipes of networks from a hub: timm's names, numbers and stages, and the whole path with random weights."""

import re
import shutil
from pathlib import Path

import pytest
import timm
import torch

from command_line import train
from embedders import pictures
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.models.embedder import Embedder

# What stands for a backbone that only a hub describes, and the shape of what enters the first trained stage.
RECIPES: dict[str, tuple[str | None, tuple[int, ...]]] = {
    "dinov2_small": (None, (257, 384)),
    "dinov3_small": (None, (261, 384)),  # four registers
    "siglip2_base": (None, (196, 768)),
    "megadescriptor": ("swin_tiny_patch4_window7_224", (14, 14, 384)),
    "mobilenetv4_small": (None, (96, 14, 14)),
    "convnext_tiny": (None, (384, 14, 14)),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_timms_network_and_trains_its_last_stages_from_tokens_or_maps(recipe: str) -> None:
    elsewhere, entry = RECIPES[recipe]
    settings = train(f"model={recipe}", *([f"model.backbone={elsewhere}"] if elsewhere else []))
    model, size = settings.model, (settings.pixels.height, settings.pixels.width)
    assert (model.weights, model.embedding_size) == ("auto", 128)
    theirs = timm.get_pretrained_cfg(model.backbone)
    assert theirs is not None
    if elsewhere is None:
        assert (model.mean, model.std) == (list(theirs.mean), list(theirs.std))
        assert theirs.hf_hub_id == f"timm/{model.backbone}", "the weights that `auto` fetches"
        assert size == theirs.input_size[1:] or recipe == "dinov2_small"
    embedder = Embedder(**model.model_dump(exclude={"weights"}), size=size).eval()
    assert embedder.trunk_end == model.trainable[0]
    with torch.no_grad():
        images = pictures(1, size[0])
        features = embedder.trunk(images)
        assert features.shape == (1, *entry)
        assert torch.equal(embedder.rest(features), embedder(images))
    trained = {name.split(".")[0] for name, value in embedder.backbone.named_parameters() if value.requires_grad}
    assert trained == {name.split(".")[0] for name in model.trainable} - (
        {"head"} if recipe != "convnext_tiny" else set()
    )


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (
            "dinov3_small",
            r"weights of vit_small_patch16_dinov3\.lvd1689m could not be fetched from timm's hub \(.+three ways out: "
            r"model=efficientnet_lite0.*, model\.weights=<file.*, or model\.weights=none",
        ),
        (
            "megadescriptor",
            r"model\.backbone=hf-hub:BVRA/MegaDescriptor-T-224: .+: check the name and the connection, or give a name",
        ),
    ],
)
def test_without_a_hub_a_recipe_says_the_ways_out_in_one_line(
    recipe: str,
    text: str,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    small = ("pixels.height=64", "pixels.width=64", "logger=none", "trainer.device=cpu")
    assert main(["train", f"data.root={digits}", "run=r", f"model={recipe}", *small]) != 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.search(text, line)
    assert not (tmp_path / "models" / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "side", "last"),
    [("dinov2_small", 112, "blocks.9"), ("dinov3_small", 96, "blocks.9"), ("megadescriptor", 128, "layers.2")],
)
def test_photographs_are_trained_on_from_cached_tokens_and_the_bundle_agrees_with_torch(
    recipe: str,
    side: int,
    last: str,
    few_produce: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for split, most in (("train", 4), ("validation", 2)):
        for folder in sorted((few_produce / split).iterdir())[:3]:
            shutil.copytree(folder, tmp_path / "data" / split / folder.name)
            for file in sorted((tmp_path / "data" / split / folder.name).iterdir())[most:]:
                file.unlink()
    elsewhere = RECIPES[recipe][0]
    network = [f"model={recipe}", "model.weights=none", *([f"model.backbone={elsewhere}"] if elsewhere else [])]
    pixels = [f"pixels.height={side}", f"pixels.width={side}", "online=none", "logger=none"]
    trainer = ["max_epochs=2", "batch_size=4", "workers=0", "threads=1", "device=cpu", "precision=32-true"]
    arguments = [*network, *pixels, *(f"trainer.{option}" for option in trainer)]
    assert main(["train", "data.root=data", "run=r", *arguments]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"trunk: frozen up to {last}, cached" in said
    assert "for 18 images" in said
    bundle = load_bundle(tmp_path / "models" / "r")
    assert bundle.config.parity.min_cosine > 0.9999
    assert bundle.config.training.history[-1]["train/loss"] < bundle.config.training.history[0]["train/loss"]
