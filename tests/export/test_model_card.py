"""The card of a bundle: every figure from its settings, one text for float32 and int8."""

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from lookalike.export.model_card import model_card
from lookalike.inference.bundle import load_bundle
from lookalike.inference.bundle_config import BundleConfig

MODEL = {"backbone": "resnet18", "weights_source": "timm's <hub>", "trainable": ["layer4", "fc"], "dimensions": 64}
PARITY = {"min_cosine": 0.9999994, "mean_cosine": 1.0, "images": 64}
BF16 = {**PARITY, "bf16": {"min_cosine": 0.9991, "mean_cosine": 0.9995}}
INT8 = {
    **{"from": "0123456789abcdef" * 4, "images": 300, "seed": 0, "preset": "mixed"},
    **{"before": {"accuracy@1": 0.84184, "map": 0.81}, "after": {"accuracy@1": 0.83673, "map": 0.8111}},
    **{"min_cosine": 0.98765, "mean_cosine": 0.99},
}


def settings(**changes: Any) -> BundleConfig:
    return BundleConfig.model_validate(
        {
            "run": "another name",
            "versions": {"lookalike": "1.2.3"},
            "model": MODEL,
            "pixels": {"height": 256, "width": 128, "resize": "stretch"},
            "loss": {"name": "arcface"},
            "labels": ["a", "b"],
            "training": {"best_epoch": 3, "epochs": 7, "seed": 5, "images": 40},
            "fingerprint": "f" * 64,
            "parity": PARITY,
            "metrics": {"validation": {"counts": {"queries": 196}}},
            **changes,
        }
    )


TABLE = """| | |
|---|---|
| backbone | resnet18 (first weights: timm's <hub>) |
| trained part | layer4, fc |
| embedding | 64 dimensions, unit length, compared by cosine |
| input | 256 x 128 pixels, stretch, uint8 RGB |
| loss | arcface |
| labels | 2 |
| best epoch | 3 of 7, seed 5 |
| arithmetic | 32-true in training; float32 in the bundle |
"""


def test_it_says_what_the_settings_say() -> None:
    card = model_card("pears & apples", settings(), "map 0.5\nmore > less")
    assert card.startswith("# pears & apples\n\nAn image embedding model made with lookalike 1.2.3: nearest")
    assert f"\n\n{TABLE}| graph against torch | cosine >= 0.999999 on 64 images |\n\n## Validation\n" in card
    assert "\n```\nmap 0.5\nmore > less\n```\n" in card
    assert card.endswith("\n\n    lookalike predict bundle=<this folder> image=<file>\n")
    assert "| int8 |" not in card


def test_a_bundle_that_may_run_in_bf16_says_how_well() -> None:
    card = model_card("x", settings(parity=BF16), "")
    assert "| graph against torch | cosine >= 0.999999 on 64 images; in bf16 0.999100 |\n\n## Validation" in card


def test_of_int8_it_tells_what_that_cost() -> None:
    """The rest is the card of the bundle it was made from."""
    whole, quantized = (model_card("x", settings(**more), "same") for more in ({}, {"quantized": INT8}))
    lines = [line for line in quantized.splitlines() if line not in whole.splitlines()]
    assert lines == [
        "| float32 graph against torch | cosine >= 0.999999 on 64 images |",
        "| int8 | from 0123456789ab (mixed): accuracy@1 0.8418 -> 0.8367, mAP 0.8100 -> 0.8111; cosine to the float32 "
        "graph on the 196 validation queries >= 0.9877 |",
    ]
    assert f"{lines[0]}\n{lines[1]}\n\n## Validation" in quantized


def test_a_figure_that_is_missing_is_no_gap_in_the_text() -> None:
    with pytest.raises(UndefinedError, match="has no attribute 'validation'"):
        model_card("x", settings(metrics={}, quantized=INT8), "")


def test_bundles_from_before_dimensions_were_told_have_them_from_the_head() -> None:
    old = settings(model={**MODEL, "dimensions": None, "embedding_size": 32})
    assert "| embedding | 32 dimensions," in model_card("x", old, "")


def test_the_card_in_a_bundle_is_that_of_its_settings(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    text = (bundle_path / "README.md").read_text(encoding="utf-8")
    result = text.partition("```\n")[2].partition("\n```")[0]
    assert text == model_card(bundle_path.name, bundle.config, result)
    assert f"accuracy@1    {bundle.config.metrics['validation'].metrics['accuracy@1']:.4f}" in result


def test_images_of_validation_in_the_gallery_are_told_below_the_figures() -> None:
    usual, more = (
        model_card("x", settings(**given), "same")
        for given in ({}, {"included": {"images": 196, "labels": 40, "copies": 3}})
    )
    added = (
        "Gallery: 196 validation images of 40 labels joined the gallery after all was measured: no figure, threshold "
        "or vote is of the gallery that holds them; 3 more are copies of images in it.\n"
        "A validation image finds itself now, and among more images more unknown ones get a name than a false accept "
        "rate promises.\n"
    )
    assert more == usual.replace("same\n```\n", f"same\n```\n\n{added}")
