"""A threshold from what is enrolled: each label in turn plays one that is not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.gallery import unknown_limit
from lookalike.gallery.unknown_limit import limit_within, limits_within
from lookalike.inference.references import GalleryError, References
from lookalike.inference.rejection import RejectionError


def references(embeddings: np.ndarray, labels: list[str]) -> References:
    unit = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    return References(unit, labels, [f"{row}.jpg" for row in range(len(labels))], Path(), "f" * 64, "float32")


def strangers(known: References) -> np.ndarray:
    """Per image the similarity of the nearest image of another label, in a plain loop."""
    return np.array(
        [
            max(
                float(known.embeddings[row] @ known.embeddings[other])
                for other in range(len(known))
                if known.labels[other] != known.labels[row]
            )
            for row in range(len(known))
        ]
    )


def passing(similarity: np.ndarray, limit: float) -> float:
    """The share above a limit, among these and the next one, which counts as above."""
    return (int((similarity > limit).sum()) + 1) / (len(similarity) + 1)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_lowest_that_keeps_to_the_rate(rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [f"label {number}" for number in rng.integers(0, 9, 120)]
    known = references(rng.standard_normal((120, 6)), labels)
    similarity = strangers(known)
    chosen = limit_within(known, rate)
    assert passing(similarity, chosen.similarity + 1e-6) <= rate
    assert passing(similarity, similarity[similarity < chosen.similarity - 1e-6].max()) > rate
    assert (chosen.promised, chosen.images, chosen.labels) == (rate, 120, len(set(labels)))


def test_labels_that_the_network_was_not_trained_on_are_asked_where_there_are_any() -> None:
    rng = np.random.default_rng(0)
    labels = ["trained"] * 40 + ["new"] * 20 + ["newer"] * 20
    known = references(rng.standard_normal((80, 6)), labels)
    asked = limit_within(known, 0.25, ["trained", "elsewhere"])
    assert (asked.images, asked.labels, asked.trained) == (40, 2, False)
    similarity = strangers(known)[40:]
    assert (similarity > asked.similarity + 1e-6).mean() <= 0.25
    all_trained = limit_within(known, 0.25, set(labels))
    assert (all_trained.images, all_trained.labels, all_trained.trained) == (80, 3, True)


def test_labels_of_one_image_play_too() -> None:
    known = references(np.eye(4) + 0.1, ["a", "b", "c", "d"])
    chosen = limit_within(known, 0.5)
    assert (chosen.images, chosen.labels) == (4, 4)
    assert chosen.similarity == pytest.approx(float(known.embeddings[0] @ known.embeddings[1]), abs=1e-6)


def test_of_very_many_images_some_ask_from_first_to_last() -> None:
    rng = np.random.default_rng(0)
    labels = [f"{row * 7 // 5000}" for row in range(5000)]
    assert limit_within(references(rng.standard_normal((5000, 4)), labels), 0.1).images == 2000
    assert limit_within(references(rng.standard_normal((5000, 4)), labels), 0.1).labels == 7


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan"), "0.05", True, None])
def test_a_rate_is_a_share(gallery: Gallery, rate: object) -> None:
    with pytest.raises(RejectionError, match=r"^false_accept_rate=.*: expected a share above 0 and below 1, such as 0"):
        gallery.unknown_limit(rate)  # type: ignore[arg-type]


def test_two_labels_are_needed(gallery: Gallery, digits: Path) -> None:
    file = files_of(digits, "test/digit 2/*.png")[0]
    gallery.merge([f"digit {number}" for number in range(5)], "digit")
    text = (
        r"^false_accept_rate=0\.05: a threshold needs images of at least two labels, there are 1: enrol more, or give "
        r"threshold=<similarity>$"
    )
    for ask in (lambda: gallery.unknown_limit(0.05), lambda: gallery.predict(file, false_accept_rate=0.05)):
        with pytest.raises(GalleryError, match=text):
            ask()
    gallery.remove(label="digit")
    with pytest.raises(GalleryError, match=r"shop: is empty, so there is nothing to find: add images first"):
        gallery.unknown_limit(0.05)


def test_a_gallery_chooses_again_when_its_images_changed(gallery: Gallery, model: Model, digits: Path) -> None:
    first = gallery.unknown_limit(0.1)
    assert gallery.unknown_limit(0.1) is first
    assert first == limit_within(gallery.references, 0.1, model.labels)
    gallery.add(digits / "test")
    second = gallery.unknown_limit(0.1)
    assert (first.images, second.images) == (50, 70)
    assert second == limit_within(gallery.references, 0.1, model.labels)
    assert gallery.at(1).unknown_limit(0.1) == first


def test_predictions_keep_to_it(gallery: Gallery, digits: Path) -> None:
    files = files_of(digits, "test/*/*.png")
    limit = gallery.unknown_limit(0.2).similarity
    plain = gallery.predict(files)
    limited = gallery.predict(files, false_accept_rate=0.2)
    assert limited.threshold == limit
    for without, item in zip(plain, limited, strict=True):
        near = without.neighbours[0].similarity
        assert item.label == (without.label if near > limit else "unknown")
    with pytest.raises(RejectionError, match=r"threshold=0\.5 and false_accept_rate=0\.2: expected one of them: leave"):
        gallery.predict(files[0], threshold=0.5, false_accept_rate=0.2)


def test_the_thresholds_of_a_gallery_are_those_of_its_rates() -> None:
    rng = np.random.default_rng(5)
    given = references(rng.standard_normal((120, 6)), [f"label {number}" for number in rng.integers(0, 9, 120)])
    offered = limits_within(given)
    assert offered.false_accept_rate is None, "nothing is unknown unless a limit is asked for"
    assert [threshold.false_accept_rate for threshold in offered.thresholds] == [0.01, 0.02, 0.05, 0.1, 0.2]
    for threshold in offered.thresholds:
        alone = limit_within(given, threshold.false_accept_rate)
        assert (threshold.similarity, threshold.measured_false_accept_rate) == (alone.similarity, alone.measured)
        assert (threshold.queries, threshold.labels, threshold.trained) == (alone.images, alone.labels, alone.trained)
    assert limits_within(references(rng.standard_normal((5, 6)), ["a"] * 5)).thresholds == []


def test_what_is_enrolled_is_measured_once_for_all_threads_and_rates(
    gallery: Gallery, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[References] = []
    plain, start = unknown_limit._asked, Barrier(8)

    def asking(known: References) -> object:
        asked.append(known)
        return plain(known)

    def limit(place: int) -> object:
        start.wait(60)
        return gallery.unknown_limit((0.1, 0.2)[place % 2])

    monkeypatch.setattr(unknown_limit, "_asked", asking)
    with ThreadPoolExecutor(8) as threads:
        for change in range(2):
            limits = list(threads.map(limit, range(8)))
            assert all(made is limits[place % 2] for place, made in enumerate(limits))
            assert limits[0] != limits[1]
            assert len(asked) == change + 1
            gallery.add(files_of(digits, "test/*/*.png")[change])


def test_limits_of_few_rates_are_kept(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest; every other is as it was when it is asked for again."""
    monkeypatch.setattr(unknown_limit, "_RATES", 3)
    first = gallery.unknown_limit(0.01)
    for percent in range(2, 20):
        gallery.unknown_limit(percent / 100)
    assert list(gallery._limits._limits) == [0.17, 0.18, 0.19]
    again = gallery.unknown_limit(0.01)
    assert again == first
    assert again is not first


def test_a_picture_under_two_labels_does_not_call_everything_unknown() -> None:
    rng = np.random.default_rng(5)
    embeddings, labels = rng.standard_normal((60, 8)), [f"label {row % 6}" for row in range(60)]
    limit = limit_within(references(embeddings, labels), 0.05)
    copies = np.concatenate([embeddings, embeddings[:3] * 2])
    with_copies = limit_within(references(copies, [*labels, *["another"] * 3]), 0.05)
    assert limit.similarity < 0.999
    assert abs(with_copies.similarity - limit.similarity) < 0.05
    assert with_copies.images == 57, "the three and their copies are not asked"
    only = np.repeat(rng.standard_normal((1, 8)), 2, axis=0)
    assert limit_within(references(only, ["a", "b"]), 0.3).similarity == pytest.approx(1), "nothing else is known"
