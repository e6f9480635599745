"""Thresholds for unknown images are chosen against what `predict` will search."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import evaluate_rows
from lookalike.evaluation.thresholds import open_set_of, same_images
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.references import References
from lookalike.metrics.open_set import OpenSetError

Setting = tuple[References, Protocol, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def setting(bundle_path: Path, digits: Path) -> Setting:
    bundle = load_bundle(bundle_path)
    protocol = read_manifest(digits).protocol("validation")
    queries, references = embed_protocol(openvino_encoder(bundle), read_manifest(digits), protocol)
    return bundle.references, protocol, queries, references


def nearest_strangers(queries: np.ndarray, labels: list[str], searched: References) -> np.ndarray:
    similarity = queries @ searched.embeddings.T
    other = np.array(labels)[:, None] != np.array(searched.labels)[None, :]
    return np.where(other, similarity, -2).max(1)


def test_of_the_same_images_they_are_those_of_validation(setting: Setting, bundle_path: Path) -> None:
    searched, protocol, queries, references = setting
    assert same_images(searched, protocol)
    result = evaluate_rows(queries, references, protocol)
    chosen = open_set_of(result, queries, references, protocol, searched, None)
    assert chosen == load_bundle(bundle_path).config.open_set
    strangers = nearest_strangers(queries, protocol.queries["label"].tolist(), searched)
    for entry in chosen.thresholds:
        accepted = float((strangers > entry.similarity + 1e-6).mean())
        assert accepted <= entry.false_accept_rate
        assert entry.interval_95 is not None
        assert entry.interval_95[0] <= entry.measured_false_accept_rate <= entry.interval_95[1]
        assert (entry.queries, entry.labels, entry.trained) == (20, 5, True)


def test_of_other_images_all_of_validation_asks(setting: Setting) -> None:
    """Half of the gallery, as if it were of somebody else: queries and references of validation ask it."""
    searched, protocol, queries, references = setting
    half = replace(
        searched, embeddings=searched.embeddings[::2], labels=searched.labels[::2], paths=searched.paths[::2]
    )
    assert not same_images(half, protocol)
    result = evaluate_rows(queries, references, protocol)
    chosen = open_set_of(result, queries, references, protocol, half, 0.15)
    assert chosen.false_accept_rate == 0.15
    assert 0.15 in [entry.false_accept_rate for entry in chosen.thresholds]
    labels = [*protocol.queries["label"], *protocol.references["label"]]
    strangers = nearest_strangers(np.concatenate([queries, references]), labels, half)
    for entry in chosen.thresholds:
        assert entry.queries == 70
        assert (strangers > entry.similarity + 1e-6).mean() <= entry.false_accept_rate


def test_one_label_leaves_no_stranger_to_choose_by(setting: Setting) -> None:
    searched, protocol, queries, references = setting
    asking, answering = ((part["label"] == "digit 0").to_numpy() for part in (protocol.queries, protocol.references))
    alone = replace(
        protocol,
        queries=protocol.queries[asking],
        references=protocol.references[answering],
        own_row=protocol.own_row[asking],
    )
    only = References(
        references[answering], searched.labels[:10], searched.paths[:10], searched.root, searched.fingerprint
    )
    result = evaluate_rows(queries[asking], references[answering], alone)
    assert open_set_of(result, queries[asking], references[answering], alone, only, None).thresholds == []
    with pytest.raises(OpenSetError, match=r"label"):
        open_set_of(result, queries[asking], references[answering], alone, only, 0.1)
