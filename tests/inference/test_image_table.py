"""`predict` from a table to a table: order, columns, boxes, failures, and files that are never half written."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.image_table import is_table, read_image_table, writes_table
from lookalike.inference.predict import predict
from lookalike.inference.queries import PredictError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four images of two digits, and a sheet with two of them side by side."""
    monkeypatch.chdir(tmp_path)
    for label in (0, 1):
        for number, file in enumerate(sorted((digits / "test" / f"digit {label}").iterdir())[:2]):
            shutil.copyfile(file, tmp_path / f"{label}-{number}.png")
    pair = [np.asarray(Image.open(tmp_path / f"{label}-0.png").convert("RGB")) for label in (0, 1)]
    Image.fromarray(np.hstack(pair)).save(tmp_path / "sheet.png")
    return tmp_path


def rows_of(file: str) -> list[dict[str, str]]:
    with Path(file).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def run(bundle: Path, *arguments: str) -> int:
    return main(["predict", f"bundle={bundle}", "k=3", *arguments])


def test_rows_stand_in_their_order_with_their_columns(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text("site,path,note\nB,1-1.png,=x\nA,0-0.png,\nB,1-1.png,again\n")
    assert run(bundle_path, "image=t.csv", "output=r.csv", "threshold=-1") == 0
    assert "written: r.csv (3 rows)" in capsys.readouterr().out
    rows = rows_of("r.csv")
    assert list(rows[0]) == ["site", "path", "note", "label", "score", "similarity", "nearest", "unknown", "error"]
    assert [(row["site"], row["path"], row["note"]) for row in rows] == [
        ("B", "1-1.png", "=x"),
        ("A", "0-0.png", ""),
        ("B", "1-1.png", "again"),
    ]
    bundle = load_bundle(bundle_path)
    files = [Path("1-1.png"), Path("0-0.png"), Path("1-1.png")]
    for row, item in zip(rows, predict(openvino_encoder(bundle), bundle.references, files, 3, source="t"), strict=True):
        near = item.neighbours[0]
        assert (row["label"], float(row["score"]), row["nearest"]) == (item.label, item.score, near.source)
        assert float(row["similarity"]) == pytest.approx(near.similarity)
        assert (row["unknown"], row["error"]) == ("false", "")
    assert not Path("predictions").exists()


def test_what_fails_has_a_row_with_its_reason(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["path,x1,y1,x2,y2,n", "0-0.png,,,,", "gone.png,,,,", ",,,,,7", "0-0.png,1,2,3,", "0-0.png,1,2,3,wide"]
    lines.append("s3://b/1.png,,,,")
    Path("t.csv").write_text("\n".join([*lines, "0-0.png,500,500,600,600"]) + "\n")
    assert run(bundle_path, "image=t.csv", "output=r.csv") == 1
    good, *failed = rows_of("r.csv")
    assert (good["error"], good["unknown"]) == ("", "false")
    assert [row["label"] + row["score"] + row["similarity"] + row["nearest"] + row["unknown"] for row in failed] == [
        ""
    ] * 6
    expected = [
        r"gone\.png: cannot be read",
        r"t\.csv: row 4: no path: expected the file of an image",
        r"t\.csv: row 5: a box of 3 numbers: expected x1, y1, x2, y2 or none of them",
        r"t\.csv: row 6: y2 is 'wide': expected a number of pixels",
        r"t\.csv: row 7: s3://b/1\.png: an address, and addresses are not fetched: download it and give the path",
        r"0-0\.png: ",
    ]
    for row, reason in zip(failed, expected, strict=True):
        assert re.match(reason, row["error"]), row["error"]
    assert "6 of 7 images could not be used" in capsys.readouterr().out


def test_only_the_box_is_looked_at(bundle_path: Path) -> None:
    Path("t.csv").write_text(
        "path;x_1;y_1;X2;y2\nsheet.png;0,0;0;32;32\nsheet.png;32;0;64;32\n0-0.png;;;;\n1-0.png;;;;\n"
    )
    assert run(bundle_path, "image=t.csv", "output=r.csv") == 0
    rows = rows_of("r.csv")
    for part, whole in ((0, 2), (1, 3)):
        assert rows[part]["nearest"] == rows[whole]["nearest"]
        assert float(rows[part]["similarity"]) == pytest.approx(float(rows[whole]["similarity"]), abs=0.01)
    assert run(bundle_path, "image=t.csv", "output=seen") == 0
    assert len(list(Path("seen").glob("*.png"))) == 1


def test_parquet_keeps_its_types(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"path": ["0-0.png", "1-0.png"], "weight": [1.5, np.nan], "tags": [["a"], []], "n": [1, 2]})
    frame.to_parquet("t.parquet")
    assert run(bundle_path, "image=t.parquet", "output=r.parquet", "threshold=1") == 0
    made = pd.read_parquet("r.parquet")
    assert list(made) == ["path", "weight", "tags", "n", "label", "score", "similarity", "nearest", "unknown", "error"]
    assert made["n"].tolist() == [1, 2]
    assert [list(tags) for tags in made["tags"]] == [["a"], []]
    assert made["weight"].dtype == float
    assert made["unknown"].tolist() == [True, True]
    assert made["label"].tolist() == ["unknown"] * 2
    assert made["score"].isna().all()
    assert made["error"].isna().all()
    assert run(bundle_path, "image=t.parquet", "output=r.csv") == 0
    assert [row["n"] for row in rows_of("r.csv")] == ["1", "2"]
    told = capsys.readouterr().err
    assert "r.csv: CSV holds no lists or records, left out: tags: .parquet keeps them" in told


@pytest.mark.parametrize("change", ["other rows", "gone"])
def test_columns_are_those_of_the_first_reading(
    bundle_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"path": ["0-0.png", "1-0.png"], "id": [1, 2]}).to_parquet("t.parquet")

    def meanwhile(*arguments: object, **options: object) -> object:
        if change == "gone":
            Path("t.parquet").unlink()
        else:
            pd.DataFrame({"path": ["1-0.png", "0-0.png"], "id": [8, 9]}).to_parquet("t.parquet")
        return predict(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("lookalike.inference.predict.predict", meanwhile)
    assert run(bundle_path, "image=t.parquet", "output=r.parquet") == 0
    made = pd.read_parquet("r.parquet")
    assert made["id"].tolist() == [1, 2]
    assert made["path"].tolist() == ["0-0.png", "1-0.png"]


def test_a_column_without_a_name_is_carried_and_an_empty_one_is_not(bundle_path: Path) -> None:
    pd.DataFrame({"path": ["0-0.png", "1-0.png"]}, index=[7, 9]).to_csv("t.csv")
    assert run(bundle_path, "image=t.csv", "output=r.csv") == 0
    assert [row["column 1"] for row in rows_of("r.csv")] == ["7", "9"]
    Path("t.csv").write_text("path;column 3;;\n0-0.png;a;b;\n")
    assert run(bundle_path, "image=t.csv", "output=r.csv") == 0
    assert list(rows_of("r.csv")[0])[:4] == ["path", "column 3", "column 3.1", "label"]


def test_a_table_of_a_person_is_kept_and_our_own_replaced(
    bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("r.csv").write_text("mine")
    for image in ("0-0.png", "1-0.png"):
        assert run(bundle_path, f"image={image}", "output=r.csv") == 0
    (aside,) = Path().glob("r.csv.*")
    assert aside.read_text() == "mine"
    assert f"is kept: {aside}" in capsys.readouterr().err
    assert [row["path"] for row in rows_of("r.csv")] == ["1-0.png"]


@pytest.mark.parametrize("output", ["f/r.csv", "f", "f/r"])
def test_an_output_that_cannot_be_written_is_told_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str], output: str
) -> None:
    Path("f").write_text("mine")
    assert run(Path("nowhere"), "image=0-0.png", f"output={output}") == 2
    assert re.search(r"f(/r)?: (nothing can be written there|expected a folder to write)", capsys.readouterr().err)


def test_columns_mean_what_they_mean_in_data_sets(bundle_path: Path) -> None:
    Path("t.csv").write_text("Path,path,label\nmine,0-0.png,a\n")
    assert run(bundle_path, "image=t.csv", "output=r.csv") == 0
    assert rows_of("r.csv")[0]["Path"] == "mine"
    assert rows_of("r.csv")[0]["nearest"]


def test_a_column_of_the_table_is_never_replaced(bundle_path: Path) -> None:
    Path("t.tsv").write_text("path\tlabel\tscore\n0-0.png\tzero\t7\n")
    for output, image in (("a.csv", "t.tsv"), ("b.csv", "a.csv"), ("c.parquet", "b.csv")):
        assert run(bundle_path, f"image={image}", f"output={output}") == 0
    first, second = rows_of("a.csv")[0], rows_of("b.csv")[0]
    assert (first["label"], first["score"]) == ("zero", "7")
    assert first["predicted_label"] == second["predicted_label"] == second["predicted_label.1"]
    assert list(pd.read_parquet("c.parquet"))[:3] == ["path", "label", "score"]


def test_images_without_a_table_can_be_written_as_one(bundle_path: Path) -> None:
    assert run(bundle_path, "image=*-0.png", "output=r.csv") == 0
    rows = rows_of("r.csv")
    assert [row["path"] for row in rows] == ["0-0.png", "1-0.png"]


def test_a_name_that_is_not_utf_8(bundle_path: Path) -> None:
    name = b"na\xefve.png".decode("utf-8", "surrogateescape")
    try:
        shutil.copyfile("0-0.png", name)
    except OSError:
        pytest.skip("this file system has no such names")
    assert run(bundle_path, "image=n*.png", "output=r.csv") == 0
    assert b"na\xefve.png" in Path("r.csv").read_bytes()
    assert run(bundle_path, "image=n*.png", "output=r.parquet") == 0
    assert pd.read_parquet("r.parquet")["path"].tolist() == [r"na\udcefve.png"]


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("file,x\n0-0.png,1\n", [], r"image=t\.csv: expected a column path .*, found file, x: rename the one"),
        ("Path,PATH\na,b\n", [], r"image=t\.csv: the columns Path and PATH both mean path: keep one of them"),
        ("path\n", [], r"image=t\.csv: no row in the table: expected one per image"),
        ("", [], r"image=t\.csv: cannot be read as a table \(it is empty\): save it again as CSV or Parquet"),
        (
            None,
            [],
            r"image=t\.csv: no such file: give a \.csv, \.tsv or \.parquet table, or images as a file, a folder",
        ),
        ("path\n0-0.png\n", ["output=./t.csv"], r"t\.csv: .* but it is image=t\.csv: give another output"),
        ("path\n0-0.png\n", ["output=r.xlsx"], r"output=r\.xlsx: expected a folder, or a table ending in \.csv or \.p"),
        ("path\n0-0.png\n", ["output=d.csv"], r"d\.csv: expected a file to write, found a folder: give another"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(
    bundle_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, more: list[str], expected: str
) -> None:
    if text is not None:
        Path("t.csv").write_text(text)
    Path("d.csv").mkdir()
    before = sorted(Path().iterdir())
    assert run(bundle_path, "image=t.csv", *(more or ["output=r.csv"])) == 2
    error = capsys.readouterr().err
    assert re.search(expected, error), error
    assert error.count("\n") == 1
    assert sorted(Path().iterdir()) == before
    if text is not None:
        assert Path("t.csv").read_text() == text


def test_what_is_a_table_is_told_by_its_ending() -> None:
    Path("photos.csv").mkdir()
    assert not is_table("photos.csv")
    assert not is_table("many/*.csv")
    assert is_table("T.CSV")
    assert not is_table("photos")
    assert writes_table("R.PARQUET")
    assert not writes_table("predictions")
    with pytest.raises(PredictError, match=r"output=r\.tsv: expected a folder"):
        writes_table("r.tsv")
    Path("all.csv").write_text("path\n,\n0-0.png\n")
    table = read_image_table(Path("all.csv"))
    assert (len(table), [file.name for file in table.files]) == (1, ["0-0.png"])
