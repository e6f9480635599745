"""A checkpoint as recognition sees it: one set of tensors, without wrappers and what networks make for themselves."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lookalike.errors import CheckpointError
from lookalike.recognition.contents import read_contents


def test_wrappers_and_counts_are_left_away(tmp_path: Path) -> None:
    state = {"module._orig_mod.bn.weight": torch.ones(2), "module._orig_mod.bn.num_batches_tracked": torch.tensor(3)}
    torch.save({"state_dict": state, "epoch": 3, "opt": argparse.Namespace(stride=1)}, tmp_path / "a.pth")
    contents = read_contents(tmp_path / "a.pth")
    assert list(contents.tensors) == ["bn.weight"]
    assert (contents.key, contents.keys) == ("state_dict", {"state_dict", "epoch", "opt"})


def test_other_sets_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    first, second = {"a.weight": torch.ones(2, 2)}, {"a.weight": torch.zeros(2, 2)}
    torch.save({"state_dict": first, "state_dict_ema": second}, tmp_path / "a.pth")
    assert read_contents(tmp_path / "a.pth").others == ["state_dict_ema"]
    assert read_contents(tmp_path / "a.pth", "state_dict_ema").tensors["a.weight"].sum() == 0
    with pytest.raises(CheckpointError, match=r"ckpt_key=no: no such weights in it: it has state_dict, state_dict_ema"):
        read_contents(tmp_path / "a.pth", "no")


def test_a_setting_is_looked_for_in_the_file_first(tmp_path: Path) -> None:
    save_file({"a.weight": torch.ones(2)}, tmp_path / "a.safetensors")
    (tmp_path / "opts.yaml").write_text("stride: 1\nmodel:\n  stride: 2\n")
    contents = read_contents(tmp_path / "a.safetensors")
    assert contents.setting("stride") == (1, "stride in opts.yaml")
    assert contents.setting("no", "model.stride") == (2, "model.stride in opts.yaml")
    assert contents.setting("no") is None
    torch.save({"state_dict": {"a.weight": torch.ones(2)}, "hyper_parameters": {"stride": 7}}, tmp_path / "b.ckpt")
    assert read_contents(tmp_path / "b.ckpt").setting("stride") == (7, "stride in the file")


def test_what_lightning_called_is_kept_by_name(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "callbacks": {"Saver{'x': 1}": {}}}, tmp_path / "a.ckpt")
    assert read_contents(tmp_path / "a.ckpt").callbacks == ("Saver{'x': 1}",)


def test_one_logit_scale_is_of_a_loss_and_one_a_head_is_of_the_network(tmp_path: Path) -> None:
    torch.save(
        {"a.weight": torch.ones(2), "logit_scale": torch.ones(()), "attn.logit_scale": torch.ones(3, 1, 1)},
        tmp_path / "a",
    )
    assert set(read_contents(tmp_path / "a").tensors) == {"a.weight", "attn.logit_scale"}
