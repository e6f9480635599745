"""The files beside a page: whole tables, figures that open on their own, the methods."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.reports.model_files import sheets, write_report
from lookalike.reports.model_report import Report
from lookalike.reports.model_tables import MOST_PAIRS


def test_tables_figures_and_methods_are_written(strangers: Report, report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    written = write_report(strangers, tmp_path / "r.html")
    assert {file.suffix for file in written} == {".csv", ".tex", ".svg", ".txt", ".json"}
    tables = sheets(strangers)
    assert {"figures", "classes", "thresholds", "model", "unknown-rates", "unknown-labels"} <= set(tables)
    for name, table in tables.items():
        rows = list(csv.reader(io.StringIO((folder / f"{name}.csv").read_text("utf-8"), newline="")))
        assert len(rows) == len(table.rows) + 1
        assert (folder / f"{name}.tex").read_text("utf-8").count(r"\\") >= len(table.rows)
    figures = dict(row[:2] for row in csv.reader((folder / "figures.csv").open()))
    assert float(figures["map"]) == strangers.identification.metrics["map"]
    for name in ("metrics", "cmc", "curves", "unknown", "similarities", "nearest"):
        assert ET.parse(folder / f"{name}.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in (folder / f"{name}.svg").read_text("utf-8"), "no colours of a page"
    assert json.loads((folder / "methods.json").read_text())["queries"] == 20
    again = write_report(report, tmp_path / "r.html")
    assert not list(folder.glob("unknown*")), "what the other report had is gone"
    assert {*again, folder / "notes.txt"} == set(folder.iterdir())


def test_what_a_person_made_in_that_folder_is_kept(
    strangers: Report, report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, mine = tmp_path / "mine", {}
    folder.mkdir()
    for name in ("cameras.csv", "confusions.csv", "classes.csv", "unknown.svg", "unknown-rates.csv"):
        mine[name] = f"my own {name}"
        (folder / name).write_text(mine[name])
    (tmp_path / "mine.html").write_text("my page")
    write_report(report, tmp_path / "mine.html")
    assert "is kept: " in capsys.readouterr().err
    for name in ("cameras.csv", "unknown.svg", "unknown-rates.csv"):
        assert (folder / name).read_text() == mine[name], "this report has no such file"
    for name in ("confusions.csv", "classes.csv"):
        assert [file.read_text() for file in folder.glob(f"{name}.*")] == [mine[name]]
        assert (folder / name).read_text() != mine[name]
    assert [file.read_text() for file in tmp_path.glob("mine.html.*")] == ["my page"]
    write_report(strangers, tmp_path / "mine.html")
    (folder / "unknown-labels.csv").write_text("corrected by hand")
    write_report(report, tmp_path / "mine.html")
    assert (folder / "unknown-labels.csv").read_text() == "corrected by hand"
    assert not (folder / "unknown-labels.tex").exists()


def test_a_file_in_the_place_of_the_folder_is_told_before_any_work(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rr").write_text("mine")
    assert main(["report", f"bundle={bundle_path}", f"data.root={digits}", "output=rr.html"]) == 2
    error = capsys.readouterr().err
    assert error == "lookalike: rr: expected a folder to write, found a file: give another output, or move that file\n"
    assert [file.name for file in tmp_path.iterdir()] == ["rr"]


def test_all_pairs_are_written_although_the_page_shows_some(report: Report) -> None:
    result = report.identification.result
    per_query = result.per_query.assign(predicted=[f"x{row}" for row in range(len(result.per_query))])
    many = replace(report, identification=replace(report.identification, result=replace(result, per_query=per_query)))
    assert len(sheets(many)["confusions"].rows) == 20
    assert MOST_PAIRS > 20 or len(sheets(many)["confusions"].rows) > MOST_PAIRS


def test_the_folder_lies_beside_the_page(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["report", f"bundle={bundle_path}", f"data.root={digits}", "umap=false", "output=deep/page.html"]
    assert main(command) == 0
    files = list((tmp_path / "deep" / "page").iterdir())
    assert f"written: deep/page: {len(files)} files: tables as CSV and LaTeX, figures as SVG" in capsys.readouterr().out
    assert "The folder page/ beside this page" in (tmp_path / "deep" / "page.html").read_text()
