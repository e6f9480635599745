"""What is taken and given, as types: strict, plain, and told in words for the OpenAPI document."""

import inspect

import pytest
from pydantic import BaseModel, ValidationError

from lookalike.inference import prediction_json
from lookalike.serving import answers
from lookalike.serving import options as options_of
from lookalike.serving.connection import SCHEMA
from lookalike.serving.uploads import Options

KINDS = [
    kind
    for name, kind in inspect.getmembers(answers, inspect.isclass)
    if issubclass(kind, BaseModel) and kind.__module__ == answers.__name__ and not name.startswith("_")
]
TAKEN = [kind for kind in KINDS if issubclass(kind, Options)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_unknown_is_passed_over(kind: type[BaseModel]) -> None:
    assert kind.model_config["extra"] == "forbid"
    assert kind.__doc__


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.__name__)
def test_options_hold_plain_values(kind: type[BaseModel]) -> None:
    assert "$defs" not in kind.model_json_schema()
    assert kind.model_config["frozen"]


def test_a_client_understands_the_schema_that_a_service_speaks() -> None:
    assert SCHEMA == answers.SCHEMA


def test_predictions_have_the_fields_that_are_read_back() -> None:
    pairs = (
        (answers.NeighbourAnswer, prediction_json.NeighbourJson),
        (answers.ItemAnswer, prediction_json.PredictionJson),
        (answers.PredictAnswer, prediction_json.PredictionsJson),
    )
    for given, read in pairs:
        assert set(read.model_fields) - {"index"} <= set(given.model_fields), "a service searches exactly"


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (options_of.SearchOptions, {"embeddings": []}, "at least 1 item"),
        (options_of.SearchOptions, {"embeddings": [[1.0]] * 1001}, "at most 1000 items"),
        (options_of.SearchOptions, {"embeddings": [[float("inf")]]}, "finite number"),
        (options_of.SearchOptions, {"embeddings": [[1.0]], "k": 1001}, "less than or equal to 1000"),
        (options_of.MoveOptions, {"images": [0], "to": "a"}, "greater than or equal to 1"),
        (options_of.MoveOptions, {"images": [2**63], "to": "a"}, "less than"),
        (options_of.MergeOptions, {"labels": [""], "to": "a"}, "at least 1 character"),
        (options_of.RenameOptions, {"label": "x" * 1001, "to": "a"}, "at most 1000 characters"),
        (options_of.UndoOptions, {"change": True, "note": 3}, "valid string"),
        (options_of.ImagesOptions, {"label": "a", "first": -1}, "greater than or equal to 0"),
        (options_of.AddOptions, {"label": "a", "columns": {"shelf": {"x": 1}}}, "valid"),
        (options_of.PredictOptions, {"false_accept_rate": 1}, "less than 1"),
    ],
)
def test_ranges(kind: type[BaseModel], values: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        kind.model_validate(values)
