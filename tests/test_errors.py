"""Text that errors share."""

import pytest

from lookalike.errors import LookalikeError, ModelError, did_you_mean, listed


@pytest.mark.parametrize(
    ("problems", "shown", "text"),
    [
        ([], 20, ""),
        (["a"], 20, "a"),
        (["a", "b"], 20, "a\n  b"),
        (["a", "b", "c"], 3, "a\n  b\n  c"),
        (["a", "b", "c"], 2, "a\n  b\n  ... and 1 more"),
        (["a", "b", "c"], 0, "... and 3 more"),
    ],
)
def test_problems_are_listed_up_to_a_number(problems: list[str], shown: int, text: str) -> None:
    assert listed(problems, shown) == text


def test_twenty_problems_are_shown_by_default() -> None:
    assert listed([str(number) for number in range(25)]).endswith("  19\n  ... and 5 more")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("xy", "; did you mean xyz?"),
        ("arcfase", "; did you mean arcface?"),
        ("circle", ""),
        ("", ""),
        ("cosfaces", "; did you mean cosface or arcface?"),
    ],
)
def test_the_nearest_names_are_hinted_at(name: str, hint: str) -> None:
    assert did_you_mean(name, ["arcface", "cosface", "xyz"]) == hint


def test_errors_of_the_user_are_one_family() -> None:
    assert issubclass(ModelError, LookalikeError)
    assert issubclass(LookalikeError, ValueError)
