"""Facts with their sources, what is given wins, and other weights in a file are named."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from lookalike.errors import ModelError
from lookalike.recognition.page import command
from lookalike.recognition.recognise import Given, recognise
from outlines import blank, tensors_of, written

RESNET = tensors_of("resnet18", "net.")


def facts(content: Any, folder: Path, name: str = "a.pth", **given: Any) -> Any:
    return recognise(written(content, folder, name), Given(**given))[0]


def test_every_fact_has_a_source(tmp_path: Path) -> None:
    recognised = facts({"state_dict": {**RESNET, "loss.W": blank((512, 9))}}, tmp_path)
    sources = {name: fact.source for name, fact in recognised.facts.items()}
    assert sources["architecture"] == "shapes"
    assert sources["last_stride"] == sources["height"] == sources["mean"] == "assumed"
    assert recognised.facts["architecture"].evidence == "100 tensors under net"
    assert all(fact.evidence for name, fact in recognised.facts.items() if name != "neck")
    assert recognised.left_out == ["loss.W"]
    assert recognised.remarks == [
        "of the same tensors, and rare: resnetblur18 (model.backbone=<name>)",
    ]
    assert recognised.notes[0].startswith(
        "assumed, as nothing says it: last_stride, height, width, resize, interpolation, antialias, mean, std: "
        "give model.last_stride, pixels.height, "
    )


def test_what_is_given_wins_and_is_told(tmp_path: Path) -> None:
    given = {"model": {"last_stride": 1, "mean": [0.5] * 3}, "pixels": {"height": 256, "width": 128}}
    recognised = facts({"state_dict": RESNET}, tmp_path, **given)
    told = {name for name, fact in recognised.facts.items() if fact.source == "given"}
    assert told == {"last_stride", "mean", "height", "width"}
    assert recognised.blueprint.last_stride == 1
    assert len(recognised.remarks) == 1
    assert command(recognised, Given(**given)).endswith(
        "data.root=<folder> split=test model.last_stride=1 model.mean=[0.5,0.5,0.5] pixels.height=256 pixels.width=128"
    )


def test_the_usual_size_of_the_data_stands_in_for_timms_and_for_nothing_else(tmp_path: Path) -> None:
    """As eval.py gives that of Market-1501."""
    usual = {"pixels": {"usual_size": [256, 128]}}
    recognised = facts({"state_dict": RESNET}, tmp_path, **usual)
    assert recognised.facts["height"].value == 256
    assert recognised.facts["height"].evidence == "pixels.usual_size"
    known = facts({"state_dict": RESNET}, tmp_path, "trunk_best12.pth", **usual)
    assert known.facts["height"].value == 227
    assert (
        facts({"state_dict": RESNET}, tmp_path, pixels={"height": 64, "usual_size": [256, 128]}).facts["height"].value
        == 64
    )


def test_what_a_project_has_settled_cannot_be_given(tmp_path: Path) -> None:
    state = {"lookalike": {}, "state_dict": {**tensors_of("resnet18", "embedder.backbone.")}}
    with pytest.raises(ModelError, match=r"model\.embedding_size=64: recognised a network of lookalike, whose head is"):
        facts(state, tmp_path, model={"embedding_size": 64})
    assert facts(state, tmp_path).facts["project"].value == "lookalike"


def test_names_alone_are_none_of_ours(tmp_path: Path) -> None:
    """Anybody's networks have `backbone.*` and `head.*`, which may be a classifier."""
    state = {**tensors_of("resnet18", "backbone."), "head.weight": blank((64, 512)), "head.bias": blank((64,))}
    with pytest.raises(ModelError, match=r"head \(64 x 512\) may be its head or a classifier.*embedding_size=64 if"):
        facts(state, tmp_path)
    assert "project" not in facts(state, tmp_path, model={"embedding_size": 64}).facts
    assert facts({"lookalike": {}, "state_dict": state}, tmp_path).facts["project"].value == "lookalike"


def test_the_given_backbone_settles_what_the_tensors_do_not(tmp_path: Path) -> None:
    state = tensors_of("efficientnet_b0")
    for name in ("efficientnet_b0", "tf_efficientnet_b0"):
        recognised = facts(state, tmp_path, model={"backbone": name})
        assert (recognised.facts["architecture"].value, recognised.facts["architecture"].source) == (name, "given")
    with pytest.raises(ModelError, match=r"timm \S+ has no such model; did you mean"):
        facts(state, tmp_path, model={"backbone": "efficientnt_b0"})


def test_saved_settings_settle_it_as_well(tmp_path: Path) -> None:
    state = {"state_dict": tensors_of("efficientnet_b0"), "arch": "tf_efficientnet_b0", "version": 2}
    recognised = facts(state, tmp_path)
    assert recognised.facts["architecture"].source == "saved settings"
    assert recognised.facts["project"].value == "timm"


def test_other_weights_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    content = {"state_dict": RESNET, "state_dict_ema": RESNET}
    assert facts(content, tmp_path).other_weights == ["state_dict_ema"]
    chosen = facts(content, tmp_path, key="state_dict_ema")
    assert (chosen.facts["weights"].value, chosen.facts["weights"].source) == ("state_dict_ema", "given")


@pytest.mark.parametrize("nested", [True, False])
def test_a_student_and_a_teacher_are_asked_for(nested: bool, tmp_path: Path) -> None:
    names = ("student", "teacher")
    content: Any = (
        {name: tensors_of("resnet18") for name in names}
        if nested
        else {**tensors_of("resnet18", "student."), **tensors_of("resnet18", "teacher.")}
    )
    with pytest.raises(ModelError, match=r"give ckpt_key=student or ckpt_key=teacher"):
        facts(content, tmp_path)
    for name in names:
        assert facts(content, tmp_path, key=name).facts["weights"].value == name


def test_one_of_several_networks_can_be_chosen(tmp_path: Path) -> None:
    assert facts({**tensors_of("resnet18", "a."), **tensors_of("resnet18", "b.")}, tmp_path, key="b").blueprint


def test_position_embeddings_show_the_size_of_images(tmp_path: Path) -> None:
    state = {**tensors_of("vit_tiny_patch16_224"), "pos_embed": blank((1, 1 + 8 * 8, 192))}
    recognised = facts(state, tmp_path, model={"mean": [0.5] * 3})
    assert (recognised.facts["height"].value, recognised.facts["width"].value) == (128, 128)
    assert recognised.facts["height"].evidence == "pos_embed of 65 places"


def test_old_files_without_a_scale_in_their_neck(tmp_path: Path) -> None:
    state = {**RESNET, "net.bottleneck.running_mean": blank((512,)), "net.bottleneck.running_var": blank((512,))}
    recognised = facts(state, tmp_path, model={"bn_neck": True})
    assert [str(layer) for layer in recognised.blueprint.layers] == ["batch norm 512 (net.bottleneck)"]
    assert facts(state, tmp_path, model={"bn_neck": False}).blueprint.layers == ()
    with pytest.raises(ModelError, match=r"net\.bottleneck is a batch norm behind the pooling.*model\.bn_neck=true"):
        facts(state, tmp_path)


def test_torch_is_not_asked_to_unpickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written({"state_dict": RESNET}, tmp_path)
    monkeypatch.setattr(torch, "load", None)
    assert recognise(file)[0].facts["architecture"].value == "resnet18"


def test_settings_that_are_an_object_are_said_to_be_unread(tmp_path: Path) -> None:
    state = {"state_dict": tensors_of("resnet18"), "arch": "resnet18", "version": 2, "args": Path("of a script")}
    assert any("(args) are an object in the file, which is not read" in note for note in remarks_of(state, tmp_path))
    del state["args"]
    assert any("assumed, as nothing says it: height, width: give" in note for note in remarks_of(state, tmp_path))


def test_settings_that_argparse_made_are_read(tmp_path: Path) -> None:
    """As timm's train.py saves them."""
    args = Namespace(img_size=288, input_size=None, mean=[0.5], std=[0.25, 0.5, 0.5], crop_pct=0.9, interpolation="")
    state = {"state_dict": tensors_of("resnet18"), "arch": "resnet18", "version": 2, "args": args}
    found = facts(state, tmp_path).facts
    assert (found["height"].value, found["width"].value, found["shorter_side"].value) == (288, 288, 320)
    assert (found["height"].source, found["height"].evidence) == ("saved settings", "img_size in the file")
    assert (found["mean"].value, found["std"].value) == ([0.5] * 3, [0.25, 0.5, 0.5])
    assert found["interpolation"].source == "convention"


def test_settings_of_an_unknown_script_are_read_where_they_fit(tmp_path: Path) -> None:
    args = Namespace(img_size=[256, 128], mean=0.3, std=[0.5] * 3, model="resnetblur18", pixel_mean="x")
    read = facts({"state_dict": RESNET, "args": args}, tmp_path).facts
    assert (read["height"].value, read["width"].value) == (256, 128)
    assert (read["std"].value, read["mean"].source) == ([0.5] * 3, "convention")
    assert (read["architecture"].value, read["architecture"].source) == ("resnetblur18", "saved settings")


def test_settings_of_torchvisions_script(tmp_path: Path) -> None:
    args = Namespace(val_crop_size=176, val_resize_size=232, interpolation="bicubic", model="resnet18")
    state = {"model": tensors_of("resnet18"), "optimizer": {}, "lr_scheduler": {}, "epoch": 1, "args": args}
    read = facts(state, tmp_path).facts
    assert [read[name].value for name in ("height", "width", "shorter_side", "interpolation")] == [
        *(176, 176, 232, "bicubic")
    ]


def test_arch_alone_is_not_timms(tmp_path: Path) -> None:
    state = {"state_dict": tensors_of("resnet18"), "arch": "resnet18", "best_acc1": 0.7}
    assert "project" not in recognise(written(state, tmp_path), Given({"embedding_size": None}))[0].facts


def remarks_of(state: dict[str, Any], folder: Path) -> list[str]:
    return recognise(written(state, folder))[0].notes
