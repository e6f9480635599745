"""A network of timm: what is given of its head must be there, and its size is that of its position embeddings."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ModelError
from lookalike.recognition.given import Given
from lookalike.recognition.recognise import recognise, survey
from outlines import blank, tensors_of, written

RESNET = tensors_of("resnet18", "net.")
HEAD = {**RESNET, "net.embedding.weight": blank((64, 512))}
VIT = tensors_of("vit_tiny_patch16_224")
MEAN = {"mean": [0.5] * 3}


@pytest.mark.parametrize(
    ("state", "given", "text"),
    [
        (RESNET, {"embedding_size": 64}, r"embedding_size=64: nothing is behind it: give model\.embedding_size=null"),
        (
            HEAD,
            {"embedding_size": 65},
            r"embedding_size=65: no linear layer behind it has this size: give model.embedding_size=64, or",
        ),
        (HEAD, {"bn_neck": True}, r"bn_neck=true: no batch norm is behind its head: give model\.bn_neck=false"),
        (
            {**RESNET, "gem.p": blank((1,))},
            {"pooling": "avg"},
            r"pooling=avg: the file pools with GeM, whose power is gem",
        ),
        (RESNET, {"backbone": "resnet34"}, r"model\.backbone=resnet34: its tensors are not those in the file"),
        (
            {name: value for name, value in RESNET.items() if "layer4.1.bn2" not in name},
            {"backbone": "resnet18"},
            r"nearest is resnet18 .*layer4\.1\.bn2\.weight is missing.*eval's allow_partial=true to load what fits",
        ),
    ],
)
def test_what_is_given_and_not_there_is_refused_in_one_line(
    state: Any, given: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        recognise(written(state, tmp_path), Given(given))
    assert "\n" not in str(caught.value)


def test_the_network_alone_can_be_taken_whatever_is_behind_it(tmp_path: Path) -> None:
    more = {"fpn.conv.weight": blank((9, 512, 3, 3)), "fc.0.weight": blank((512, 512)), "fc.2.weight": blank((64, 512))}
    file = written({**RESNET, **more}, tmp_path)
    recognised = recognise(file, Given({"backbone": "resnet18", "embedding_size": None}))[0]
    assert recognised.facts["neck"].value == "none"
    assert sorted(recognised.left_out) == sorted(more)
    assert any("left out as asked" in remark and "fc.0" in remark for remark in recognised.remarks)


def test_gem_that_is_given_has_the_usual_power_which_is_told(tmp_path: Path) -> None:
    facts = recognise(written(RESNET, tmp_path), Given({"pooling": "gem"}))[0].facts
    assert (facts["pooling"].source, facts["gem_power"].value, facts["gem_power"].source) == ("given", 3.0, "assumed")


def test_a_grid_that_is_not_square_is_asked_for_unless_a_size_fits(tmp_path: Path) -> None:
    file = written({**VIT, "pos_embed": blank((1, 1 + 16 * 8, 192))}, tmp_path)
    (question,) = survey(file, Given(MEAN))[0].questions
    assert question.facts == ("height", "width")
    assert (
        "pos_embed has 129 places, patches are of 16 pixels: give pixels.height=256 pixels.width=128" in question.text
    )
    for pixels in ({"height": 256, "width": 128}, {"usual_size": [256, 128]}):
        facts = recognise(file, Given(MEAN, pixels))[0].facts
        assert (facts["height"].value, facts["width"].value) == (256, 128)
    with pytest.raises(ModelError, match="for images that are not square"):
        recognise(file, Given(MEAN, {"height": 224, "width": 224}))


def test_a_class_token_makes_no_grid_square(tmp_path: Path) -> None:
    """384 x 192 pixels: 24 x 12 patches and the token are 17 x 17 places."""
    file = written({**VIT, "pos_embed": blank((1, 1 + 24 * 12, 192))}, tmp_path)
    (question,) = survey(file, Given(MEAN))[0].questions
    assert "pixels.height=384 pixels.width=192" in question.text
    with pytest.raises(ModelError, match="for images that are not square"):
        recognise(file, Given(MEAN))


def test_a_square_grid_of_another_size_shows_it_even_to_timms_own(tmp_path: Path) -> None:
    state = {**VIT, "pos_embed": blank((1, 1 + 24 * 24, 192))}
    content = {"state_dict": state, "arch": "vit_tiny_patch16_224", "version": 2}
    facts = recognise(written(content, tmp_path))[0].facts
    assert (facts["height"].value, facts["height"].source) == (384, "shapes")
    usual = recognise(written(VIT, tmp_path), Given(MEAN, {"usual_size": [256, 128]}))[0].facts
    assert (usual["height"].value, usual["width"].value) == (224, 224), "196 places are of 14 x 14 patches"


def test_a_file_without_a_project_says_what_is_assumed(tmp_path: Path) -> None:
    """As the trainer of wildlife-tools writes it."""
    content = {"model": tensors_of("resnet18"), "objective": {"W": blank((9, 512))}, "epoch": 3, "rng_states": {}}
    recognised = recognise(written(content, tmp_path))[0]
    assert recognised.facts["mean"].source == recognised.facts["height"].source == "assumed"
    assert any("mean, std: give" in note and "model.mean, model.std" in note for note in recognised.notes)
    assert "mean [0.485,0.456,0.406] (assumed)" in str(recognised)
