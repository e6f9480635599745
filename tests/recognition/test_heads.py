"""Layers behind the backbone, as a project has them."""

from pathlib import Path

import torch

from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Layer
from lookalike.recognition.heads import gem_power, kind_of, naturally, neck_of, read_head
from lookalike.recognition.projects.project import Project, Step

TENSORS = {
    **{f"net.fc.{number}.weight": torch.ones(8, 8) for number in (0, 10)},
    **{"net.fc.2.weight": torch.ones(8), "net.fc.2.running_mean": torch.ones(8), "net.fc.2.running_var": torch.ones(8)},
    **{"net.pool.p": torch.ones(1), "net.classifier.weight": torch.ones(5, 8), "net.other": torch.ones(2)},
}
PROJECT = Project(
    "ours", "1", lambda contents: "", steps=(Step(r"fc\.\d+", {"batch norm": "relu"}),), left_out="class.*"
)


def test_layers_stand_in_their_order_with_what_follows_them() -> None:
    head = read_head(PROJECT, Contents(Path("a"), TENSORS), list(TENSORS), "net.", 8)
    assert head.layers == [
        Layer("linear", "net.fc.0", 8, bias=False),
        Layer("batch norm", "net.fc.2", 8, bias=False),
        Layer("relu"),
        Layer("linear", "net.fc.10", 8, bias=False),
    ]
    assert (head.power, head.left_out, head.unexplained) == ("net.pool.p", ["net.classifier.weight"], ["net.other"])
    assert (head.width, head.problem) == (8, "")


def test_layers_that_do_not_fit_each_other_are_a_problem() -> None:
    head = read_head(PROJECT, Contents(Path("a"), TENSORS), list(TENSORS), "net.", 16)
    assert head.problem == "net.fc.0 takes 8 values, what stands before it gives 16"


def test_layers_are_told_by_their_shapes() -> None:
    tensors = {"a.weight": torch.ones(4, 3, 1, 1), "b.weight": torch.ones(4, 3, 3, 3), "c.running_mean": torch.ones(4)}
    assert [kind_of(tensors, stem) for stem in "abcd"] == ["convolution", None, "batch norm", None]
    assert gem_power({"p": torch.ones(1)}, ["p"]) == ""
    assert sorted(["a.10", "a.9"], key=naturally) == ["a.9", "a.10"]
    assert (neck_of([]), neck_of([Layer("linear", "a", 4), Layer("relu")])) == ("none", "linear 4, relu")
