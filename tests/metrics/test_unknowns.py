"""A false accept rate is kept to on labels that chose nothing, and its doubt is told."""

import numpy as np
import pytest

from lookalike.metrics.unknowns import Unknowns, doubt, least_of, pooled, rate_of, supports


def drawn(labels: int, each: int, seed: int, spread: float = 0.1) -> Unknowns:
    """Similarities with a part that is common to each label."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, spread, labels).repeat(each)
    return Unknowns(0.4 + own + rng.normal(0, 0.1, labels * each), np.arange(labels).repeat(each), trained=False)


def test_the_limit_is_the_lowest_that_the_next_one_passes_rarely_enough() -> None:
    nine = Unknowns(np.arange(1, 10) / 10, np.arange(9), trained=False)
    assert nine.limit(0.1) == 0.9, "of ten images one is the nearest: the next one, with a probability of a tenth"
    assert nine.limit(0.2) == 0.8
    assert nine.limit(1.0) == 0.1
    assert nine.limit(0.05) == nine.limit(0.0) == 0.9, "less cannot be told"


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_new_labels_pass_as_often_as_promised(rate: float) -> None:
    passed = [(drawn(20, 10, 1000 + seed).similarity > drawn(40, 10, seed).limit(rate)).mean() for seed in range(200)]
    assert np.mean(passed) == pytest.approx(rate, abs=0.15 * rate + 0.005)


def test_the_measured_rate_is_that_of_labels_that_did_not_choose() -> None:
    """By hand: of two labels each is judged by the other's highest similarity."""
    two = Unknowns(np.array([0.9, 0.8, 0.3, 0.2]), np.array([0, 0, 1, 1]), trained=False)
    assert two.limit(0.1) == 0.9
    assert two.measured(0.1)[0] == 0.5, "both of the nearer label pass where it has not been seen"
    assert two.accepted(0.85)[0] == 0.25


def test_intervals_hold_the_truth_although_images_of_a_label_are_alike() -> None:
    truth = float((drawn(200_000, 1, 0).similarity > 0.6).mean())
    parts = [drawn(30, 20, seed).accepted(0.6)[1] for seed in range(1, 301)]
    held = np.mean([low <= truth <= high for low, high in parts])
    alone = [rate_of(drawn(30, 20, seed).similarity > 0.6, np.arange(600))[1] for seed in range(1, 301)]
    naive = np.mean([low <= truth <= high for low, high in alone])
    assert held > 0.85
    assert naive < 0.65


def test_the_interval_of_none_counts_labels() -> None:
    share, (low, high) = rate_of(np.zeros(100, bool), np.arange(100) % 10)
    assert (share, low) == (0.0, 0.0)
    assert high == pytest.approx(1.959964**2 / (10 + 1.959964**2))
    assert rate_of(np.zeros(0, bool), np.zeros(0, int))[1] == (0.0, 1.0)
    wide = rate_of(np.array([True, False, True, False]), np.zeros(4, int))[1]
    assert wide[0] < 0.1 < 0.9 < wide[1], "one label tells nothing about others"


def test_labels_of_several_networks_stay_apart() -> None:
    first, second = drawn(3, 2, 0), drawn(2, 2, 1)
    both = pooled([first, second])
    assert both.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert not both.trained
    assert pooled([first, Unknowns(second.similarity, second.labels, trained=True)]).trained


def test_a_thinned_sample_gives_nearly_the_same_limits() -> None:
    many = drawn(100, 50, 0)
    few = many.thinned()
    assert len(few) == 2000
    for rate in (0.01, 0.1, 0.5):
        assert few.limit(rate) == pytest.approx(many.limit(rate), abs=0.01)
    assert len(drawn(4, 5, 0).thinned()) == 20


@pytest.mark.parametrize(
    ("rate", "images", "labels", "trained", "expected"),
    [
        (0.1, 200, 20, False, ""),
        (0.1, 200, None, False, ""),
        (0.1, 200, 20, True, "chosen on labels that were trained on, so more images of really unknown labels will"),
        (
            0.01,
            40,
            20,
            False,
            "40 images cannot support 0.01: the least that can be promised from so many is 0.025: ask",
        ),
        (0.1, 400, 4, False, "400 images of 4 labels cannot support 0.1, as they tell little about other labels: have"),
        (0.01, 40, None, False, "40 images cannot support 0.01"),
        (0.01, 1, 1, False, "1 image of 1 label cannot support 0.01"),
    ],
)
def test_a_rate_that_the_images_cannot_support_is_told(
    rate: float, images: int, labels: int | None, trained: bool, expected: str
) -> None:
    assert supports(rate, images, labels) == (trained or not expected)
    text = doubt(rate, images, labels, trained)
    assert text.startswith(expected)
    assert bool(text) == bool(expected)


@pytest.mark.parametrize("images", [0, 1, 5, 9, 40, 71, 99, 123, 2000, 123456])
def test_the_least_rate_that_is_told_can_be_promised(images: int) -> None:
    least = least_of(images)
    assert supports(least, images)
    assert 1 / (images + 1) <= least <= 1.1 / (images + 1)
