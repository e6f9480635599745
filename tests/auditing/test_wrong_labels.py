"""Labels judged by the neighbours of an image."""

import numpy as np

from lookalike.auditing.candidate_pairs import neighbours
from lookalike.auditing.wrong_labels import suspects


def test_labels_are_not_judged_where_there_is_one_class() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    assert suspects(np.array(["a"] * 4), *neighbours(embeddings, 3), np.arange(4)) is None
