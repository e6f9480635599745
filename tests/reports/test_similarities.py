from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.reports.similarities import BINS, compare_similarities
from metrics.random_problems import unit


def split(seed: int, queries: int, references: int) -> tuple[np.ndarray, np.ndarray, Protocol]:
    """Embeddings and protocol with cameras, some of them missing, junk, and queries that are references themselves."""
    rng = np.random.default_rng(seed)

    def rows(count: int) -> pd.DataFrame:
        seen = pd.array(rng.choice([1, 2, None], count), dtype="Int64")
        columns = {"label": rng.choice(list("abcd"), count), "ignore": rng.random(count) < 0.2}
        return pd.DataFrame(columns | {"camera": seen})

    own = np.where(rng.random(queries) < 0.3, rng.integers(0, references, queries), -1)
    protocol = Protocol(rows(references), rows(queries).assign(ignore=False), own, "test")
    return unit(rng, queries, 8), unit(rng, references, 8), protocol


@pytest.mark.parametrize("rule", [True, False])
@pytest.mark.parametrize("queries", [1, 256, 300])
def test_counts_are_those_of_all_valid_pairs(queries: int, rule: bool) -> None:
    """In one chunk of queries, in a full one, and in more than one."""
    embeddings, references, protocol = split(queries, queries, 70)
    counted = compare_similarities(embeddings, references, protocol, rule)
    values: dict[bool, list[float]] = {True: [], False: []}
    best = np.full(queries, np.nan)
    for i, query in enumerate(protocol.queries.to_dict("records")):
        for j, reference in enumerate(protocol.references.to_dict("records")):
            same = query["label"] == reference["label"]
            seen = not pd.isna(query["camera"]) and not pd.isna(reference["camera"])
            hidden = rule and same and seen and query["camera"] == reference["camera"]
            if not (reference["ignore"] or protocol.own_row[i] == j or hidden):
                similarity = float(embeddings[i] @ references[j])
                values[same].append(similarity)
                best[i] = np.nanmax([best[i], similarity]) if same else best[i]
    np.testing.assert_allclose(counted.nearest_genuine, best, atol=1e-5)
    for kind, same in ((counted.genuine, True), (counted.impostor, False)):
        assert kind.sum() == len(values[same])
        edges = np.histogram(values[same], BINS, (-1, 1))[0].cumsum()
        assert np.abs(kind.cumsum() - edges).max() <= 1, "one may fall to either side of an edge"


def test_the_ends_of_the_scale_are_inside() -> None:
    rows = pd.DataFrame({"label": ["a", "a"], "camera": [None, None], "ignore": False})
    protocol = Protocol(rows, rows.iloc[:1], np.array([-1]))
    counted = compare_similarities(np.float32([[1, 0]]), np.float32([[1, 0], [-1, 0]]), protocol, True)
    assert np.flatnonzero(counted.genuine).tolist() == [0, BINS - 1]
    assert counted.nearest_genuine.tolist() == [1.0]


def test_a_query_whose_positives_do_not_count_has_no_nearest() -> None:
    queries, references, protocol = split(3, 5, 12)
    junk = replace(protocol, references=protocol.references.assign(ignore=True))
    counted = compare_similarities(queries, references, junk, True)
    assert np.isnan(counted.nearest_genuine).all()
    assert counted.genuine.sum() == counted.impostor.sum() == 0
