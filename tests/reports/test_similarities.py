"""Similarities of pairs: those of a count by hand."""

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.reports.similarities import BINS, compare_similarities


def protocol_with_everything(rng: np.random.Generator) -> Protocol:
    """Cameras, missing cameras, ignored references, and queries that are references themselves."""

    def rows(count: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "path": [f"{i}.jpg" for i in range(count)],
                "label": rng.choice(list("abcd"), count),
                "camera": pd.array(rng.choice([1, 2, None], count), dtype="Int64"),
                "ignore": rng.random(count) < 0.2,
            }
        )

    own = np.where(rng.random(300) < 0.3, rng.integers(0, 90, 300), -1)
    return Protocol(rows(90), rows(300).assign(ignore=False), own, "text")


@pytest.mark.parametrize("rule", [True, False])
def test_similarities_are_those_of_all_valid_pairs(rule: bool) -> None:
    rng = np.random.default_rng(0)
    protocol = protocol_with_everything(rng)
    both = [rng.normal(size=(count, 8)).astype(np.float32) for count in (300, 90)]
    queries, references = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in both)
    similarities = compare_similarities(queries, references, protocol, rule)
    genuine, impostor = [], []
    asking, answering = protocol.queries.to_dict("records"), protocol.references.to_dict("records")
    for i, query in enumerate(asking):
        for_query: dict[bool, list[float]] = {True: [], False: []}
        for j, reference in enumerate(answering):
            same = query["label"] == reference["label"]
            seen = not pd.isna(query["camera"]) and query["camera"] == reference["camera"]
            if not (reference["ignore"] or protocol.own_row[i] == j or (rule and same and seen)):
                for_query[same].append(float(queries[i] @ references[j]))
        assert similarities.nearest_genuine[i] == pytest.approx(max(for_query[True]), abs=1e-5)
        genuine += for_query[True]
        impostor += for_query[False]
    for counts, values in ((similarities.genuine, genuine), (similarities.impostor, impostor)):
        assert counts.sum() == len(values)
        expected = np.histogram(values, BINS, (-1, 1))[0]
        assert np.abs(counts.cumsum() - expected.cumsum()).max() <= 1, "one may fall to either side of an edge"


def test_a_query_without_its_label_has_no_genuine_pair() -> None:
    rows = pd.DataFrame({"path": ["a", "b"], "label": ["a", "b"], "camera": [None, None], "ignore": False})
    protocol = Protocol(rows.iloc[1:], rows.iloc[:1], np.array([-1]), "")
    similarities = compare_similarities(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32), protocol, True)
    assert np.isnan(similarities.nearest_genuine[0])
    assert similarities.impostor.sum() == 1
    assert similarities.genuine.sum() == 0
