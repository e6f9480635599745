"""Nothing that is read is written over, and nothing that somebody else made is replaced."""

import json
import os
import re
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.outputs import OutputError, need_files, need_folder, own_name, write_files


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(name: str) -> list[str]:
    """What stands under dated names beside a file."""
    return sorted(file.read_text() for file in Path(name).parent.glob(f"{Path(name).name}.[0-9]*"))


def test_an_earlier_result_is_replaced_and_what_it_alone_had_is_removed() -> None:
    main = Path("deep/r.json")
    write_files(main, {main: b"1", Path("deep/r.png"): b"2", Path("deep/r/a.csv"): b"3"})
    write_files(main, {main: b"4", Path("deep/r/b.csv"): b"5"})
    assert main.read_text() == "4"
    assert not Path("deep/r.png").exists()
    assert [file.name for file in Path("deep/r").iterdir()] == ["b.csv"]
    assert not kept("deep/r.json")


@pytest.mark.parametrize("earlier", [False, True], ids=["another's", "ours, changed since"])
def test_what_a_person_made_is_kept_under_a_dated_name(earlier: bool, capsys: pytest.CaptureFixture[str]) -> None:
    main, table = Path("r.json"), Path("r/a.csv")
    if earlier:
        write_files(main, {main: b"1", table: b"2"})
    table.parent.mkdir(exist_ok=True)
    table.write_text("mine")
    write_files(main, {main: b"3", table: b"4"})
    assert table.read_text() == "4"
    assert kept("r/a.csv") == ["mine"]
    told = capsys.readouterr().err
    assert re.search(r"r\.json: what stood there and was not written here, .* or is of other data, is kept: r/a", told)
    table.write_text("mine, too")
    write_files(main, {main: b"5"})
    assert table.read_text() == "mine, too", "it would have been removed if it were as it was written"


def test_the_same_content_is_not_kept_twice() -> None:
    Path("r.csv").write_text("same")
    write_files(Path("r.csv"), {Path("r.csv"): b"same"})
    assert not kept("r.csv")
    write_files(Path("r.csv"), {Path("r.csv"): b"other"})
    assert not kept("r.csv"), "now it is ours"


def test_a_link_of_a_person_is_kept_and_not_followed() -> None:
    Path("data.csv").write_text("mine")
    Path("r.csv").symlink_to("data.csv")
    write_files(Path("r.csv"), {Path("r.csv"): b"new"})
    assert Path("data.csv").read_text() == "mine"
    assert not Path("r.csv").is_symlink()
    assert kept("r.csv") == ["mine"]


def test_results_of_another_source_have_another_name() -> None:
    main, places = Path("r.json"), {}
    for source, apart in (("m on /A", "A"), ("m on /B", "B"), ("m on /c/B", "B"), ("m on /d/B", "B"), ("m on /B", "B")):
        places[source] = own_name(main, source, apart)
        write_files(places[source], {places[source]: source.encode()}, source)
    assert {source: place.name for source, place in places.items()} == {
        "m on /A": "r.json",
        "m on /B": "r-B.json",
        "m on /c/B": "r-B-2.json",
        "m on /d/B": "r-B-3.json",
    }
    assert {place.read_text(): place for place in places.values()} == places
    write_files(main, {main: b"again"}, "m on /A")
    assert (main.read_text(), kept("r.json")) == ("again", [])
    write_files(main, {main: b"taken at the same moment"}, "m on /B")
    assert kept("r.json") == ["again"], "what is of another source is never replaced"
    odd = "m on /caf\udce9"
    write_files(Path("odd.json"), {Path("odd.json"): b"1"}, odd)
    assert own_name(Path("odd.json"), odd, "x") == Path("odd.json")
    assert own_name(Path("odd.json"), "m on /other", "x") == Path("odd-x.json")
    write_files(Path("odd.json"), {Path("odd.json"): b"2"}, odd)
    assert kept("odd.json") == []
    Path("mine.json").write_text("by hand")
    assert own_name(Path("mine.json"), "m on /A", "A") == Path("mine.json"), (
        "kept under a dated name when it is written"
    )


LED_AWAY = '{"source": "", "files": {"../mine": ["DIGEST"], "/mine": ["DIGEST"]}}'


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"source": "", "files": {"a": 1}}', LED_AWAY, "\udcff"])
def test_a_list_that_is_damaged_or_leads_elsewhere_removes_nothing(content: str, here: Path) -> None:
    (here / "deep").mkdir()
    Path("mine").write_bytes(b"")
    Path("deep/r.csv").write_text("mine")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    text = content.replace("DIGEST", digest).replace('"/mine', f'"{here}/mine')
    Path("deep/.r.csv.written").write_bytes(text.encode("utf-8", "surrogateescape"))
    write_files(Path("deep/r.csv"), {Path("deep/r.csv"): b"new"})
    assert Path("mine").exists()
    assert kept("deep/r.csv") == ["mine"]
    assert list(json.loads(Path("deep/.r.csv.written").read_text())["files"]) == ["r.csv"]


def test_a_file_that_is_read_is_never_written(here: Path) -> None:
    Path("t.csv").write_text("mine")
    Path("linked.csv").symlink_to("t.csv")
    os.link("t.csv", "second.csv")
    for name in ("t.csv", "linked.csv", "second.csv", f"../{here.name}/t.csv"):
        with pytest.raises(OutputError, match=r"csv: expected an output apart from what is read, but it is data"):
            need_files(Path(name), (), {"bundle": Path("b"), "data.root": Path("t.csv")})
        with pytest.raises(OutputError, match=r"t\.csv: .* but it is data\.root=.*: give another output"):
            need_files(Path("r.json"), [Path("t.csv")], {"data.root": Path(name)})
    need_files(Path("r.json"), [Path("r.csv")], {"data.root": Path("t.csv")})


def test_a_file_inside_what_is_read_is_only_written_where_it_is_of_an_earlier_call() -> None:
    Path("b").mkdir()
    Path("b/config.json").write_text("{}")
    with pytest.raises(OutputError, match=r"b/config\.json: expected .*, but it is a file of bundle=b: give another"):
        need_files(Path("b/config.json"), (), {"bundle": Path("b")})
    need_files(Path("b/r.json"), (), {"bundle": Path("b")})
    write_files(Path("b/r.json"), {Path("b/r.json"): b"1"})
    need_files(Path("b/r.json"), (), {"bundle": Path("b")})
    Path("b/r.json").write_text("2")
    with pytest.raises(OutputError, match=r"b/r\.json: .* is a file of bundle=b"):
        need_files(Path("b/r.json"), (), {"bundle": Path("b")})


def test_a_folder_that_is_read_is_no_output() -> None:
    Path("data/deep").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"data/deep/\.\.: .*, but it is data\.root=data: give another"):
        need_folder(Path("data/deep/.."), {"data.root": Path("data")})
    need_folder(Path("data/new"), {"data.root": Path("data")})
    need_folder(Path("data"), {"data.root": Path("data/deep")})
    with pytest.raises(OutputError, match=r"data: .*, but it holds data\.root=data/deep: give another"):
        need_folder(Path("data"), {"data.root": Path("data/deep")}, replaced=True)
    assert not Path("data/new").exists()


def test_files_for_folders_folders_for_files_and_places_without_rights(here: Path) -> None:
    Path("f").write_text("mine")
    Path("d.csv").mkdir()
    with pytest.raises(OutputError, match=r"f: expected a folder to write, found a file: give another output, or move"):
        need_folder(Path("f"), {})
    with pytest.raises(OutputError, match=r"d\.csv: expected a file to write, found a folder: give another output"):
        need_files(Path("d.csv"), (), {})
    with pytest.raises(LookalikeError, match=r"f: nothing can be written there"):
        need_files(Path("f/r.csv"), (), {})
    with pytest.raises(LookalikeError, match=r"f/r: nothing can be written there"):
        need_folder(Path("f/r"), {})
    assert sorted(here.iterdir()) == [here / "d.csv", here / "f"]


def test_a_folder_of_somebody_is_not_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    need_folder(tmp_path / "photos", {}, replaced=True, ours="model.json")
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(
        OutputError, match=r"expected a new folder, or .* \(with model\.json\), found others' files \(a\.jpg\)"
    ):
        need_folder(tmp_path / "photos", {}, replaced=True, ours="model.json")
    (tmp_path / "photos" / "model.json").write_text("{}")
    need_folder(tmp_path / "photos", {}, replaced=True, ours="model.json")
