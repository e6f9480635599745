import re
from dataclasses import fields

import pytest

from lookalike.data.pixels import PixelSettings
from lookalike.models.networks.conventions.convention import UNCHANGED, Convention, stands_in
from lookalike.models.networks.conventions.every import CONVENTIONS
from lookalike.models.networks.inference_rules import InferenceRules


@pytest.mark.parametrize("way", CONVENTIONS.values(), ids=CONVENTIONS)
def test_every_fact_says_where_it_stands(way: Convention) -> None:
    facts = way.facts()
    names = (
        {part.name for part in fields(Convention)} - UNCHANGED - ({"shorter_side"} if not way.shorter_side else set())
    )
    assert set(facts) == names == set(way.sources)
    for name, (value, source) in facts.items():
        assert value != "", name
        assert len(source) > 12, name
        assert source.strip() == source
    assert way.version


# Height, width, kernel, first mean, mirrored image, stripes, whether the embedding gets unit length: as the projects'
# own configurations, transforms and tests have them, written down a second time.
IMAGENET = 0.485
AS_PROJECTS_HAVE_IT = {
    "torchreid": (256, 128, "bilinear", IMAGENET, "none", 1, False),
    "torchreid hacnn": (160, 64, "bilinear", IMAGENET, "none", 1, False),
    "torchreid pcb": (384, 128, "bilinear", IMAGENET, "none", 1, False),
    "fast-reid": (256, 128, "bicubic", IMAGENET, "none", 1, True),
    "fast-reid SBS": (384, 128, "bicubic", IMAGENET, "none", 1, True),
    "reid-strong-baseline": (256, 128, "bilinear", IMAGENET, "none", 1, True),
    "AGW": (256, 128, "bilinear", IMAGENET, "none", 1, True),
    "layumi": (256, 128, "bicubic", IMAGENET, "sum", 1, True),
    "layumi PCB": (384, 192, "bicubic", IMAGENET, "sum", 6, True),
    "layumi trunks": (256, 128, "bicubic", IMAGENET, "sum", 1, True),
    "layumi Swin": (224, 224, "bicubic", IMAGENET, "sum", 1, True),
    "TransReID": (256, 128, "bilinear", 0.5, "none", 1, True),
    "CLIP-ReID": (256, 128, "bilinear", 0.5, "none", 1, True),
    "CLIP-ReID RN50": (256, 128, "bilinear", IMAGENET, "none", 1, True),
    "IBN-Net": (224, 224, "bilinear", IMAGENET, "none", 1, False),
    "open-metric-learning": (224, 224, "bilinear", IMAGENET, "none", 1, False),
}


@pytest.mark.parametrize("name", AS_PROJECTS_HAVE_IT)
def test_facts_are_those_of_the_projects(name: str) -> None:
    way = CONVENTIONS[name]
    facts = (way.height, way.width, way.interpolation, way.mean[0], way.flip, way.parts, way.unit_length)
    assert facts == AS_PROJECTS_HAVE_IT[name]
    assert way.antialias == (name != "open-metric-learning")
    assert way.resize == {"IBN-Net": "crop", "open-metric-learning": "pad"}.get(name, "stretch")


@pytest.mark.parametrize("way", CONVENTIONS.values(), ids=CONVENTIONS)
def test_sources_of_numbers_name_a_file(way: Convention) -> None:
    """What nobody can look up is no source."""
    for name in ("height", "width", "resize", "interpolation", "antialias", "mean", "std", "flip", "scales", "taken"):
        assert re.search(r"\w\.(py|yml|yaml|md)\b|arXiv \d", way.sources[name]), (way.project, name)


@pytest.mark.parametrize("way", CONVENTIONS.values(), ids=CONVENTIONS)
def test_images_can_be_read_so(way: Convention) -> None:
    PixelSettings(way.height, way.width, way.resize, way.interpolation, way.antialias, way.shorter_side)
    InferenceRules(way.flip, way.scales, way.parts)
    assert all(0 < value < 1 for value in (*way.mean, *way.std))


def test_a_source_may_be_of_several_facts() -> None:
    assert stands_in(height__width="a.py", mean="b.py") == {"height": "a.py", "width": "a.py", "mean": "b.py"}
