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


@pytest.mark.parametrize("way", CONVENTIONS.values(), ids=CONVENTIONS)
def test_images_can_be_read_so(way: Convention) -> None:
    PixelSettings(way.height, way.width, way.resize, way.interpolation, way.antialias, way.shorter_side)
    InferenceRules(way.flip, way.scales, way.parts)
    assert all(0 < value < 1 for value in (*way.mean, *way.std))


def test_a_source_may_be_of_several_facts() -> None:
    assert stands_in(height__width="a.py", mean="b.py") == {"height": "a.py", "width": "a.py", "mean": "b.py"}
