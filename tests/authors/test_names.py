"""Our networks beside those of their authors, by what `benchmarks/authors.py --names` kept of them.

A file of `names` holds names and shapes of an author's own module, and what it made of a fixed input with weights that
follow from names and shapes (`recipe`): these 32 numbers hang on every tensor.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recipe
import torch

from lookalike.models.networks.assembled import Assembled, assembled
from small_networks import fill

NAMES = Path(__file__).parent / "names"
KINDS = [file.stem for file in sorted(NAMES.glob("*.json"))]
_BEHIND = re.compile(  # of the loss, of a text tower, of what ImageNet left
    r"(classifier(_proj|_\d)?\.|classifier_(global|local)\.|classifier\d*\.(add_block|classifier)\.|conv5\.layers\.)"
    r"|heads\.weight|model\.fc\.|base\.fc\."
)
_LARGE = 3_000_000  # parameters, above which filling them takes a while


@cache
def kept(kind: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((NAMES / f"{kind}.json").read_text(encoding="utf-8"))
    return content


def shapes_of(kind: str) -> dict[str, tuple[int, ...]]:
    return recipe.read(kept(kind)["tensors"])


def made(kind: str) -> Assembled:
    network = assembled(shapes_of(kind), tuple(kept(kind)["size"]))
    assert network is not None, kind
    return network


def test_every_project_is_there() -> None:
    projects = {kept(kind)["project"] for kind in KINDS}
    wanted = {"torchreid", "fast-reid", "reid-strong-baseline", "AGW", "layumi", "layumi PCB", "TransReID", "CLIP-ReID"}
    assert wanted <= projects
    assert len(KINDS) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_are_those_of_the_authors(kind: str) -> None:
    with torch.device("meta"):
        network = made(kind)
    assert not [name for name in network.unused if not _BEHIND.match(name)]
    assert network.convention.project.startswith(kept(kind)["project"])
    theirs = {name for name in shapes_of(kind) if not _BEHIND.match(name)}
    ours = {name for name in network.network.state_dict() if not name.endswith("num_batches_tracked")}
    assert theirs <= ours


def _marked() -> list[Any]:
    """Kinds, those marked that take a while; replicas are run themselves (`test_replicas`)."""
    own = [kind for kind in KINDS if not kind.startswith("replica-")]
    sizes = {kind: sum(int(np.prod(shape)) for shape in shapes_of(kind).values()) for kind in own}
    return [pytest.param(kind, marks=[pytest.mark.slow] if sizes[kind] > _LARGE else []) for kind in own]


@pytest.mark.parametrize("kind", _marked())
def test_the_embedding_is_that_of_the_authors(kind: str) -> None:
    network = made(kind)
    fill(network.network)
    cameras = kept(kind).get("cameras")
    sides = torch.arange(recipe.IMAGES) % cameras if cameras else None
    with torch.no_grad():
        embedding = network.with_rules()(torch.from_numpy(recipe.pixels(*kept(kind)["size"])), sides)
    golden = kept(kind)["golden"]
    assert embedding.shape == (recipe.IMAGES, golden["size"])
    assert np.isfinite(golden["projected"]).all()
    np.testing.assert_allclose(recipe.projected(embedding.numpy()), golden["projected"], atol=2e-5)
    assert np.abs(np.diff(golden["projected"], axis=0)).max() > 1e-3  # two images, two embeddings


def test_names_are_written_and_read_back() -> None:
    shapes = {"a.0.weight": (3, 2), "a.0.bias": (3,), "cls": (1, 1, 4), "a.0.num_batches_tracked": (), "scale": ()}
    lines = recipe.written(shapes)
    assert lines == ["a.0 3x2: weight; 3: bias", ". 1x1x4: cls; one: scale"]
    assert recipe.read(lines) == {name: shape for name, shape in shapes.items() if "tracked" not in name}
