"""What networks of transformers make of a fixed input, by what was kept of real ones.

A file of `transformers` (`-in-memory`: by the names of version 5, which `save_pretrained` turns into the older ones)
holds names and shapes of a model of that package and what it made of fixed pixels, with
weights that follow from names and shapes alone (`tests/authors/recipe.py`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lookalike.recognition.network import network_of
from lookalike.recognition.recognise import recognise
from lookalike.recognition.renaming.hugging_face import DINOV2, SIGLIP
from small_networks import recipe

KEPT = Path(__file__).parents[1] / "transformers"
KINDS = [file.stem for file in sorted(KEPT.glob("*.json"))]
_LARGE = ("swin", "convnext", "clip", "dinov2", "siglip")
PIXELS = {
    **{"size": {"height": 224, "width": 224}, "do_center_crop": False, "resample": 3},
    **{"image_mean": [0.5] * 3, "image_std": [0.25] * 3},
}


def folder_of(kind: str, folder: Path) -> tuple[dict[str, Any], Path]:
    """As `save_pretrained` writes it."""
    kept: dict[str, Any] = json.loads((KEPT / f"{kind}.json").read_text(encoding="utf-8"))
    shapes = recipe.read(kept["tensors"])
    tensors = {name: torch.from_numpy(np.asarray(recipe.filled(name, shape))) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(kept["config"]))
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS))
    return kept, folder / "model.safetensors"


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind.startswith(_LARGE) else []) for kind in KINDS]
)
def test_embeddings_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    kept, file = folder_of(kind, tmp_path)
    recognised, tensors = recognise(file)
    facts = recognised.facts
    assert facts["architecture"].value == kept["architecture"]
    assert facts["project"].value == "transformers"
    assert (facts["height"].value, facts["height"].source) == (224, "saved settings")
    assert (facts["std"].value, facts["interpolation"].value) == ([0.25] * 3, "bicubic")
    with torch.no_grad():
        embedding = network_of(recognised, tensors).network(torch.from_numpy(recipe.pixels(224, 224)))
    assert embedding.shape == (recipe.IMAGES, kept["size"])
    np.testing.assert_allclose(recipe.projected(embedding.numpy()), kept["projected"], atol=1e-4)


def test_there_are_thirteen_of_them() -> None:
    assert len(KINDS) == 13


def test_the_pooling_of_siglip_is_cut_in_two() -> None:
    shapes = {
        "v.head.attention.in_proj_weight": (12, 4),
        "v.head.attention.in_proj_bias": (12,),
        "v.head.probe": (1, 1, 4),
    }
    places = SIGLIP.places("v.", shapes)
    assert (places["attn_pool.q.weight"].shape, places["attn_pool.q.weight"].cut) == ((4, 4), (0, 0, 4))
    assert (places["attn_pool.kv.bias"].shape, places["attn_pool.kv.bias"].cut) == ((8,), (0, 4, 12))
    for shape in ((), (0,), (13, 4)):
        assert SIGLIP.places("", {"head.attention.in_proj_weight": shape}).keys() <= {
            "attn_pool.q.weight",
            "attn_pool.kv.weight",
        }


def test_with_registers_the_class_token_has_its_position_in_it() -> None:
    shapes = {"embeddings.cls_token": (1, 1, 4), "embeddings.register_tokens": (1, 4, 4)}
    places = DINOV2.places("", {**shapes, "embeddings.position_embeddings": (1, 10, 4)})
    assert places["cls_token"].plus == ("embeddings.position_embeddings", 1, 0, 1)
    assert (places["pos_embed"].shape, places["pos_embed"].cut) == ((1, 9, 4), (1, 1, 10))
    assert DINOV2.places("", {**shapes, "embeddings.position_embeddings": (4,)})["pos_embed"].cut is None
