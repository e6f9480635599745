"""Approximate search is asked for, says how much it finds, and gives way to the exact one where it cannot answer."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lookalike import Gallery, Model
from lookalike.data.pixels import PixelSettings
from lookalike.gallery import approximate
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError
from lookalike.inference.search_facts import ExactInstead

SIZE = 16


def clustered(count: int, seed: int) -> np.ndarray:
    """Unit vectors around 200 directions, as those of labels are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((200, SIZE))
    rows = centres[rng.integers(0, 200, count)] + 0.4 * rng.standard_normal((count, SIZE))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    encoder = Encoder(None, PixelSettings(24, 24, "stretch"), "f" * 64, SIZE)  # type: ignore[arg-type]
    made = Gallery.create(tmp_path / "shop", SimpleNamespace(encoder=encoder))
    made.add_embeddings(clustered(11_000, 1), [f"{row % 7}" for row in range(11_000)])
    return made


def test_it_finds_what_it_says_and_in_the_exact_order(gallery: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    queries = clustered(300, 2)
    exact = gallery.search(queries, 10)
    assert gallery.index is None
    first = gallery.search(queries, 10, index="ivf")
    np.testing.assert_array_equal(first[0], exact[0], "the exact search answers until it is built")
    gallery._approximate._index.wait()
    facts = gallery.index
    assert facts is not None
    assert (facts.images, facts.cells) == (11_000, 419)
    assert facts.recall >= 0.99
    assert facts.probes < facts.cells
    assert (
        f"approximate search of 11000 images: finds {facts.recall:.4f} of the true ten nearest"
        in capsys.readouterr().err
    )
    numbers, similarity = gallery.search(queries, 10, index="ivf")
    shares = [len(set(mine) & set(true)) / 10 for mine, true in zip(numbers.tolist(), exact[0].tolist(), strict=True)]
    assert np.mean(shares) >= 0.97
    assert (np.diff(similarity) <= 0).all()
    same = numbers[:, 0] == exact[0][:, 0]
    np.testing.assert_array_equal(similarity[same, 0], exact[1][same, 0])


def test_changes_and_filters_are_searched_exactly(gallery: Gallery) -> None:
    queries = clustered(20, 3)
    gallery.search(queries, 5, index="ivf")
    gallery._approximate._index.wait()
    (number,) = gallery.add_embeddings(queries[:1], "new")
    numbers, _ = gallery.search(queries, 5, index="ivf")
    assert numbers[0, 0] == number, "what was enrolled since is found at once"
    only = gallery.search(queries, 5, where={"label": "new"}, index="ivf")
    assert only[0].tolist() == [[number]] * 20
    gallery._approximate._index.wait()
    assert gallery.index is not None
    assert gallery.index.images == 11_001


def test_too_few_images_and_what_there_is_not(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GalleryError, match=r"^index='hnsw': expected ivf or None, which searches exactly$"):
        gallery.search(clustered(1, 0), index="hnsw")  # type: ignore[arg-type]
    monkeypatch.setattr(approximate, "LEAST", 20_000)
    gallery.search(clustered(1, 0), index="ivf")
    assert gallery._approximate._index is None
    monkeypatch.setattr(approximate, "LEAST", 10)
    gallery.search(clustered(1, 0), index="ivf")
    gallery._approximate._index.wait()
    with pytest.raises(GalleryError, match=r"query embeddings: expected finite values \[Q, 16\], got \(1, 3\)"):
        gallery.search(np.eye(3)[:1], index="ivf")


def test_a_prediction_says_how_it_was_searched(
    digits: Path, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approximate, "LEAST", 50)
    gallery = Gallery.create(tmp_path / "digits", Model.load(bundle_path))
    files = sorted((digits / "train").rglob("*.png"))
    gallery.add(files[:49])
    few = gallery.predict(files[:3], k=2, index="ivf")
    assert few.index == ExactInstead("49 images, and index=ivf is of at least 50")
    assert gallery.build_index() is None
    gallery.add(files[49:])
    assert gallery.build_index() == gallery.index
    exact = gallery.predict(files, k=2)
    assert (exact.index, "index" in exact.to_dict()) == (None, False)
    made = gallery.predict(files, k=2, index="ivf")
    assert made.index == gallery.index
    assert made.to_dict()["index"] == {
        "kind": "ivf",
        "recall_at_10": gallery.index.recall,
        "images": 50,
        "cells": 28,
        "probes": gallery.index.probes,
        "seconds": round(gallery.index.seconds, 3),
    }
    near = {item.neighbours[0].source for item in made}
    assert near == {item.neighbours[0].source for item in exact}, "every image finds itself"
    assert gallery.predict([], k=2, index="ivf").index == gallery.index
    assert gallery.predict(files[0], index="ivf").label == exact[0].label
    only = gallery.predict(files, index="ivf", unless={"label": "digit 3"})
    assert only.index == ExactInstead("where and unless leave images out, and index=ivf searches all")
    assert "digit 3" not in {near.label for item in only for near in item.neighbours}
    beyond = gallery.predict(files, k=50, index="ivf")
    assert isinstance(beyond.index, ExactInstead) == (gallery.index.probes < 28)
    assert "ivf" in gallery.at(1).predict(files[:1], index="ivf").index.reason
    with pytest.raises(GalleryError, match=r"^index='hnsw': expected ivf or None, which searches exactly$"):
        gallery.predict("gone.png", index="hnsw")  # type: ignore[call-overload]
    with pytest.raises(GalleryError, match=r"^index='hnsw': expected ivf or None, which searches exactly$"):
        gallery.predict("gone.png", index="hnsw", where={"label": "digit 1"})  # type: ignore[call-overload]


def test_an_index_is_waited_for_also_while_that_of_an_earlier_moment_is_built(gallery: Gallery) -> None:
    gallery.search(clustered(1, 0), index="ivf")
    gallery.add_embeddings(clustered(1, 9), "new")
    numbers, _ = gallery.search(clustered(1, 9), 1, index="ivf")
    assert numbers.tolist() == [[11_001]]
    facts = gallery.build_index()
    assert facts is not None
    assert facts.images == 11_001
    assert gallery.build_index() is facts, "once"


def test_building_prints_no_words_of_a_library(gallery: Gallery, capfd: pytest.CaptureFixture[str]) -> None:
    facts = gallery.build_index()
    shown = capfd.readouterr()
    assert shown.out == ""
    assert " ".join(shown.err.split()) == f"{gallery.path}: {facts}"
