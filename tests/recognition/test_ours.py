"""A checkpoint of ours is shown by its own settings, whatever is given."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lookalike.errors import CheckpointError
from lookalike.models.embedder import Embedder
from lookalike.recognition.given import Given
from lookalike.recognition.ours import facts_of_ours, held_out_of, own_settings
from lookalike.recognition.restore import facts_of

OWN: dict[str, Any] = {
    **{"model.backbone": "test_resnet", "model.embedding_size": 16, "model.pooling": "gem", "model.bn_neck": True},
    **{"pixels.height": 48, "pixels.width": 40, "pixels.resize": "pad", "data.validation_share": 0.25},
}


def saved(folder: Path, **settings: Any) -> Path:
    embedder = Embedder("test_resnet", 16, pooling="gem", bn_neck=True)
    state = {f"embedder.{name}": value for name, value in embedder.state_dict().items()}
    own = {**OWN, **settings}
    content = {
        "lookalike": {},
        "state_dict": {**state, "loss.W": torch.ones(3, 16)},
        "hyper_parameters": {"settings": own},
    }
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt"


def test_its_own_settings_are_shown_and_what_is_given_is_not_used(tmp_path: Path) -> None:
    file = saved(tmp_path)
    assert own_settings(file)["pixels.height"] == 48
    shown = facts_of_ours(file, own_settings(file), Given({"backbone": "resnet50"}, {"height": 96}))
    values = {name: fact.value for name, fact in shown.facts.items()}
    assert (values["project"], values["architecture"], values["pooling"]) == ("lookalike", "test_resnet", "gem")
    assert (values["height"], values["width"], values["resize"], values["interpolation"]) == (48, 40, "pad", "area")
    assert values["neck"] == "linear 16, batch norm 16"
    assert shown.left_out == ["loss.W"]
    assert "what is given is not used" in shown.remarks[0]
    assert facts_of(file, Given()).remarks == []


def test_what_training_held_out_comes_back_or_is_refused(tmp_path: Path) -> None:
    assert held_out_of(saved(tmp_path)).validation_share == 0.25
    with pytest.raises(
        CheckpointError, match=r"its own settings of the data cannot be used \(data\.validation_share\)"
    ):
        held_out_of(saved(tmp_path, **{"data.validation_share": "much"}))
