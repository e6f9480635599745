"""Labels judged by the neighbours of an image."""

import numpy as np
import pandas as pd

from lookalike.auditing.candidate_pairs import neighbours
from lookalike.auditing.findings_table import Findings
from lookalike.auditing.wrong_labels import NEIGHBOURS, check_labels, suspects


def test_labels_are_not_judged_where_there_is_one_class() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    assert suspects(np.array(["a"] * 4), *neighbours(embeddings, 3), np.arange(4)) is None


def two_clouds(swapped: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around two directions with a label each; the first `swapped` of `a` are labelled `b`."""
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(16, dtype=np.float32)[:2], 30, axis=0)
    embeddings = centres + 0.1 * rng.standard_normal((60, 16)).astype(np.float32)
    labels = np.array(["a"] * 30 + ["b"] * 30, "U5")
    labels[:swapped] = "b"
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), labels


def test_labels_that_neighbours_contradict_are_wrong_and_say_which_is_right() -> None:
    embeddings, labels = two_clouds(swapped=3)
    result = suspects(labels, *neighbours(embeddings, NEIGHBOURS), np.arange(60))
    assert result is not None
    assert np.flatnonzero(result.wrong).tolist() == [0, 1, 2]
    assert result.suggested[:3].tolist() == ["a", "a", "a"]
    assert result.quality[:3].max() < result.quality[3:].min()
    assert not result.strange.any()
    assert result.confused.empty


def test_copies_of_an_image_have_no_say() -> None:
    """Twenty copies under a wrong label outvote everybody else, unless they count as one picture."""
    embeddings, labels = two_clouds(swapped=0)
    embeddings[:21], labels[:21] = embeddings[0], "b"
    groups = np.arange(60)
    nearest = neighbours(embeddings, 40)
    believed = suspects(labels, *nearest, groups)
    groups[:21] = 0
    judged = suspects(labels, *nearest, groups)
    assert believed is not None
    assert judged is not None
    assert not believed.wrong[0]
    assert judged.suggested[0] == "a"
    assert judged.quality[0] < believed.quality[0]


def test_an_image_far_from_every_class_is_strange_and_its_label_is_not_judged() -> None:
    embeddings, labels = two_clouds(swapped=0)
    embeddings[7] = np.eye(16, dtype=np.float32)[9]
    result = suspects(labels, *neighbours(embeddings, NEIGHBOURS), np.arange(60))
    assert result is not None
    assert np.flatnonzero(result.strange).tolist() == [7]
    assert result.outlier.argmax() == 7
    assert not result.wrong[7]


def test_classes_that_share_their_neighbours_are_confused() -> None:
    embeddings, labels = two_clouds(swapped=0)
    labels[:30:2] = "a too"
    result = suspects(labels, *neighbours(embeddings, NEIGHBOURS), np.arange(60))
    assert result is not None
    assert result.confused[["label", "other"]].values.tolist() == [["a", "a too"]]
    assert 0.15 <= result.confused["score"].iloc[0] <= 1


def test_findings_name_rows_of_the_data_set_not_places_among_the_judged() -> None:
    embeddings, labels = two_clouds(swapped=2)
    rows = pd.DataFrame({"path": [f"{row}.jpg" for row in range(60)], "split": "train", "label": labels})
    findings = Findings(rows)
    judged = np.arange(1, 60)  # the first wrong one is not looked at
    check_labels(findings, labels, embeddings, judged, np.arange(60))
    (line,) = findings.table().query("kind == 'label'").to_dict("records")
    assert (line["path"], line["reason"], line["suggestion"]) == ("1.jpg", "its neighbours are a", "look; a?")
    assert labels[line["other_row"]] == "a"
    assert 0 < line["score"] <= 1


def test_confused_classes_show_their_most_alike_images() -> None:
    embeddings, labels = two_clouds(swapped=0)
    labels[:30:2] = "a too"
    rows = pd.DataFrame({"path": [f"{row}.jpg" for row in range(60)], "split": "train", "label": labels})
    findings = Findings(rows)
    check_labels(findings, labels, embeddings, np.arange(60), np.arange(60))
    (line,) = findings.table().query("kind == 'confused'").to_dict("records")
    similarity = embeddings @ embeddings.T
    apart = np.where(np.add.outer(labels == "a", 2 * (labels == "a too")) == 3, similarity, -2)
    assert {line["row"], line["other_row"]} == set(np.unravel_index(apart.argmax(), apart.shape))
    assert "of their neighbours are of the other" in line["reason"]


def test_one_class_alone_adds_nothing() -> None:
    findings = Findings(pd.DataFrame({"path": ["1", "2", "3"], "split": "train", "label": "a"}))
    check_labels(findings, np.array(["a"] * 3), np.eye(3, dtype=np.float32), np.arange(3), np.arange(3))
    assert findings.table().empty
