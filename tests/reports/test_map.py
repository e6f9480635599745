"""Embeddings in two dimensions: distances stay where they can, and what is many is drawn from."""

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest
from lookalike.reports.map import lay_out


def test_the_map_keeps_distances_of_a_plane_and_samples_what_is_many() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(500, 2)) * [3, 1]
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0][:2]
    points = (flat @ turn).astype(np.float32)
    rows = pd.DataFrame({"path": [str(i) for i in range(500)], "ignore": False})
    placed = lay_out(points[:100], points[100:], Protocol(rows[100:], rows[:100], np.full(100, -1), ""), umap=False)
    assert list(placed.layouts) == ["PCA"]
    ours = placed.layouts["PCA"]
    distances = [np.linalg.norm(part[:, None] - part[None], axis=2)[np.triu_indices(500, 1)] for part in (flat, ours)]
    np.testing.assert_allclose(distances[1] / distances[1].max(), distances[0] / distances[0].max(), atol=1e-3)
    many = np.repeat(points, 10, axis=0)
    rows = pd.DataFrame({"path": [str(i) for i in range(5000)], "ignore": False})
    placed = lay_out(many[:2500], many[2500:], Protocol(rows[2500:], rows[:2500], np.full(2500, -1), ""), umap=False)
    assert ((placed.query >= 0).sum(), (placed.reference >= 0).sum()) == (2000, 1000)
    assert placed.drawn_from == (2500, 2500)
    assert len(np.unique(placed.query)) == 2000 + 1


def test_umap_keeps_classes_together(digits: Path) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    rng = np.random.default_rng(0)
    centres = {label: rng.normal(size=16) * 4 for label in manifest.labels}

    def near(rows: pd.DataFrame) -> np.ndarray:
        points = np.stack([centres[label] + rng.normal(size=16) for label in rows["label"]])
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    flat = lay_out(near(protocol.queries), near(protocol.references), protocol, umap=True).layouts["UMAP"]
    labels = np.concatenate([protocol.queries["label"], protocol.references["label"]])
    nearest = np.linalg.norm(flat[:, None] - flat[None], axis=2) + 9 * np.eye(len(flat))
    assert (labels[nearest.argmin(1)] == labels).mean() > 0.9
