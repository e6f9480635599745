"""One screen about a checkpoint: each fact with its source, and what eval is told."""

from lookalike.recognition.facts import Blueprint, Fact, Recognised
from lookalike.recognition.page import command, page
from lookalike.recognition.recognise import Given

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
        "left out, as they act on the loss alone: fc.weight",
        "other weights in the file: ema (ckpt_key=...)",
        "a remark",
        "",
        "to measure it: lookalike eval ckpt_path=a.pth data.root=<folder> pixels.height=256",
    ]


def test_what_was_said_is_said_again() -> None:
    given = Given({"embedding_size": None, "mean": [0.5, 0.5, 0.5], "pooling": None}, {"antialias": False}, "ema")
    assert command(RECOGNISED, given).endswith(
        "<folder> model.mean=[0.5,0.5,0.5] model.embedding_size=null pixels.antialias=false ckpt_key=ema"
    )
