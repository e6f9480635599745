from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.rerank_options import RerankError


def test_nothing_given_is_how_evaluate_measures() -> None:
    options = EvaluationOptions()
    assert (options.ks, options.vote_ks, options.ap) == ((1, 5, 10, 20), (1, 5, 10), "rectangle")
    assert (options.similarity, options.device, options.rerank, options.threads) == ("cosine", "cpu", "none", None)
    assert options.rerank_settings == {}


def test_settings_of_the_re_ranking_stand_over_the_usual_ones() -> None:
    options = EvaluationOptions(rerank="k_reciprocal", rerank_options={"k1": 8})
    assert options.rerank_settings == {"k1": 8, "k2": 6, "weight": 0.3}
    assert EvaluationOptions(rerank="expand").rerank_settings == {"k": 10, "alpha": 3.0}


def test_depths_may_be_numbers_of_numpy() -> None:
    assert EvaluationOptions(ks=np.array([1, 3]), vote_ks=[]).ks == (1, 3)
    assert EvaluationOptions(ks=(k for k in (1, 5))).ks == (1, 5)


def test_options_stay_as_they_were_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        EvaluationOptions().ap = "trapezoid"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"ks": (0,)},
            r"expected depths that are whole numbers from 1 to 2\^62 and ap .*, got \[0, 1, 5, 10\] and rectangle",
        ),
        ({"vote_ks": (2.5,)}, "expected depths that are whole numbers from 1"),
        ({"ap": "square"}, "ap rectangle or trapezoid, got .* and square"),
        ({"similarity": "dot"}, "expected similarity cosine or euclidean, device cpu or cuda: got dot, cpu"),
        ({"ks": (2**70,)}, r"whole numbers from 1 to 2\^62"),
        ({"similarity": np.array(["cosine", "x"])}, "similarity: expected one word, got array"),
        ({"device": ["cpu"]}, r"device: expected one word, got \['cpu'\]"),
        ({"ap": np.array(["rectangle"])}, "ap: expected one word, got array"),
        ({"rerank": ["k_reciprocal"]}, r"rerank: expected one word, got \['k_reciprocal'\]"),
        ({"device": "tpu"}, "device cpu or cuda: got cosine, tpu"),
        ({"ks": 5}, r"ks: expected several depths such as \(1, 5\), got 5"),
        ({"threads": "2"}, "threads: expected 1 or more, or None for one per core, got '2'"),
        ({"threads": 0}, "threads: expected 1 or more, or None for one per core, got 0"),
        ({"rerank": "expand", "similarity": "euclidean"}, "rerank expand: expected similarity cosine, got euclidean"),
        ({"rerank": "k_reciprocal", "device": "cuda"}, "expected device cpu, got cuda: it has no GPU back end"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(given: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        EvaluationOptions(**given)


def test_an_unknown_re_ranking_is_refused_with_a_hint() -> None:
    with pytest.raises(RerankError, match="got expnd; did you mean expand"):
        EvaluationOptions(rerank="expnd")
    with pytest.raises(RerankError, match="expected options of rerank none: no option, got k"):
        EvaluationOptions(rerank_options={"k": 3})
