"""What is told of predictions besides the predictions: small labels, limits that are missing."""

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.cli.predict_notes import need_limit, tell_of_small_labels
from lookalike.inference.queries import PredictError

LABELS = ["Kiwi"] * 3 + ["Leek"] * 5


@pytest.mark.parametrize(
    ("k", "all_vote", "expected"),
    [
        (None, True, ""),
        (3, True, ""),
        (4, True, "k=4: 1 of 2 labels have fewer images (least: 3), so others can outvote them: leave k out"),
        (
            9,
            True,
            "k=9: 2 of 2 labels have fewer images (least: 3), so others can outvote them; there are 8 images, so",
        ),
        (9, False, ""),
    ],
)
def test_labels_that_others_can_outvote_are_told(
    k: int | None, all_vote: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_of_small_labels(k, LABELS, all_vote)
    text = " ".join(capsys.readouterr().err.split())
    assert text.startswith(expected)
    assert bool(text) == bool(expected)


@pytest.mark.parametrize("limit", [[], ["threshold=off"], ["false_accept_rate=off"]])
def test_nothing_is_kept_where_nothing_can_be_unknown(limit: list[str]) -> None:
    asked = ["gallery=g", "image=i.jpg", *limit]
    need_limit(read_settings("predict", asked))
    with pytest.raises(PredictError, match=r"^keep_unknown: no image is called unknown without a limit, so none would"):
        need_limit(read_settings("predict", [*asked, "keep_unknown=true"]))


@pytest.mark.parametrize("limit", ["threshold=0.5", "false_accept_rate=0.1"])
def test_a_limit_is_enough(limit: str) -> None:
    need_limit(read_settings("predict", ["gallery=g", "image=i.jpg", "keep_unknown=true", limit]))
