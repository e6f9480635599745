"""What is taken, as types: strict, plain, and within limits."""

import inspect

import pytest
from pydantic import BaseModel, ValidationError

from lookalike.serving import options
from lookalike.serving.uploads import Options

TAKEN = [
    kind
    for _, kind in inspect.getmembers(options, inspect.isclass)
    if issubclass(kind, Options) and kind.__module__ == options.__name__
]


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: kind.__name__)
def test_options_hold_plain_values(kind: type[BaseModel]) -> None:
    assert "$defs" not in kind.model_json_schema()
    assert kind.model_config["frozen"]
    assert kind.model_config["extra"] == "forbid"
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (options.SearchOptions, {"embeddings": []}, "at least 1 item"),
        (options.SearchOptions, {"embeddings": [[1.0]] * 1001}, "at most 1000 items"),
        (options.SearchOptions, {"embeddings": [[float("inf")]]}, "finite number"),
        (options.SearchOptions, {"embeddings": [[1.0]], "k": 1001}, "less than or equal to 1000"),
        (options.MoveOptions, {"image": [0], "to": "a"}, "greater than or equal to 1"),
        (options.MoveOptions, {"image": [2**63], "to": "a"}, "less than"),
        (options.MergeOptions, {"labels": [""], "to": "a"}, "at least 1 character"),
        (options.RenameOptions, {"label": "x" * 1001, "to": "a"}, "at most 1000 characters"),
        (options.UndoOptions, {"change": True, "note": 3}, "valid string"),
        (options.ImagesOptions, {"label": "a", "first": -1}, "greater than or equal to 0"),
        (options.AddOptions, {"label": "a", "columns": {"shelf": {"x": 1}}}, "valid"),
        (options.PredictOptions, {"false_accept_rate": 1}, "less than 1"),
    ],
)
def test_ranges(kind: type[BaseModel], values: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        kind.model_validate(values)
