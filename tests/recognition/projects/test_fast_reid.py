"""What fast-reid's config.yaml says is done, and what speaks against the tensors is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from lookalike.errors import CheckpointError, LookalikeError, ModelError
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.residual import ResidualTrunk
from lookalike.recognition.network import network_of, pixels_of
from lookalike.recognition.projects.fast_reid import POOLS
from lookalike.recognition.recognise import Given, recognise
from small_networks import TINY, fill, pixels

SIZE = {"height": 64, "width": 32}
TRUNK = ResidualTrunk(TINY.__class__(**{**vars(TINY), "last_stride": 1, "padded_pool": False}))
NAMED = {"1.0": [name for name in POOLS if name.islower()], "1.4": [name for name in POOLS if not name.islower()]}


def saved(folder: Path, pool: str = "GlobalAvgPool", neck: bool = True, **groups: Any) -> tuple[nn.Module, Path]:
    """A checkpoint and, where groups are given, a config.yaml beside it, as yacs writes it."""
    network = fill(FastReidNetwork(TRUNK, EmbeddingHead(512, pool, neck=neck)))
    torch.save({"model": {**network.state_dict(), "heads.weight": torch.randn(5, 512)}}, folder / "model.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(groups))
    return network, folder / "model.pth"


def heads(**settings: Any) -> dict[str, Any]:
    return {"HEADS": settings}


def embedded(file: Path, **given: Any) -> Any:
    recognised, tensors = recognise(file, Given(**{"pixels": SIZE, **given}))
    with torch.no_grad():
        return network_of(recognised, tensors).network(pixels()), recognised


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(first.double(), second.double()).min())


@pytest.mark.parametrize("pool", ["GlobalMaxPool", "AdaptiveAvgMaxPool", "GeneralizedMeanPooling", "ClipGlobalAvgPool"])
def test_pooling_is_that_of_the_config(pool: str, tmp_path: Path) -> None:
    network, file = saved(tmp_path, pool, MODEL=heads(POOL_LAYER=pool))
    made, recognised = embedded(file)
    with torch.no_grad():
        assert cosine(made, network(pixels())) >= 1 - 1e-6
    fact = recognised.facts["pooling"]
    assert (fact.value, fact.source) == (POOLS[pool], "saved settings")
    assert fact.evidence == "model.heads.pool_layer in config.yaml"
    average, _ = embedded(file, model={"pooling": "avg"})
    assert cosine(made, average) < 1 - 1e-6


def test_older_names_of_poolings_are_the_same(tmp_path: Path) -> None:
    assert {POOLS[name] for name in NAMED["1.0"]} == {POOLS[name] for name in NAMED["1.4"]}
    network, file = saved(tmp_path, "GlobalMaxPool", MODEL=heads(POOL_LAYER="maxpool"))
    with torch.no_grad():
        assert cosine(embedded(file)[0], network(pixels())) >= 1 - 1e-6


def test_mirrored_images_are_averaged_in_as_there(tmp_path: Path) -> None:
    """Whose preprocess_image works in place, so that the mirrored one is normalised twice."""
    network, file = saved(tmp_path, TEST={"FLIP": {"ENABLED": True}}, MODEL={"PIXEL_STD": [51.0, 102.0, 127.5]})
    made, recognised = embedded(file)
    mean = torch.tensor([0.485 * 255, 0.456 * 255, 0.406 * 255]).view(1, 3, 1, 1)
    std = torch.tensor([51.0, 102.0, 127.5]).view(1, 3, 1, 1)
    with torch.no_grad():
        theirs = (network(pixels()) + network((pixels().flip(3) - mean) / std)) / 2
        assert cosine(made, theirs) >= 1 - 1e-6
        assert cosine(made, network(pixels())) < 1 - 1e-6
    assert recognised.facts["flip"].value == "mean, normalised twice"
    assert any("normalised twice" in remark for remark in recognised.remarks)


def test_images_that_are_cut_are_cut_so(tmp_path: Path) -> None:
    _, file = saved(tmp_path, INPUT={"SIZE_TEST": [160], "CROP": {"ENABLED": True, "SIZE": [128, 96]}})
    assert str(pixels_of(recognise(file)[0].facts)) == "128 x 96 pixels, crop, bicubic, from a shorter side of 160"
    halved = pixels_of(recognise(file, Given(pixels={"height": 64, "width": 48}))[0].facts)
    assert (halved.height, halved.width, halved.shorter_side) == (64, 48, 80)
    assert pixels_of(recognise(file, Given(pixels={**SIZE, "resize": "stretch"}))[0].facts).shorter_side is None


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"MODEL": heads(POOL_LAYER="GlobalAvgPol")}, r"model\.heads\.pool_layer in config\.yaml is GlobalAvgPol.*did"),
        ({"MODEL": heads(POOL_LAYER="GeneralizedMeanPoolingP")}, r"but the file lacks heads\.pool_layer\.p"),
        ({"MODEL": heads(POOL_LAYER="Identity")}, "which pools nothing: expected so of a transformer"),
        ({"MODEL": heads(WITH_BNNECK=False)}, "is False, but the file has batch norm in its head: these are the set"),
        ({"MODEL": heads(EMBEDDING_DIM=256)}, "is 256, but the file has no reduction in its head"),
        (
            {"MODEL": {"BACKBONE": {"WITH_IBN": True}}},
            r"with_ibn in config\.yaml is True, but the file has no instance",
        ),
        ({"MODEL": {"BACKBONE": {"WITH_SE": True}}}, "has no squeeze-and-excitation"),
        ({"MODEL": {"BACKBONE": {"WITH_NL": True}}}, "has no non-local blocks"),
        ({"MODEL": {"BACKBONE": {"DEPTH": "101x"}}}, "is 101x, whose layer3 has 23 blocks, but the file has 2"),
        ({"INPUT": {"SIZE_TEST": [256]}}, r"input\.size_test in config\.yaml is \[256\]: images are not read so here"),
        (
            {"INPUT": {"SIZE_TEST": [256, 128], "CROP": {"ENABLED": True, "SIZE": [224, 224]}}},
            r"\[256, 128\], of which \[224, 224\] are cut out: images are not read so",
        ),
        ({"INPUT": {"SIZE_TEST": [-1, -1]}}, r"is \[-1, -1\]: images are not read|is -1, expected 8 to 4096"),
        ({"INPUT": {"SIZE_TEST": [True, 9e99]}}, "input.size_test in config.yaml is"),
    ],
)
def test_settings_of_another_network_or_of_no_way_here_are_refused(
    groups: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    _, file = saved(tmp_path, **groups)
    with pytest.raises((ModelError, CheckpointError), match=reason) as caught:
        recognise(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], {}, "x" * 500, [[1]], {"a": {"b": 1}}, -1, 1e308, "\x1b[2J", True])
@pytest.mark.parametrize("group", ["MODEL.HEADS.POOL_LAYER", "INPUT.SIZE_TEST", "INPUT.CROP", "TEST.FLIP", "MODEL"])
def test_values_of_any_kind_are_read_or_refused_in_one_line(group: str, value: Any, tmp_path: Path) -> None:
    content: Any = value
    for part in reversed(group.split(".")):
        content = {part: content}
    _, file = saved(tmp_path, **content)
    refusal, project = "", ""
    try:
        project = str(recognise(file, Given(pixels=SIZE))[0].facts["project"].value)
    except LookalikeError as error:
        refusal = str(error)
    assert (project == "fast-reid") != bool(refusal)
    assert len(refusal.splitlines()) <= 1
    assert "\x1b" not in refusal


def test_what_no_embedding_shows_is_told(tmp_path: Path) -> None:
    test = {"METRIC": "euclidean", "RERANK": {"ENABLED": True}, "AQE": {"ENABLED": True}}
    _, file = saved(tmp_path, TEST=test, MODEL=heads(NECK_FEAT="before", NAME="ClasHead"))
    told = " ".join(recognise(file)[0].remarks)
    for text in ("neck_feat in config.yaml is before: so for its losses", "name in config.yaml is ClasHead"):
        assert text in told
    for text in ("metric in config.yaml is euclidean", "behind re-ranking", "behind query expansion"):
        assert text in told


def test_a_list_that_yaml_repeats_is_read(tmp_path: Path) -> None:
    """As in every config.yaml of fast-reid: the names of its data sets are one list in memory."""
    _, file = saved(tmp_path)
    text = "DATASETS:\n  NAMES: &id001\n  - Market1501\n  TESTS: *id001\nMODEL:\n  BACKBONE:\n    LAST_STRIDE: 2\n"
    (tmp_path / "config.yaml").write_text(text)
    assert recognise(file)[0].facts["last_stride"].value == 2


def test_a_config_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    _, file = saved(tmp_path)
    (tmp_path / "config.yaml").write_text("MODEL: &a {x: 1}\nOTHER: {<<: *a}\n")
    assert any(
        remark.startswith("config.yaml beside it cannot be read (it repeats") for remark in recognise(file)[0].remarks
    )


def test_a_network_that_kept_its_scaling_is_read_with_it(tmp_path: Path) -> None:
    network, file = saved(tmp_path, MODEL={"PIXEL_MEAN": [123.675, 116.28, 103.53]})
    scales = {"pixel_mean": torch.full((1, 3, 1, 1), 127.5), "pixel_std": torch.full((1, 3, 1, 1), 51.0)}
    torch.save({"model": {**network.state_dict(), **scales}}, file)
    facts = recognise(file, Given(pixels=SIZE))[0].facts
    assert (facts["mean"].value, facts["std"].value) == ([0.5] * 3, [0.2] * 3)
    assert (facts["mean"].source, facts["mean"].evidence) == ("saved settings", "pixel_mean in the file")
    torch.save({"model": {**network.state_dict(), **scales, "pixel_mean": torch.full((3,), torch.nan)}}, file)
    with pytest.raises(ModelError, match=r"pixel_mean is \[nan, nan, nan\], expected three numbers of 0 to 255"):
        recognise(file, Given(pixels=SIZE))
