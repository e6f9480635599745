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
from small_networks import recipe

KEPT = Path(__file__).parents[1] / "transformers"
KINDS = [file.stem for file in sorted(KEPT.glob("*.json"))]
_LARGE = ("swin", "convnext", "clip", "dinov2")
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


def test_there_are_eleven_of_them() -> None:
    assert len(KINDS) == 11
