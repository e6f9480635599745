"""What is known is plain data that prints and becomes JSON."""

import json

from lookalike.recognition.facts import Blueprint, Fact, Layer, Recognised, printed


def test_values_are_printed_as_they_are_typed() -> None:
    values = ([0.485, 0.5, 1.0], True, None, 256, "crop")
    assert [printed(value) for value in values] == ["[0.485,0.5,1]", "true", "null", "256", "crop"]


def test_a_result_is_one_line_and_json() -> None:
    facts = {"height": Fact(256, "given", "pixels.height"), "architecture": Fact("resnet18", "shapes", "100 tensors")}
    layers = (Layer("linear", "fc", 128), Layer("relu"))
    recognised = Recognised("a.pth", facts, Blueprint("resnet18", {"w": ("net.w",)}, layers=layers), ["loss.W"])
    assert str(recognised) == "recognised: architecture resnet18 (shapes); height 256 (given)"
    content = json.loads(json.dumps(recognised.to_dict()))
    assert list(content["facts"]) == ["architecture", "height"]
    assert content["facts"]["height"] == {"value": 256, "source": "given", "evidence": "pixels.height"}
    assert (content["layers"], content["left_out"], content["tensors"]) == (["linear 128 (fc)", "relu"], ["loss.W"], 1)
