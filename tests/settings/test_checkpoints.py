"""What is said of a checkpoint may be any part of it, and is checked."""

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.settings.check import SettingsError, check
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels


def test_nothing_need_be_said() -> None:
    model, pixels = check(CheckpointModel, {}), check(CheckpointPixels, {})
    assert model.embedding_size == "auto"
    assert {value for name, value in model.model_dump().items() if name != "embedding_size"} == {None}
    assert set(pixels.model_dump().values()) == {None}
    assert (read_settings("inspect", ["ckpt_path=a"]).model, read_settings("eval", []).pixels) == (None, None)


def test_single_settings_and_recipes_may_be_given() -> None:
    read = read_settings(
        "inspect", ["ckpt_path=a", "model.last_stride=1", "model.embedding_size=64", "pixels.height=96"]
    )
    assert (read.model.last_stride, read.model.embedding_size, read.pixels.height) == (1, 64, 96)
    assert read_settings("eval", ["model.embedding_size=null"]).model.embedding_size is None
    recipe = read_settings("eval", ["model=timm", "model.backbone=resnet50"]).model
    assert (recipe.backbone, recipe.embedding_size, recipe.pooling) == ("resnet50", 128, "avg")


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("model.last_stride=3", r"^model\.last_stride=3: expected 1 or 2$"),
        ("model.embedding_size=0", r"^model\.embedding_size=0: expected greater than 0 and at most 8192$"),
        ("model.pooling=median", r"^model\.pooling=median: expected 'avg', 'gem', 'max' or 'avg\+max'$"),
        ("pixels.shorter_side=4", r"^pixels\.shorter_side=4: expected greater than or equal to 8$"),
        ("model.backbon=x", r"^model\.backbon: unknown setting; did you mean backbone"),
    ],
)
def test_what_is_out_of_range_is_told(argument: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        read_settings("inspect", ["ckpt_path=a", argument])
