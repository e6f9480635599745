"""How was searched, as text, as JSON, and read back from it."""

import json

import pytest

from lookalike.inference.prediction_json import ExactJson, IndexJson
from lookalike.inference.search_facts import ExactInstead, IndexFacts, facts_of

BUILT = IndexFacts(20_000, 100, 8, 0.9875, 1.25)
EXACT = ExactInstead("it is not built yet")


def test_words() -> None:
    assert str(BUILT) == (
        "approximate search of 20000 images: finds 0.9875 of the true ten nearest "
        "(8 of 100 cells searched; built in 1.2 s)"
    )
    assert str(EXACT) == "searched exactly: it is not built yet"


@pytest.mark.parametrize(("facts", "kind"), [(BUILT, IndexJson), (EXACT, ExactJson)])
def test_there_and_back(facts: IndexFacts | ExactInstead, kind: type[IndexJson] | type[ExactJson]) -> None:
    assert facts_of(kind.model_validate(json.loads(json.dumps(facts.to_dict())))) == facts


def test_nothing_was_asked_for() -> None:
    assert facts_of(None) is None
