"""A copy of a query's own file never answers it, whatever it is called."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike import Dataset, Model
from lookalike.data.reading import read_manifest


@pytest.fixture
def table(digits: Path, tmp_path: Path) -> pd.DataFrame:
    """Every test digit asks and answers."""
    root = Path(shutil.copytree(digits / "test", tmp_path / "images"))
    paths = sorted(file.relative_to(tmp_path).as_posix() for file in root.rglob("*.png"))
    labels = [path.split("/")[1] for path in paths]
    return pd.DataFrame({"path": paths, "label": labels, "split": "test", "role": "both"})


def figures(model: Model, table: pd.DataFrame, folder: Path, **options: bool) -> dict[str, float]:
    table.to_csv(folder / "t.csv", index=False)
    return model.evaluate(Dataset(folder / "t.csv", **options), "test").metrics


def test_leave_one_out_is_the_same_with_every_image_twice(
    table: pd.DataFrame, bundle_path: Path, tmp_path: Path
) -> None:
    model = Model.load(bundle_path)
    right = figures(model, table, tmp_path)
    assert right["cmc@1"] < 1
    # A second writing of a path is refused as the same path; a second file of the same bytes is another path.
    copied = table.assign(path=table["path"].str.replace("images/", "copies/"))
    shutil.copytree(tmp_path / "images", tmp_path / "copies")
    both = pd.concat([table, copied])
    left_out = figures(model, both, tmp_path)
    assert {name: left_out[name] for name in ("cmc@1", "map", "accuracy@1")} == pytest.approx(
        {name: right[name] for name in ("cmc@1", "map", "accuracy@1")}
    )
    kept = figures(model, both, tmp_path, keep_copies=True)
    assert kept["cmc@1"] == 1
    protocol = Dataset(tmp_path / "t.csv").protocol("test")
    assert (protocol.copies, protocol.copies_kept) == (len(both), False)
    assert f"copies of {len(both)} queries among the references left out" in protocol.text


def test_references_that_copy_no_query_stay_as_they_are(table: pd.DataFrame, tmp_path: Path) -> None:
    table["role"] = np.where(np.arange(len(table)) % 2 == 0, "reference", "query")
    source = table[table["role"] == "reference"].iloc[0]
    shutil.copyfile(tmp_path / source["path"], tmp_path / "images" / "copy.png")
    copy = source.to_frame().T.assign(path="images/copy.png")
    pd.concat([table, copy]).to_csv(tmp_path / "t.csv", index=False)
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert protocol.copies == 0
    assert not protocol.references["ignore"].any()
    assert (protocol.own_row == -1).all()


def with_copies(table: pd.DataFrame, folder: Path, *copies: tuple[str, str]) -> pd.DataFrame:
    """Every second digit asks, the others answer; the first query also lies among them, (name, label) each."""
    table["role"] = np.where(np.arange(len(table)) % 2 == 0, "reference", "query")
    query = table[table["role"] == "query"].iloc[0]
    rows = []
    for name, label in copies:
        shutil.copyfile(folder / query["path"], folder / "images" / name)
        rows.append(query.to_frame().T.assign(path=f"images/{name}", role="reference", label=label))
    return pd.concat([table, *rows])


@pytest.mark.parametrize(
    ("labels", "own"),
    [(["digit 7"], "digit 7"), (["digit 7", "digit 0"], "digit 0"), (["digit 9", "digit 7"], "digit 9")],
)
def test_a_copy_answers_under_no_label(
    table: pd.DataFrame, bundle_path: Path, tmp_path: Path, labels: list[str], own: str
) -> None:
    """One of the query's label stays for the others, else the first."""
    model = Model.load(bundle_path)
    asked = table["path"].iloc[1]
    assert table["label"].iloc[1] == "digit 0"
    right = figures(model, with_copies(table, tmp_path), tmp_path)
    copies = [(f"z{number}.png", label) for number, label in enumerate(labels)]
    found = figures(model, with_copies(table, tmp_path, *copies), tmp_path)
    assert {name: found[name] for name in ("accuracy", "map")} == {name: right[name] for name in ("accuracy", "map")}
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert (protocol.copies, int(protocol.references["ignore"].sum())) == (1, len(labels) - 1)
    (place,) = np.flatnonzero(protocol.own_row >= 0)
    assert protocol.queries["path"].iloc[place] == asked
    assert protocol.references["label"].iloc[protocol.own_row[place]] == own
    kept = Dataset(tmp_path / "t.csv", keep_copies=True).protocol("test")
    assert (kept.copies, (kept.own_row >= 0).sum(), kept.references["ignore"].sum()) == (1, 0, 0)


def test_a_training_image_under_another_label_is_no_answer_of_validation(digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits, tmp_path / "digits"))
    source = next((root / "validation" / "digit 3").iterdir())
    shutil.copyfile(source, root / "train" / "digit 1" / "wrong.png")
    protocol = Dataset(root).protocol("validation")
    assert "copies of 1 queries among the references left out" in protocol.text
    (own,) = protocol.own_row[protocol.own_row >= 0]
    assert protocol.references["path"].iloc[own] == "train/digit 1/wrong.png"


def test_two_queries_of_one_picture_find_neither_copy(table: pd.DataFrame, tmp_path: Path) -> None:
    """Leave-one-out, with one picture under two labels."""
    shutil.copyfile(tmp_path / table["path"].iloc[0], tmp_path / table["path"].iloc[-1])
    table.to_csv(tmp_path / "t.csv", index=False)
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert protocol.copies == 2
    assert protocol.own_row[[0, -1]].tolist() == [0, 0]
    assert np.flatnonzero(protocol.references["ignore"]).tolist() == [len(table) - 1]


def test_boxes_of_one_picture_are_different_images(table: pd.DataFrame, tmp_path: Path) -> None:
    boxed = table.assign(x1=0, y1=0, x2=4, y2=8)
    other = table.assign(x1=4, y1=0, x2=8, y2=8)
    pd.concat([boxed, other]).to_csv(tmp_path / "t.csv", index=False)
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert protocol.copies == 0
    assert (protocol.own_row == np.arange(len(protocol.queries))).all()
