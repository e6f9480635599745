"""One screen about a checkpoint: each fact with its source, and what eval is told."""

from lookalike.recognition.facts import Blueprint, Fact, Question, Recognised
from lookalike.recognition.given import Given
from lookalike.recognition.page import command, page, row

LONG = "a sentence about where the embedding is taken"
FACTS = {
    "project": Fact("theirs", "shapes", "its names"),
    "architecture": Fact("resnet18", "shapes", "100 tensors"),
    "taken": Fact(LONG, "convention", f"models/a.py: {'very ' * 20}long (theirs 1.0)"),
    "height": Fact(256, "given", "pixels.height"),
    "width": Fact(128, "convention", "data/a.py (theirs 1.0)"),
    "parts": Fact(1, "convention", "models/a.py"),
}
RECOGNISED = Recognised("a.pth", FACTS, Blueprint("resnet18", {"w": ("w",)}), ["fc.weight"], ["ema"], ["a remark"])


def test_the_page() -> None:
    assert page(RECOGNISED, Given({}, {"height": 256}, None)) == [
        "a.pth: resnet18 of theirs, 256 x 128 pixels",
        "",
        "  project       theirs    shapes: its names",
        "  architecture  resnet18  shapes: 100 tensors",
        f"  taken         {LONG}",
        "                          convention: models/a.py (theirs 1.0)",
        "  height        256       given: pixels.height",
        "  width         128       convention: data/a.py (theirs 1.0)",
        "",
        "tensors of the network: 1, all of them used; layers behind it: none",
        "left out, as the embedding is taken before them: fc.weight",
        "other weights in the file: ema (ckpt_key=...)",
        "a remark",
        "",
        "to measure it: lookalike eval ckpt_path=a.pth data.root=<folder> split=test pixels.height=256",
    ]


def test_what_was_said_is_said_again() -> None:
    given = Given({"embedding_size": None, "mean": [0.5, 0.5, 0.5], "pooling": None}, {"antialias": False}, "ema")
    assert command(RECOGNISED, given).endswith(
        "<folder> split=test model.mean=[0.5,0.5,0.5] model.embedding_size=null pixels.antialias=false ckpt_key=ema"
    )


def test_what_is_open_is_marked_and_asked_instead_of_the_command() -> None:
    asked = [Question(("height", "taken"), "how large were they: give pixels.height")]
    facts = {**FACTS, "mean": Fact([0.5, 0.5, 0.5], "assumed", "timm's")}
    opened = Recognised("a.pth", facts, Blueprint("resnet18", {}), questions=asked)
    lines = page(opened, Given())
    assert "  height        256 ?          given: pixels.height" in lines
    assert "  mean          [0.5,0.5,0.5]  assumed: timm's" in lines
    assert "assumed, as nothing says it: mean: give model.mean if it was otherwise" in lines
    assert lines[-1] == "open: how large were they: give pixels.height"
    assert not any("to measure it" in line for line in lines)
    assert opened.to_dict()["questions"] == ["how large were they: give pixels.height"]


def test_a_line_of_several() -> None:
    named = {**FACTS, "weights": Fact("model", "shapes", "")}
    recognised = Recognised("a.pth", named, Blueprint("resnet18", {}), other_weights=["ema"])
    assert row(recognised) == f"a.pth: resnet18 of theirs, 256 x 128 pixels; head: {LONG}; weights: model, ema"
