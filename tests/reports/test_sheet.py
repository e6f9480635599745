"""Tables as texts, CSV and LaTeX."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lookalike.reports.sheet import Column, Sheet

SHEET = Sheet(
    [
        Column("class", ["a_b & 50 %", "x\ny \\{~^<>}"]),
        Column("queries", [4, np.int64(1200)], "count"),
        Column("accuracy", [1 / 3, float("nan")], "figure"),
        Column("share", [0.25, None], "percent"),
        Column("95 % interval", [(0.1, 0.5), None], "interval"),
        Column("kept", [(0.25, 0.125, 0.5), None], "between"),
    ],
    sortable=True,
)


def test_a_page_shows_texts() -> None:
    assert SHEET.heads == ["class", "queries", "accuracy", "share", "95 % interval", "kept"]
    assert SHEET.rows == [
        ["a_b & 50 %", "4", "0.3333", "25.0 %", "0.1000 to 0.5000", "25.0 % (12.5 to 50.0)"],
        ["x\ny \\{~^<>}", "1200", "", "", "", ""],
    ]
    assert SHEET.numbers == {1, 2, 3, 4, 5}


def test_csv_holds_the_numbers() -> None:
    heads, first, second = csv.reader(io.StringIO(SHEET.to_csv().decode(), newline=""))
    assert heads[:6] == ["class", "queries", "accuracy", "share", "share 95 % low", "share 95 % high"]
    assert heads[6:] == ["kept", "kept 95 % low", "kept 95 % high"]
    assert first == ["a_b & 50 %", "4", str(1 / 3), "0.25", "0.1", "0.5", "0.25", "0.125", "0.5"]
    assert second == ["x\ny \\{~^<>}", "1200", *[""] * 7]
    assert Sheet([Column("", ["loss"]), Column("", ["arcface"])]).to_csv() == b"name,value\r\nloss,arcface\r\n"


def test_a_spreadsheet_computes_nothing() -> None:
    texts = ["=HYPERLINK(1)", "+x", "-x", "@x", "\tx", "\rx", "\n=x", "-1+1", "-1", "+1.5", "a=b", "", "'x"]
    rows = list(csv.reader(io.StringIO(Sheet([Column("class", texts)]).to_csv().decode(), newline="")))
    cells = [row[0] if row else "" for row in rows[1:]]
    assert cells == [*(f"'{text}" for text in texts[:8]), *texts[8:]]
    assert Sheet([Column("share", [-0.5], "figure")]).to_csv() == b"share\r\n-0.5\r\n"


def test_latex_sets_every_sign_as_it_is() -> None:
    lines = SHEET.to_latex().decode().splitlines()
    assert lines[:4] == [
        r"\begin{tabular}{lrrrrr}",
        r"\hline",
        r"class & queries & accuracy & share & 95 \% interval & kept \\",
        r"\hline",
    ]
    assert lines[4] == r"a\_b \& 50 \% & 4 & 0.3333 & 25.0 \% & 0.1000 to 0.5000 & 25.0 \% (12.5 to 50.0) \\"
    assert lines[5].startswith(
        r"x y \textbackslash{}\{\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\} & 1200 &  &  & "
    )
    assert lines[-1] == r"\end{tabular}"


def test_a_row_is_no_argument_of_the_end_of_the_one_before() -> None:
    lines = (
        Sheet([Column("", ["[2cm] a", "*b", "c [d]"]), Column("", ["[x]", "*", ""])]).to_latex().decode().splitlines()
    )
    assert lines[2:5] == [r"{}[2cm] a & [x] \\", r"{}*b & * \\", r"c [d] &  \\"]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here")
def test_latex_compiles(tmp_path: Path) -> None:
    document = b"\\documentclass{article}\\begin{document}" + SHEET.to_latex() + b"\\end{document}"
    starts = Sheet([Column("", ["[a", "[2cm]", "*b"])]).to_latex()
    (tmp_path / "t.tex").write_bytes(document.replace(b"\\end{document}", starts + b"\\end{document}"))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == 0


def test_without_heads_there_is_no_line_for_them() -> None:
    lines = Sheet([Column("", ["loss"]), Column("", ["a"])]).to_latex().decode().splitlines()
    assert lines == [r"\begin{tabular}{ll}", r"\hline", r"loss & a \\", r"\hline", r"\end{tabular}"]


def test_a_name_that_is_not_utf_8_is_spelt_out() -> None:
    sheet = Sheet([Column("class", ["a\udcff"])])
    assert b"a\\udcff" in sheet.to_csv()
    assert b"udcff" in sheet.to_latex()
