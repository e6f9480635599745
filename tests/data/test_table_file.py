"""Cells of tables as Excel, Windows and Parquet hold them."""

import decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from image_folders import column, csv, pictures
from lookalike.data.manifest import boxes_of, write_table
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.table_file import MOST_COLUMNS, decode, read_csv, read_parquet
from lookalike.data.tables import ManifestError

PLAIN = "path,label,camera\nJalapeño/1.png,Jalapeño,1\nKiwi/2.png,Kiwi,2\n"
FORMS = {
    "semicolons": (PLAIN.replace(",", ";").encode(), "separated by ;"),
    "tabs": (PLAIN.replace(",", "\t").encode(), "separated by tab"),
    "bars": (PLAIN.replace(",", "|").encode(), "separated by |"),
    "sep=": (("sep=;\r\n" + PLAIN.replace(",", ";")).encode(), "separated by ;"),
    "sep= in quotes, with a mark": (('"sep=;"\n' + PLAIN.replace(",", ";")).encode("utf-8-sig"), "separated by ;"),
    "blanks": (PLAIN.replace(",", " , ").encode(), ""),
    "blanks before quotes": (
        b'path, "label", "camera"\n' + 'Jalapeño/1.png, "Jalapeño", 1\nKiwi/2.png, "Kiwi", 2'.encode(),
        "",
    ),
    "no-break spaces": (PLAIN.replace(",", "\u00a0,\u00a0").encode(), ""),
    "empty last lines": ((PLAIN + ",,\n, ,\n\n\n").encode(), ""),
    "empty last columns": (PLAIN.replace("\n", ",,\n").encode(), ""),
    "Windows lines": (PLAIN.replace("\n", "\r\n").encode(), ""),
    "lines of an old Mac": (PLAIN.replace("\n", "\r").encode(), ""),
    "backslashes": (PLAIN.replace("/", "\\").encode(), ""),
    "UTF-16": (PLAIN.encode("utf-16"), "text in utf-16-le"),
    "UTF-16, big end first": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "text in utf-16-be"),
    "UTF-16 without a mark": (PLAIN.replace(",", ";").encode("utf-16-le"), "separated by ;, text in utf-16-le"),
    "UTF-32": (PLAIN.encode("utf-32"), "text in utf-32-le"),
    "Excel in the west": (PLAIN.replace(",", ";").encode("cp1252"), "separated by ;, text in Windows-1252"),
    "capitals": (PLAIN.replace("path,label,camera", "Path,LABEL,Camera").encode(), ""),
    "decomposed": (PLAIN.replace("ñ/", "n\u0303/").encode(), ""),
    "an index": (("," + PLAIN.replace("\n", "\n0,", 2)).encode(), ""),
}


@pytest.mark.parametrize("name", ["data.csv", "X.CSV"])
@pytest.mark.parametrize(("content", "seen"), FORMS.values(), ids=FORMS)
def test_what_means_the_same_is_read_the_same(
    tmp_path: Path, name: str, content: bytes, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path, "Jalapeño/1.png", "Kiwi/2.png")
    (tmp_path / name).write_bytes(content)
    table = read_data(str(tmp_path / name)).table
    assert table["path"].tolist() == ["Jalapeño/1.png", "Kiwi/2.png"]
    assert table["label"].tolist() == ["Jalapeño", "Kiwi"]
    assert table["camera"].tolist() == [1, 2]
    said = capsys.readouterr().err
    assert (seen in said) if seen else ("separated" not in said and "text in" not in said)


def test_a_written_table_whose_names_begin_with_blanks_reads_back(tmp_path: Path) -> None:
    pictures(tmp_path, " a.png", "b c.png", "d\\e.png")
    file = csv(tmp_path, "path,label\n a.png,x\nb c.png,x\nd\\e.png,x\n")
    assert column(read_manifest(file), "path") == [" a.png", "b c.png", "d\\e.png"], "such names exist"
    write_table(read_manifest(file), tmp_path / "again.CSV")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.CSV").table, read_manifest(file).table)
    write_table(read_manifest(file), tmp_path / "again.PARQUET")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.PARQUET").table, read_manifest(file).table)


def test_a_decimal_comma_is_one_where_commas_do_not_separate(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png")
    file = csv(tmp_path, "path;label;x1;y1;x2;y2\n1.png;a,b;0;0,5;7,25;8\n")
    assert boxes_of(read_manifest(file).table) == [(0.0, 0.5, 7.25, 8.0)]
    assert column(read_manifest(file), "label") == ["a,b"]
    with pytest.raises(ManifestError, match="row 2: x2 is '1,500': expected a number or nothing"):
        read_manifest(csv(tmp_path, 'path,label,x1,y1,x2,y2\n1.png,a,0,0,"1,500",8\n'))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"path,label\n1.png,a\0b\n", r"a NUL byte in line 2: damaged, or no text"),
        (b"path,label\n1.p\0ng,a\n", r"a NUL byte in line 2"),
        (b'path,label\n1.png,"a\n2.png,b\n', r"a quotation mark that does not end"),
        (b"path,label\n1.png,a,b\n", r'row 2 has 3 cells, expected 2, separated by ,; put a text that .*\("a, b"\)'),
        (b"path;label\n1.png;a;b\n", r"row 2 has 3 cells, expected 2, separated by ;"),
        (b"path,x1,x_1,label\n", r"the columns x1 and x_1 both mean x1: keep one of them"),
        (b"path,label,label\n", r"the columns label and label both mean label: keep one"),
        (b"path,label,\xef\xbb\xbfcamera,\n\xf1\xf1,a,1\n", r"utf-8.*; Excel calls what is expected 'CSV UTF-8'"),
        ("path,label\nКиви.png,Киви\n".encode("cp1251"), r"utf-8.*'CSV UTF-8'"),
        ("path,label\nキウイ.png,キウイ\n".encode("shift-jis"), r"utf-8.*'CSV UTF-8'"),
        (b"\xff\xfep\0a", r"utf-16"),
        (",".join(f"c{number}" for number in range(1_000_000)).encode(), r"1000000 columns, expected at most 1000"),
        (
            b"name;kind\nx;y\n",
            r"expected the columns path and label .*, found name, kind \(separated by ;\): name",
        ),
    ],
)
def test_what_has_no_clear_meaning_is_told_in_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=expected) as caught:
        read_manifest(tmp_path / "data.csv")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("columns", ["ignore", "camera,split,is_query,is_gallery,x1,y1,x2,y2,sequence,role,source"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_has_no_image(tmp_path: Path, columns: str, suffix: str) -> None:
    file = csv(tmp_path, f"path,label,{columns}\n")
    if suffix == ".parquet":
        pd.read_csv(file).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(ManifestError, match="no image at all"):
        read_manifest(tmp_path / f"data{suffix}")


def test_columns_that_mean_nothing_may_stand_twice(tmp_path: Path) -> None:
    cells = read_csv(csv(tmp_path, "path,note,label,note,\n1.png,x,a,y,z\n"))
    assert cells.names == ["path", "note", "label", "note", "column 5"]
    pictures(tmp_path, "1.png")
    assert column(read_manifest(tmp_path / "data.csv"), "label") == ["a"]


def parquet(tmp_path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def test_cells_of_parquet_keep_what_they_are(tmp_path: Path) -> None:
    labels = {
        "whole numbers beside nothing": ([2**53 + 1, None], ["9007199254740993", ""]),
        "64 bits": (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"]),
        "beyond 64 bits": ([decimal.Decimal(10**25), decimal.Decimal(7)], ["1" + "0" * 25, "7"]),
        "bytes": ([b"Kiwi", "Jalapeño".encode()], ["Kiwi", "Jalapeño"]),
        "a dictionary": (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    }
    for values, expected in labels.values():
        cells = read_parquet(parquet(tmp_path, path=["1.png", "2.png"], label=values, vector=[[1.0], [2.0]]))
        assert cells.names == ["path", "label"], "lists are no cells"
        assert cells.whole is not None
        assert cells.columns[1] == expected


def test_parquet_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0")
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xf1a")])
    twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["path", "path"])
    wide = pa.table({f"c{number}": [1] for number in range(MOST_COLUMNS + 1)})
    cases = [
        (pa.table({"path": not_utf8, "label": ["a", "b"]}), r"column path, row 2: 'utf-8' codec"),
        (pa.table({"path": ["a", "b"], "label": [b"a", b"\xf1"]}), r"column label, row 3: 'utf-8' codec"),
        (pa.table({"path": ["a\0.png"], "label": ["x"]}), r"column path, row 2: a NUL byte"),
        (twice, r"the columns path and path both mean path: keep one"),
        (wide, r"1001 columns, expected at most 1000"),
    ]
    for table, expected in cases:
        pq.write_table(table, tmp_path / "data.parquet")
        with pytest.raises(ManifestError, match=expected):
            read_manifest(tmp_path / "data.parquet")
    whole = (tmp_path / "data.parquet").read_bytes()
    damaged = [
        whole[:-1],
        whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        whole[:-8] + b"\1\0\0\0PAR1",
        b"PAR1",
        b"",
        whole[2000:],
    ]
    for content in damaged:
        (tmp_path / "data.parquet").write_bytes(content)
        with pytest.raises(ManifestError, match="cannot be read as a table") as caught:
            read_manifest(tmp_path / "data.parquet")
        assert len(str(caught.value).splitlines()) == 1


def test_only_text_that_is_plainly_western_is_taken_for_it() -> None:
    assert decode("Übergröße;10 °C".encode("cp1252")) == ("Übergröße;10 °C", "Windows-1252")
    with pytest.raises(ValueError, match="utf-8"):
        decode("Übergröße ¬¤".encode("cp1252"))
    assert decode("naïve".encode()) == ("naïve", "utf-8")
    assert decode(b"a\xf1", "surrogateescape") == ("a\udcf1", "utf-8")
