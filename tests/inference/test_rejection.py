"""When a prediction says unknown: any rate, any similarity, never; bundles of earlier versions included."""

import json

import numpy as np
import pytest

from lookalike.inference.bundle_config import OpenSet, ThresholdConfig, UnknownsConfig
from lookalike.inference.rejection import Rejection, RejectionError, rejection


def entry(similarity: float, rate: float, **more: object) -> ThresholdConfig:
    facts = {"measured_false_accept_rate": rate, "detection_rate": 0.9, "queries": 99}
    return ThresholdConfig.model_validate({"similarity": similarity, "false_accept_rate": rate, **facts, **more})


EARLIER = OpenSet(false_accept_rate=0.1, thresholds=[entry(0.8, 0.05), entry(0.6, 0.1), entry(0.5, 0.2)])
SAMPLE = UnknownsConfig(similarity=[n / 100 for n in range(99)], labels=[n % 9 for n in range(99)], trained=False)
NOW = OpenSet(thresholds=[entry(0.89, 0.1, labels=9, trained=False, interval_95=(0.05, 0.2))], unknowns=SAMPLE)


def test_off_is_never_and_nothing_is_what_the_bundle_keeps_to() -> None:
    assert rejection(EARLIER, "off") is rejection(EARLIER, None, "off") is None
    assert rejection(NOW) is None
    kept = rejection(EARLIER)
    assert kept is not None
    assert (kept.similarity, kept.promised) == (0.6, 0.1)


def test_any_rate_is_answered() -> None:
    stored, between = rejection(NOW, None, 0.1), rejection(NOW, None, 0.07)
    assert stored is not None
    assert between is not None
    assert (stored.similarity, stored.interval_95) == (0.89, (0.05, 0.2))
    assert between.similarity == pytest.approx(0.92), "six of 99 lie above: with the next one, seven of a hundred"
    assert between.measured == pytest.approx(0.07, abs=0.02)
    assert stored.warning == between.warning == ""


def test_any_similarity_is_answered_with_what_passes_it() -> None:
    given = rejection(NOW, 0.4949)
    assert given is not None
    assert (given.similarity, given.promised, given.warning) == (0.4949, None, "")
    assert given.measured == pytest.approx(49 / 99)
    assert "0.495 (95 % 0." in str(given)
    assert "measured on 99 images of 9 labels that were not trained on" in str(given)
    assert str(rejection(EARLIER, 0.3)) == "threshold: a similarity of 0.300 to the nearest known image"


def test_of_an_earlier_bundle_the_next_stricter_threshold_is_taken_and_told() -> None:
    given = rejection(EARLIER, None, 0.07, "models/old")
    assert given is not None
    assert (given.similarity, given.promised) == (0.8, 0.05)
    assert given.warning.startswith("models/old was made by an earlier version: the threshold is that of the next sma")
    assert "chosen on labels that were trained on" in given.warning


def test_plain_values() -> None:
    given = rejection(EARLIER, None, 0.1)
    assert given is not None
    values = json.loads(json.dumps(given.to_dict()))
    assert list(values) == ["similarity", "promised", "measured", "images", "trained", "supported", "warning"]
    assert Rejection(0.5).to_dict() == {"similarity": 0.5, "images": 0, "trained": True}


def test_a_rate_that_cannot_be_supported_is_asked_and_not_promised() -> None:
    given = rejection(NOW, None, 0.0001)
    assert given is not None
    assert not given.supported
    assert "false accept rate 0.0001 asked, " in str(given)
    assert "99 images cannot support 0.0001: the least that can be promised from so many is 0.01: ask" in given.warning
    values = given.to_dict()
    assert (values["promised"], values["supported"], values["least_supported"]) == (0.0001, False, 0.01)
    kept = rejection(NOW, None, 0.01)
    assert kept is not None
    assert kept.supported
    assert "false accept rate 0.01 promised, " in str(kept)
    few = Rejection(0.5, 0.1, images=200, labels=2, trained=False)
    assert not few.supported
    assert "least_supported" not in few.to_dict(), "more images of these labels would not do"


@pytest.mark.parametrize(
    ("open_set", "threshold", "rate", "expected"),
    [
        (NOW, 0.5, 0.1, "threshold=0.5 and false_accept_rate=0.1: expected one of them, got both: leave one out"),
        (NOW, "off", 0.1, "expected one of them, got both"),
        (NOW, 2.0, None, "threshold=2: expected a cosine similarity, -1 to 1"),
        (NOW, None, 1.5, "false_accept_rate=1.5: expected a share above 0 and below 1, such as 0.05, or off"),
        (EARLIER, None, 0.01, "false_accept_rate=0.01: b was made by an earlier .* 0.05, 0.1, 0.2: give a larger rate"),
        (OpenSet(), None, 0.1, "has thresholds for none: give a larger rate, give threshold=<similarity>, or train it"),
    ],
)
def test_what_cannot_be_answered_is_refused(open_set: OpenSet, threshold: float, rate: float, expected: str) -> None:
    with pytest.raises(RejectionError, match=expected):
        rejection(open_set, threshold, rate, "b")


@pytest.mark.parametrize("odd", ["x", [1], True, float("nan"), 1.5, np.array([0.1, 0.2])])
def test_what_is_no_similarity_and_no_share_is_refused(odd: object) -> None:
    with pytest.raises(RejectionError, match=r"^threshold=.*: expected a cosine similarity, -1 to 1$"):
        rejection(OpenSet(), odd)  # type: ignore[arg-type]
    with pytest.raises(
        RejectionError, match=r"^false_accept_rate=.*: expected a share above 0 and below 1, such as 0.05, or off$"
    ):
        rejection(OpenSet(), None, odd)  # type: ignore[arg-type]
