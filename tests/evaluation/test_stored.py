"""Embeddings that are kept, evaluated without the model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.evaluation.stored import evaluate_galleries
from lookalike.inference.references import GalleryError, References
from lookalike.metrics.evaluate import evaluate


def test_stored_embeddings_of_different_models_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((6, 4)).astype(np.float32), list("aabbcc")
    one = References(rows, labels, [f"{n}.jpg" for n in range(6)], Path("/x"), "f" * 64)
    other = References(rows[:2], labels[:2], ["0.jpg", "new.jpg"], Path("/x"), "f" * 64)
    found = evaluate_galleries(other, one, ks=(1,))
    assert found.per_query["positives"].tolist() == [1, 2]  # 0.jpg is a reference itself
    assert (
        found.metrics == evaluate(rows[:2], rows, labels[:2], labels, exclude_self=np.array([0, -1]), ks=(1,)).metrics
    )
    with pytest.raises(GalleryError, match=r"queries were made by eeee.*, the references by ffff.*: embeddings"):
        evaluate_galleries(replace(other, fingerprint="e" * 64), one)
