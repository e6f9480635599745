"""Names and sizes among saved settings settle what tensors leave open, and overrule none of them."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.recognition.contents import Contents
from lookalike.recognition.given import Given
from lookalike.recognition.recognise import recognise, survey
from lookalike.recognition.saved_names import saved_architectures, saved_classes, saved_size
from outlines import tensors_of, written


def contents(**saved: Any) -> Contents:
    return Contents(Path("a"), {}, saved=saved)


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("model_name", "resnet50", "resnet50"),
        ("net.backbone", "resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("arch", "resnet50.of_mine", "resnet50"),
        ("model.name", "hf-hub:timm/vit_base_patch16_224.augreg_in21k", "vit_base_patch16_224.augreg_in21k"),
        ("encoder", "timm/resnet18", "resnet18"),
        ("backbone", "mobilenetv3-small-100", "mobilenetv3_small_100"),
    ],
)
def test_a_network_is_known_by_the_names_that_projects_use(key: str, value: str, name: str) -> None:
    assert saved_architectures(contents(**{key: value})) == [(name, f"{key} in the file")]


@pytest.mark.parametrize(
    ("key", "value"),
    [("model_name", "mine"), ("optimizer", "resnet50"), ("name", "resnet50"), ("arch", 50), ("arch", "")],
)
def test_other_settings_name_none(key: str, value: Any) -> None:
    assert saved_architectures(contents(**{key: value})) == []


def test_sizes_and_classes() -> None:
    assert saved_size(contents(**{"model.embedding_size": 128})) == (128, "model.embedding_size in the file")
    assert saved_classes(contents(num_classes=751)) == (751, "num_classes in the file")
    for said in ({"embedding_size": True}, {"embedding_size": "128"}, {"emb_dim": 1, "feat_dim": 2}, {}):
        assert saved_size(contents(**said)) is None


def test_a_saved_name_settles_a_tie_and_is_told(tmp_path: Path) -> None:
    state = {"state_dict": tensors_of("vit_tiny_patch16_224", "net.")}
    assert [question.facts for question in survey(written(state, tmp_path))[0].questions] == [("mean", "std")]
    for name, mean in (("vit_tiny_patch16_224", [0.5] * 3), ("deit_tiny_patch16_224", [0.485, 0.456, 0.406])):
        file = written({**state, "hyper_parameters": {"model_name": name}}, tmp_path)
        facts = recognise(file)[0].facts
        assert (facts["architecture"].value, facts["architecture"].source) == (name, "saved settings")
        assert facts["architecture"].evidence.endswith("; model_name in the file")
        assert facts["mean"].value == mean


def test_a_saved_name_overrules_no_shape_and_no_person(tmp_path: Path) -> None:
    file = written({"state_dict": tensors_of("resnet18"), "args": {"backbone": "resnet34"}}, tmp_path)
    recognised = recognise(file)[0]
    assert recognised.facts["architecture"].value == "resnet18"
    assert "backbone in the file says resnet34, but the tensors are those of resnet18" in recognised.remarks
    file = written({"state_dict": tensors_of("efficientnet_b0"), "arch": "tf_efficientnet_b0"}, tmp_path)
    assert recognise(file)[0].facts["architecture"].value == "tf_efficientnet_b0"
    given = recognise(file, Given({"backbone": "efficientnet_b0"}))[0].facts["architecture"]
    assert (given.value, given.source) == ("efficientnet_b0", "given")
