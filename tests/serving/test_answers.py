"""What is given, as types: strict, plain, and told in words for the OpenAPI document."""

import inspect

import pytest
from pydantic import BaseModel

from lookalike.inference import prediction_json
from lookalike.serving import answers
from lookalike.serving.connection import SCHEMA

KINDS = [
    kind
    for name, kind in inspect.getmembers(answers, inspect.isclass)
    if issubclass(kind, BaseModel) and kind.__module__ == answers.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_unknown_is_passed_over(kind: type[BaseModel]) -> None:
    assert kind.model_config["extra"] == "forbid"
    assert kind.__doc__


def test_a_client_understands_the_schema_that_a_service_speaks() -> None:
    assert SCHEMA == answers.SCHEMA


def test_predictions_have_the_fields_that_are_read_back() -> None:
    pairs = (
        (answers.NeighbourAnswer, prediction_json.NeighbourJson),
        (answers.ItemAnswer, prediction_json.PredictionJson),
        (answers.PredictAnswer, prediction_json.PredictionsJson),
    )
    for given, read in pairs:
        apart = {"explanation"}  # has an endpoint of its own
        assert set(read.model_fields) - apart <= set(given.model_fields)
