"""A copy of a query's own file never answers it, whatever it is called."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike import Dataset, Model
from lookalike.data.layouts import read_manifest


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


def test_a_copy_under_another_label_stays(table: pd.DataFrame, tmp_path: Path) -> None:
    table["role"] = np.where(np.arange(len(table)) % 2 == 0, "reference", "query")
    query = table[table["role"] == "query"].iloc[0]
    copies = []
    for name, label in (("same.png", query["label"]), ("other.png", "digit 7")):
        shutil.copyfile(tmp_path / query["path"], tmp_path / "images" / name)
        copies.append(query.to_frame().T.assign(path=f"images/{name}", role="reference", label=label))
    pd.concat([table, *copies]).to_csv(tmp_path / "t.csv", index=False)
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert protocol.copies == 1
    (own,) = protocol.own_row[protocol.own_row >= 0]
    assert protocol.references["path"].iloc[own] == "images/same.png"


def test_boxes_of_one_picture_are_different_images(table: pd.DataFrame, tmp_path: Path) -> None:
    boxed = table.assign(x1=0, y1=0, x2=4, y2=8)
    other = table.assign(x1=4, y1=0, x2=8, y2=8)
    pd.concat([boxed, other]).to_csv(tmp_path / "t.csv", index=False)
    protocol = read_manifest(tmp_path / "t.csv").protocol("test")
    assert protocol.copies == 0
    assert (protocol.own_row == np.arange(len(protocol.queries))).all()
