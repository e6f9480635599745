"""Predictions go to JSON and come back as they were; anything else is refused in a line that says where it differs."""

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike import LookalikeError, Model, Neighbour, Prediction, Predictions
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.prediction_json import NoPredictionError
from lookalike.inference.rejection import Rejection
from lookalike.inference.search_facts import ExactInstead, IndexFacts

NEAR = (Neighbour(1, "Kiwi, green", "/photos/Kiwi.jpg", 0.75), Neighbour(2, "Leek", "a\nb", -0.125, number=2**62))
ITEMS = (
    Prediction("new.jpg", "Kiwi, green", 0.5, "Leek", NEAR),
    Prediction("image 2", "unknown", None, None, NEAR[:1], box=(0.0, 1.5, 20.0, 30.0)),
    Prediction("gone.jpg", None, None, None, (), "gone.jpg: is not there: check the path"),
)
REJECTIONS = (
    Rejection(0.4),
    Rejection(0.4, note="made by an earlier version"),
    Rejection(0.5, 0.1, 0.08, (0.02, 0.2), 2000, 40, False),
    Rejection(0.5, 0.01, 0.08, (0.02, 0.2), 30, 3, True),  # with a doubt
    Rejection(0.5, 0.01, 0.08, (0.02, 0.2), 30, 3, True, "made by an earlier version"),
)


def as_json(values: object) -> str:
    return json.dumps(values, allow_nan=False)


def predictions(**others: Any) -> Predictions:
    return Predictions("2026-05-04T09:30:00+02:00", "shop", "f" * 64, 2, ITEMS, **others)


@pytest.mark.parametrize("rejection", [None, *REJECTIONS])
@pytest.mark.parametrize("vote", [None, VoteConfig(k=3, weighted=True)])
def test_there_and_back(rejection: Rejection | None, vote: VoteConfig | None) -> None:
    made = predictions(rejection=rejection, precision="bf16", vote=vote)
    text = as_json(made.to_dict())
    back = Predictions.from_dict(json.loads(text))
    assert as_json(back.to_dict()) == text
    assert back == made


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_a_doubt_is_not_told_twice(rejection: Rejection) -> None:
    back = Rejection.from_dict(json.loads(as_json(rejection.to_dict())))
    assert (back, back.note, back.warning) == (rejection, rejection.note, rejection.warning)


def test_what_a_bundle_predicts_comes_back(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    files: list[str | Path] = [*sorted((digits / "test").rglob("*.png"))[:3], digits / "gone.png"]
    made = Model.load(bundle_path).predict(files, false_accept_rate=0.5)
    back = Predictions.from_dict(json.loads(made.write(tmp_path).read_text()))
    assert as_json(back.to_dict()) == as_json(made.to_dict())
    assert back[0].figure().size == made[0].figure().size


def test_parts_come_back_alone() -> None:
    assert Neighbour.from_dict(NEAR[1].to_dict()) == NEAR[1]
    assert Prediction.from_dict(ITEMS[1].to_dict()) == ITEMS[1]


@pytest.mark.parametrize("index", [IndexFacts(20_000, 100, 8, 0.9875, 1.25), ExactInstead("it is not built yet")])
def test_how_was_searched_comes_back(index: IndexFacts | ExactInstead) -> None:
    made = predictions(index=index)
    back = Predictions.from_dict(json.loads(as_json(made.to_dict())))
    assert back == made
    assert as_json(back.to_dict()) == as_json(made.to_dict())


def test_what_a_later_version_adds_is_passed_over() -> None:
    values = predictions().to_dict() | {"speed": {"kind": "ivf"}}
    values["items"][0]["neighbours"][0]["camera"] = 3
    assert Predictions.from_dict(values) == predictions()


@pytest.mark.parametrize(
    ("schema", "advice"),
    [
        (2, "expected schema 1, found 2: pip install -U lookalike"),
        (None, "expected schema 1, found None: give what Predictions.to_dict gave"),
        ("1", "found '1': give what"),
    ],
)
def test_another_schema_is_refused(schema: object, advice: str) -> None:
    with pytest.raises(NoPredictionError, match=advice):
        Predictions.from_dict({**predictions().to_dict(), "schema": schema})


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        (("k",), -1, "Predictions.from_dict: k: Input should be greater than or equal to 0"),
        (("items",), "many", "Predictions.from_dict: items: Input should be a valid tuple"),
        (("items", 0, "score"), 1.5, "items.0.score: Input should be less than or equal to 1"),
        (
            ("items", 0, "neighbours", 1, "similarity"),
            float("nan"),
            "items.0.neighbours.1.similarity: Input should be a",
        ),
        (("items", 1, "box"), [1, 2, 3], "items.1.box.3: Field required"),
    ],
)
def test_a_value_of_another_kind_is_refused(place: tuple[str | int, ...], value: object, text: str) -> None:
    values: Any = json.loads(as_json(predictions().to_dict()))
    inner = values
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(NoPredictionError, match=rf"{text}.*: give what Predictions\.to_dict gave"):
        Predictions.from_dict(values)


@pytest.mark.parametrize("kind", [Neighbour, Prediction, Predictions, Rejection])
@pytest.mark.parametrize("values", [{}, [], None, "text", 7])
def test_what_is_no_prediction_is_refused_in_a_line(kind: Any, values: object) -> None:
    with pytest.raises(LookalikeError, match=rf"^{kind.__name__}\.from_dict: .*: give what .*to_dict gave$"):
        kind.from_dict(values)
