"""Embeddings that are kept, evaluated without the model."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.data.dataset import Dataset
from lookalike.data.tables import ManifestError
from lookalike.evaluation.split import evaluate_split
from lookalike.evaluation.stored import embed_any, evaluate_galleries
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.inference.references import GalleryError, References, load_references
from lookalike.metrics.evaluate import evaluate


def test_stored_embeddings_of_different_models_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((6, 4)).astype(np.float32), list("aabbcc")
    whole = References(rows, labels, [f"{n}.jpg" for n in range(6)], Path("/x"), "f" * 64)
    other = References(rows[:2], labels[:2], ["0.jpg", "new.jpg"], Path("/x"), "f" * 64)
    result = evaluate_galleries(other, whole, ks=(1,))
    assert result.per_query["positives"].tolist() == [1, 2]  # 0.jpg is a reference itself
    assert (
        result.metrics == evaluate(rows[:2], rows, labels[:2], labels, exclude_self=np.array([0, -1]), ks=(1,)).metrics
    )
    with pytest.raises(GalleryError, match=r"queries were made by eeee.*, the references by ffff.*: embeddings"):
        evaluate_galleries(replace(other, fingerprint="e" * 64), whole)


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


def data(root: Path | str, **more: Any) -> dict[str, Any]:
    return {"root": str(root), "validation_share": 0.0, "seed": 0, "archive": None, "exclude": None, **more}


def test_any_folder_is_embedded_with_its_folders_as_labels(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "test", tmp_path / "flat")
    (tmp_path / "flat" / "digit 0" / "bad.png").write_bytes(b"text")
    made, problems = embed_any(encoder, data(tmp_path / "flat"), tmp_path / "out")
    assert (len(made), set(made.labels)) == (20, {f"digit {number}" for number in range(5)})
    (problem,) = problems
    assert "bad.png: not an image" in problem
    stored = load_references(tmp_path / "out")
    assert (stored.labels, stored.paths, stored.fingerprint) == (made.labels, made.paths, encoder.fingerprint)
    assert stored.root == (tmp_path / "flat").resolve()
    assert np.array_equal(stored.embeddings, encoder.embed([made.file(row) for row in range(20)]))


def test_a_data_set_is_embedded_without_its_copies(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits, tmp_path / "data"))
    made, problems = embed_any(encoder, data(root), tmp_path / "out")
    assert (len(made), problems) == (90, [])
    listed = "path,reason\n" + f"{made.paths[0]},blurred\n"
    (root / "exclude.csv").write_text(listed)
    fewer, _ = embed_any(encoder, data(root), tmp_path / "out")
    assert fewer.paths == made.paths[1:]
    kept = [entry for entry in tmp_path.iterdir() if entry.name.startswith("out.")]
    assert [len(load_references(folder)) for folder in kept] == [90], "the former ones are kept under a dated name"


def test_a_folder_leaves_out_what_its_list_says(
    encoder: Encoder, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(digits / "test", tmp_path / "flat"))
    first = sorted(root.rglob("*.png"))[0].relative_to(root).as_posix()
    (tmp_path / "list.csv").write_text(f"path,reason\n{first},blurred\n")
    made, _ = embed_any(encoder, data(root, exclude=str(tmp_path / "list.csv")), tmp_path / "out")
    assert len(made) == 19
    assert first not in made.paths
    assert "1 image" in capsys.readouterr().err


def test_a_folder_has_no_columns_to_name(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    for setting, value in (("columns", {"label": "id"}), ("images", "photos")):
        with pytest.raises(ManifestError, match=rf"test: a folder, and data\.{setting} is for tables: leave it out"):
            embed_any(encoder, {**data(digits / "test"), setting: value}, tmp_path / "out")
    embed_any(encoder, {**data(digits / "test"), "columns": {"label": None}, "images": None}, tmp_path / "out")


def test_folders_of_copies_are_no_images_of_a_folder(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits / "test", tmp_path / "flat"))
    shutil.copytree(root / "digit 0", root / "copies" / "digit 0")
    (root / "copies" / "transform.json").write_text("{}")
    assert len(embed_any(encoder, data(root), tmp_path / "out")[0]) == 20


def test_market_1501_is_embedded_with_all_its_splits(encoder: Encoder, few_market: Path, tmp_path: Path) -> None:
    made, _ = embed_any(encoder, data(few_market), tmp_path / "out")
    assert len(made) == len(list(few_market.rglob("*.jpg")))
    assert {"-1", "0000"} < set(made.labels)


def test_where_nothing_can_be_embedded_nothing_is_written(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"empty: no image in it: give a folder of images or a \.csv / \.parquet"):
        embed_any(encoder, data(tmp_path / "empty"), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    with pytest.raises(ManifestError, match=r"output=.*mine: exists and holds no embeddings: give the name of a new"):
        embed_any(encoder, data(digits / "test"), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "kept"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "mine"]


def test_stored_embeddings_are_evaluated_as_the_model_is(
    encoder: Encoder, digits: Path, bundle_path: Path, tmp_path: Path
) -> None:
    queries, _ = embed_any(encoder, data(digits / "validation"), tmp_path / "queries")
    references, _ = embed_any(encoder, data(digits / "train"), tmp_path / "references")
    stored = evaluate_galleries(load_references(tmp_path / "queries"), load_references(tmp_path / "references"))
    fresh = evaluate_split(load_bundle(bundle_path), encoder, Dataset(digits), "validation")
    assert stored.metrics == fresh.metrics
    assert evaluate_galleries(references, references, ks=(1,)).protocol.count("a query never finds itself") == 1
    assert queries.labels == stored.per_query["label"].tolist()
