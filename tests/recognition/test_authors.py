"""Networks of re-identification, saved as their projects save them, are recognised whole and embed as there."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.inference_rules import InferenceRules, WithRules
from lookalike.models.networks.residual import ResidualTrunk
from lookalike.models.networks.strong_baseline import StrongBaseline
from lookalike.models.networks.trans_reid import TransReid
from lookalike.recognition.given import Given
from lookalike.recognition.network import network_of
from lookalike.recognition.recognise import recognise

sys.path.append(str(Path(__file__).parents[1] / "models" / "networks"))

from test_assembled import BARE, NETWORKS, UNPADDED, VIT

from outlines import blank, tensors_of
from small_networks import fill, pixels, recipe

# What the projects do around their networks: layumi's test.py adds the embedding of the mirrored image, and gives each
# stripe of PCB unit length (there are 2 of them here); no other of these runs its network more than once.
MIRRORED = {"layumi": "sum", "layumi PCB": "sum"}
STRIPES = {"layumi PCB": 2}
WITHOUT_CAMERAS = [name for name in NETWORKS if name not in ("TransReID", "TransReID local", "CLIP-ReID")]
SIZE = {"height": 64, "width": 32}


def state_of(name: str) -> dict[str, Tensor]:
    network, more = NETWORKS[name]
    state = {key: value.clone() for key, value in fill(network).state_dict().items()}
    pixels = {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]), "pixel_std": torch.tensor([58.395, 57.12, 57.375])}
    others = {key: torch.randn(shape) for key, shape in more.items()}
    return {
        **state,
        **{key: pixels.get(key.rpartition(".")[2], value).reshape(value.shape) for key, value in others.items()},
    }


def embedded(file: Path, **given: Any) -> tuple[Tensor, Any]:
    """Of normalised images."""
    recognised, tensors = recognise(file, Given(**{"pixels": SIZE, **given}))
    with torch.no_grad():
        return network_of(recognised, tensors).network(pixels()), recognised


def said(name: str) -> dict[str, str]:
    """What a person says of a plain ResNet under names that several projects use."""
    return {"project": name} if name == "reid-strong-baseline" else {}


def close(first: Tensor, second: Tensor) -> bool:
    return bool((torch.nn.functional.cosine_similarity(first.double(), second.double()) >= 1 - 1e-6).all())


WRAPPERS = ("", "module.", "net.model.")
EACH_ONCE = [(name, WRAPPERS[number % 3]) for number, name in enumerate(WITHOUT_CAMERAS)]


@pytest.mark.parametrize(("name", "wrap"), [*EACH_ONCE, *(("layumi PCB", wrap) for wrap in WRAPPERS)])
def test_each_is_recognised_and_embeds_as_there(name: str, wrap: str, tmp_path: Path) -> None:
    state = {wrap + key: value for key, value in state_of(name).items()}
    file = tmp_path / "model.pth"
    content: dict[str, Any] = (
        {"state_dict": state, "epoch": 5, "rank1": 0.5} if "torchreid" in name else {"model": state}
    )
    torch.save(content, file)
    made, recognised = embedded(file, model=said(name))
    rules = InferenceRules(flip=MIRRORED.get(name, "none"), parts=STRIPES.get(name, 1))  # type: ignore[arg-type]
    with torch.no_grad():
        theirs = WithRules(NETWORKS[name][0], rules)(pixels())
    assert close(made, theirs)
    assert str(recognised.facts["project"].value) == name.partition(" ")[0]
    assert not set(recognised.left_out) & {key for keys in recognised.blueprint.tensors.values() for key in keys}


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    save_file({key: value.contiguous() for key, value in state_of("AGW").items()}, tmp_path / "model.safetensors")
    assert embedded(tmp_path / "model.safetensors")[1].facts["architecture"].value.endswith("non-local blocks")


def test_names_that_several_projects_use_are_asked_for(tmp_path: Path) -> None:
    state = {f"base.{key}": value for key, value in tensors_of("resnet18").items()}
    state |= {f"bottleneck.{part}": blank((512,)) for part in ("weight", "bias", "running_mean", "running_var")}
    state |= {"classifier.weight": blank((9, 512))}
    file = tmp_path / "model.pth"
    torch.save(state, file)
    text = r"under names that several projects use .*model\.project=reid-strong-baseline .*or model\.project=none"
    with pytest.raises(ModelError, match=text):
        recognise(file)
    theirs = recognise(file, Given({"project": "reid-strong-baseline"}))[0].facts
    assert (theirs["project"].source, theirs["last_stride"].value, theirs["height"].value) == ("given", 1, 256)
    plain = recognise(file, Given({"project": "none", "bn_neck": True}))[0].facts
    assert ("project" in plain, plain["last_stride"].value, plain["height"].value) == (False, 2, 224)
    assert plain["neck"].value == "batch norm 512"
    for project, told in (("nobody", "expected one of lookalike, "), ("layumi", "no network of it is wholly in the f")):
        with pytest.raises(ModelError, match=rf"model\.project={project}: {told}"):
            recognise(file, Given({"project": project}))
    (tmp_path / "config.yml").write_text("MODEL:\n  LAST_STRIDE: 2\nTEST:\n  NECK_FEAT: before\n")
    saved = recognise(file)[0].facts
    assert (saved["last_stride"].value, saved["taken"].value) == (2, "before the batch norm")


@pytest.mark.parametrize("name", ["TransReID", "CLIP-ReID"])
def test_a_network_that_takes_cameras_is_refused(name: str, tmp_path: Path) -> None:
    torch.save(state_of(name), tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"which takes the camera of each image, too \(\S+_embed\)"):
        embedded(tmp_path / "model.pth")


def test_what_no_shape_shows_is_as_the_project_has_it_and_can_be_given(tmp_path: Path) -> None:
    network = fill(StrongBaseline(ResidualTrunk(BARE)))
    torch.save({**network.state_dict(), "classifier.weight": torch.randn(5, 512)}, tmp_path / "model.pth")
    project = {"project": "reid-strong-baseline"}
    made, recognised = embedded(tmp_path / "model.pth", model=project)
    assert (recognised.facts["last_stride"].value, recognised.facts["last_stride"].source) == (1, "convention")
    wider, told = embedded(tmp_path / "model.pth", model={**project, "last_stride": 2})
    assert (told.facts["last_stride"].value, told.facts["last_stride"].source) == (2, "given")
    assert not close(made, wider)
    before, told = embedded(tmp_path / "model.pth", model={**project, "bn_neck": False})
    network.taken = "before"
    with torch.no_grad():
        assert close(before, network(pixels()))
    assert told.facts["taken"].source == "given"


@pytest.mark.parametrize("name", WITHOUT_CAMERAS)
def test_what_is_given_changes_the_embedding_or_is_refused(name: str, tmp_path: Path) -> None:
    content = {"state_dict": state_of(name), "rank1": 0.5} if "torchreid" in name else state_of(name)
    torch.save(content, tmp_path / "model.pth")
    usual, recognised = embedded(tmp_path / "model.pth", model=said(name))
    taken = recognised.facts.get("taken")
    stride = recognised.facts.get("last_stride")
    other_stride = 2 if stride is None or stride.value == 1 else 1
    other_side = taken is not None and "before" in str(taken.value)
    for setting, value in (
        *(("bn_neck", other_side), ("last_stride", other_stride), ("pooling", "gem"), ("embedding_size", 16)),
    ):
        refusal, made = "", usual
        try:
            made, _ = embedded(tmp_path / "model.pth", model={**said(name), setting: value})
        except ModelError as error:
            refusal = str(error)
        refused = f"model.{setting}=" in refusal and refusal.endswith("leave it out")
        assert refused != (not torch.equal(made, usual)), setting


def test_settings_beside_the_file_win_over_the_project(tmp_path: Path) -> None:
    """As fast-reid writes config.yaml into its output folder, tuples and all."""
    network = fill(FastReidNetwork(ResidualTrunk(UNPADDED), EmbeddingHead(512)))
    torch.save({"model": {**network.state_dict(), "heads.weight": torch.randn(5, 512)}}, tmp_path / "model_best.pth")
    (tmp_path / "config.yaml").write_text(
        "INPUT:\n  SIZE_TEST: !!python/tuple [384, 128]\nMODEL:\n  BACKBONE:\n    LAST_STRIDE: 2\n"
        "  PIXEL_MEAN: [127.5, 127.5, 127.5]\n"
    )
    facts = recognise(tmp_path / "model_best.pth")[0].facts
    assert (facts["height"].value, facts["height"].source) == (384, "saved settings")
    assert facts["height"].evidence == "input.size_test in config.yaml"
    assert (facts["last_stride"].value, facts["mean"].value) == (2, [0.5, 0.5, 0.5])
    assert (facts["std"].source, facts["std"].value) == ("convention", [0.229, 0.224, 0.225])


def transformer(size: tuple[int, int]) -> dict[str, Tensor]:
    options = replace(VIT, size=size, stride=(16, 16), sides=0)
    state = fill(TransReid(options)).state_dict()
    return {**state, "classifier.weight": torch.randn(5, 64)}


def test_a_transformer_is_of_the_size_that_is_given_or_saved(tmp_path: Path) -> None:
    file = tmp_path / "transformer.pth"
    torch.save(transformer((384, 128)), file)
    recognised, tensors = recognise(file, Given(pixels={"height": 384}))
    assert network_of(recognised, tensors).image_size == (384, 128)
    with pytest.raises(ModelError, match=r"256 x 128 pixels at no stride.*pixels\.height=384 pixels\.width=128"):
        recognise(file)
    (tmp_path / "config.yaml").write_text("INPUT:\n  SIZE_TEST: [384, 128]\n")
    recognised, tensors = recognise(file)
    assert network_of(recognised, tensors).image_size == (384, 128)


def test_a_transformer_of_vehicles_asks_for_its_size(tmp_path: Path) -> None:
    file = tmp_path / "vehicles.pth"
    torch.save(transformer((256, 256)), file)
    with pytest.raises(ModelError, match=r"of TransReID, whose.*at no stride.*pixels\.height=256 pixels\.width=256"):
        recognise(file)
    recognised, tensors = recognise(file, Given(pixels={"height": 256, "width": 256}))
    assert network_of(recognised, tensors).image_size == (256, 256)


def test_gem_of_fast_reid_has_two_sizes_that_are_asked_for(tmp_path: Path) -> None:
    torch.save({"model": state_of("fast-reid reduced")}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"give pixels\.height=256 pixels\.width=128, or pixels\.height=384"):
        recognise(tmp_path / "model.pth")
    for height in (256, 384):
        assert recognise(tmp_path / "model.pth", Given(pixels={"height": height}))[0].facts["height"].value == height


NAMES = Path(__file__).parents[1] / "authors" / "names"
KINDS = [file.stem for file in sorted(NAMES.glob("*.json"))]


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_of_the_authors_own_networks_are_recognised_whole(kind: str, tmp_path: Path) -> None:
    """As the authors' own code built them (`tests/authors`); what it made of images is compared there."""
    kept = json.loads((NAMES / f"{kind}.json").read_text(encoding="utf-8"))
    shapes = recipe.read(kept["tensors"])
    state = {f"net.{name}": blank(shape) for name, shape in shapes.items()}
    torch.save({"state_dict": state, **({"rank1": 0.5} if "torchreid" in kind else {})}, tmp_path / "model.pth")
    if kept.get("cameras"):
        with pytest.raises(ModelError, match="which takes the camera of each image"):
            recognise(tmp_path / "model.pth")
        return
    size = {"height": 384} if "net.heads.pool_layer.p" in state else {}
    recognised, _ = recognise(tmp_path / "model.pth", Given(said(kept["project"]), size))
    assert str(recognised.facts["project"].value).startswith(kept["project"].partition(" ")[0])
    used = {name for names in recognised.blueprint.tensors.values() for name in names}
    assert used | set(recognised.left_out) == set(state)


def test_there_are_thirty_kinds_of_them() -> None:
    assert len(KINDS) >= 30
