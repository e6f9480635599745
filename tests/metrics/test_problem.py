import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.problem import Problem
from lookalike.metrics.valid_references import NO_QUERY_CAMERA, NO_REFERENCE_CAMERA
from metrics.random_problems import case, numbered

MARKS, OWN, NAMES = np.zeros(3, bool), np.full(2, -1), np.array(["a", "b"], object)
LABELS = np.array([0, 1]), np.array([1, 0, 1])


def small(**changed: np.ndarray | None) -> Problem:
    """Two queries, three references, of two labels."""
    usual = {"query_labels": LABELS[0], "reference_labels": LABELS[1], "names": NAMES, "ignore": MARKS, "own_row": OWN}
    return Problem(**(usual | changed))


def test_a_problem_by_hand() -> None:
    """Row 0 is junk, row 1 is query 0 itself, row 2 has the label and camera of query 1, row 3 its label alone."""
    problem = Problem.of(
        ["a", "b", "z"],
        ["a", "a", "b", "b"],
        query_cameras=[1, 1, None],
        reference_cameras=[2, 2, 1, None],
        ignore=np.array([True, False, False, False]),
        exclude_self=np.array([1, -1, -1]),
    )
    assert problem.rows == (3, 4)
    assert problem.names[problem.query_labels].tolist() == ["a", "b", "z"]
    assert problem.valid(slice(None)).tolist() == [
        [False, False, True, True],
        [False, True, False, True],
        [False, True, True, True],
    ]
    assert problem.same_label(1).tolist() == [False, False, True, True]
    assert problem.enrolled().tolist() == [False, True, False]
    assert problem.counts() == {
        "queries": 3,
        "queries_of_unknown_label": 2,
        "references": 3,
        "ignored": 1,
        "distractors": 0,
    }
    assert problem.without_cameras().valid(1).tolist() == [False, True, True, True]


@pytest.mark.parametrize("first", range(0, 110, 11))
def test_one_several_and_some_are_asked_alike(first: int) -> None:
    for seed in range(first, first + 11):
        problem = case(seed).problem
        rng, (queries, references) = np.random.default_rng(seed), problem.rows
        rows, chosen = rng.integers(0, references, 9), rng.integers(0, queries, 4)
        for asked in (problem.valid, problem.same_label):
            whole = np.array([asked(q) for q in range(queries)])
            assert whole.shape == (queries, references)
            assert whole.dtype == bool
            assert np.array_equal(asked(slice(None)), whole)
            assert np.array_equal(asked(slice(1, 5)), whole[1:5])
            assert np.array_equal(asked(chosen), whole[chosen])
            assert np.array_equal(asked(0, rows), whole[0, rows])
            assert np.array_equal(asked(slice(None), slice(2, 7)), whole[:, 2:7])
            assert np.array_equal(asked(chosen, rows), whole[np.ix_(chosen, rows)])


@pytest.mark.parametrize("first", range(0, 110, 11))
def test_a_label_is_enrolled_where_a_reference_counts_whatever_its_camera(first: int) -> None:
    for seed in range(first, first + 11):
        problem = case(seed).problem
        positives = problem.without_cameras().valid(slice(None)) & problem.same_label(slice(None))
        assert problem.enrolled().tolist() == positives.any(1).tolist()


@pytest.mark.parametrize("first", range(0, 110, 11))
def test_a_part_is_the_problem_of_its_rows(first: int) -> None:
    for seed in range(first, first + 11):
        problem, rng = case(seed).problem, np.random.default_rng(seed)
        queries = np.flatnonzero(rng.random(problem.rows[0]) < 0.6)
        references = rng.permutation(problem.rows[1])[: rng.integers(1, problem.rows[1] + 1)]
        part = problem.part(queries, references)
        assert np.array_equal(part.valid(slice(None)), problem.valid(queries, references))
        assert np.array_equal(part.same_label(slice(None)), problem.same_label(queries, references))


def test_a_camera_that_is_missing_equals_no_other() -> None:
    problem = Problem.of(["a"] * 2, ["a"] * 2, query_cameras=[None, 4], reference_cameras=[None, 4])
    assert problem.query_cameras is not None
    assert problem.reference_cameras is not None
    assert (problem.query_cameras[0], problem.reference_cameras[0]) == (NO_QUERY_CAMERA, NO_REFERENCE_CAMERA)
    assert problem.valid(slice(None)).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"query_cameras": [1, 2]},
        {"reference_cameras": [1, 2]},
        {"query_cameras": [1, 2], "reference_cameras": [1, 2], "camera_rule": False},
    ],
)
def test_without_cameras_on_both_sides_no_camera_rule_applies(given: dict) -> None:
    problem = Problem.of(["a", "b"], ["a", "b"], **given)
    assert problem.query_cameras is None
    assert problem.reference_cameras is None
    assert problem.valid(slice(None)).all()


def test_without_labels_nobody_has_a_positive() -> None:
    problem = Problem.unlabelled(np.array([True, False, False]), np.array([2, -1]))
    assert not problem.same_label(slice(None)).any()
    assert problem.valid(slice(None)).tolist() == [[False, True, False], [False, True, True]]
    assert not problem.enrolled().any()


def test_what_a_caller_changes_later_changes_no_problem() -> None:
    ignore = np.zeros(2, bool)
    problem = Problem.of(["a"], ["a", "b"], ignore=ignore)
    ignore[:] = True
    assert problem.valid(0).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ignore": np.zeros(2, bool)}, r"expected ignore of shape \(3,\), got \(2,\)"),
        ({"own_row": np.zeros(3, int)}, r"expected own_row of shape \(2,\), got \(3,\)"),
        ({"own_row": np.array([-1, 3])}, r"expected own_row in -1\.\.2, got -1 to 3"),
        ({"own_row": np.array([-2, 0])}, r"expected own_row in -1\.\.2, got -2 to 0"),
        ({"query_labels": np.array([0, 2])}, r"expected query_labels in 0\.\.1, got 0 to 2"),
        ({"reference_labels": np.array([0, -1, 0])}, r"expected reference_labels in 0\.\.1, got -1 to 0"),
        ({"query_labels": np.array([0.0, 1.0])}, "expected query_labels of int64, got float64"),
        ({"ignore": np.zeros(3, int)}, "expected ignore of bool, got int64"),
        ({"query_cameras": np.zeros(2, int)}, "or of neither, got those of one side"),
        (
            {"query_cameras": np.zeros(2, int), "reference_cameras": np.zeros(2, int)},
            r"expected reference_cameras of shape \(3,\), got \(2,\)",
        ),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changed: dict, message: str) -> None:
    assert small().rows == (2, 3)
    with pytest.raises(EvaluationError, match=message):
        small(**changed)


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        ((["a", None], ["a"]), {}, r"query labels: 1 missing \(first: row 1\): give every row a label"),
        ((["a"], ["a"]), {"query_cameras": [1, 2], "reference_cameras": [1]}, "one camera per query expected"),
        ((["a"], ["a"]), {"ignore": np.zeros(2, bool)}, "one ignore per reference expected, got 1 embeddings and 2"),
        ((["a"], ["a", "b"]), {"exclude_self": True}, "exclude_self: expected .* 1 queries and 2 references"),
        ((["a"], ["a"]), {"rows": (2, 1)}, "one label per query expected, got 2 embeddings and 1 of these"),
        ((["a"], ["a"]), {"camera_rule": "no"}, "camera_rule: expected True or False, got 'no'"),
    ],
)
def test_what_people_give_is_checked(labels: tuple, given: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Problem.of(*labels, **given)


def test_embeddings_of_other_numbers_are_refused() -> None:
    problem = numbered(np.arange(2), np.arange(3))
    problem.check_rows(np.zeros((2, 4)), np.zeros((3, 4)))
    with pytest.raises(EvaluationError, match="one label per reference expected, got 2 embeddings and 3 of these"):
        problem.check_rows(np.zeros((2, 4)), np.zeros((2, 4)))
