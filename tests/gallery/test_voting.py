"""How many neighbours of a gallery vote follows from its own images."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.gallery.voting import vote_within
from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.references import References


def references(embeddings: np.ndarray, labels: list[str]) -> References:
    unit = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    return References(unit, labels, [f"{row}.png" for row in range(len(labels))], Path(), "f" * 64)


def around(rng: np.random.Generator, centre: list[float], count: int, spread: float) -> np.ndarray:
    return np.array(centre) + spread * rng.standard_normal((count, len(centre)))


def test_small_labels_are_not_outvoted() -> None:
    """Pairs beside a crowd: ten plain votes would name every one of a pair by the crowd."""
    rng = np.random.default_rng(0)
    pairs = [around(rng, [np.cos(a), np.sin(a), 0.3], 2, 0.002) for a in np.linspace(0, 3, 12)]
    crowd = around(rng, [0.5, 0.5, 0.4], 30, 0.3)
    labels = [f"pair {number}" for number in range(12) for _ in range(2)] + ["crowd"] * 30
    chosen = vote_within(references(np.concatenate([*pairs, crowd]), labels))
    assert chosen.weighted or chosen.k == 1
    assert chosen != VoteConfig(k=10, weighted=False)


def test_many_vote_where_single_images_err() -> None:
    rng = np.random.default_rng(1)
    labels = ["a"] * 60 + ["b"] * 60
    embeddings = np.concatenate([around(rng, [1, 0.3, 0], 60, 0.4), around(rng, [1, -0.3, 0], 60, 0.4)])
    assert vote_within(references(embeddings, labels)).k > 1


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images_tell_nothing(count: int) -> None:
    assert vote_within(references(np.eye(3)[:count], ["a", "b"][:count])) == VoteConfig(k=1, weighted=True)


def test_an_image_never_votes_for_itself_nor_do_more_than_there_are() -> None:
    same = references(np.ones((4, 3)), ["a", "b", "c", "d"])
    assert vote_within(same).k in (1, 3)
    far = references(np.eye(5), list("abcde"))
    assert vote_within(far).k in (1, 3)


def test_a_gallery_votes_so_until_a_k_is_given(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    model = Model.load(bundle_path, device="cpu", precision="float32")
    gallery = Gallery.create(tmp_path / "shop", model)
    gallery.add(digits / "train")
    file = next((digits / "test").rglob("*.png"))
    chosen = gallery.predict([file])
    assert chosen.vote == vote_within(gallery.references)
    assert len(chosen[0].neighbours) == 10
    assert gallery.predict([file], k=10).vote is None
    gallery.remove(label="digit 0")
    assert gallery.predict([file]).vote == vote_within(gallery.references), "chosen again"
