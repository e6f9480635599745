"""Columns of people's own tables go on under our names, others keep theirs."""

from pathlib import Path

import pandas as pd
import pytest

from image_folders import column, csv, pictures
from lookalike import Dataset
from lookalike.cli.main import main
from lookalike.data.column_names import own_columns
from lookalike.data.manifest import write_table
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError

OURS = ("path", "label", "split", "camera", "site", "x1")
WILD = (
    "individual_id,file,site,date,species,sex\n"
    "Z1,a.png,Delta,2024-05-01,zebra,F\n"
    "Z1,b.png,North,2024-05-02,zebra,\n"
    "Z2,c.png,Delta,2024-05-01,zebra,M\n"
    "Z2,d.png,NA,,zebra,M\n"
)
NAMES = {"label": "individual_id", "path": "file", "camera": "site"}


@pytest.mark.parametrize(
    ("names", "given", "expected"),
    [
        (["path", "label", "note"], {}, {"path": 0, "label": 1, "note": 2}),
        (["File", "ID"], {"path": "File", "label": "ID"}, {"path": 0, "label": 1}),
        (["file", "id"], {"path": " File ", "label": "ID"}, {"path": 0, "label": 1}),
        (["path", "label", "id"], {"label": "id"}, {"label": 2, "path": 0, "label.1": 1}),
        (["path", "site", "label"], {"camera": "site"}, {"camera": 1, "path": 0, "site": 1, "label": 2}),
        (["path", "note", "note"], {}, {"path": 0, "note": 1, "note.1": 2}),
        (["path", "PATH", "X_1"], {}, {"path": 0, "PATH": 1, "x1": 2}),
        (["a", "A"], {"path": "a"}, {"path": 0, "A": 1}),
    ],
)
def test_places_of_columns(names: list[str], given: dict[str, str], expected: dict[str, int]) -> None:
    assert own_columns(names, given, OURS) == expected


@pytest.mark.parametrize(
    ("names", "given", "text"),
    [
        (["path", "x1", "x_1"], {}, "the columns x1 and x_1 both mean x1: keep one of them"),
        (
            ["path", "individual id"],
            {"label": "individual_id"},
            r"no such column; did you mean individual id\?; there are",
        ),
        (["a", "A", "B"], {"path": "B "}, None),
        (
            ["id", "ID", "Id"],
            {"label": "iD"},
            r"data\.columns\.label=iD: 3 columns are called so; there are id, ID, Id$",
        ),
        (["id", "id"], {"label": "id"}, r"data\.columns\.label=id: 2 columns are called so"),
    ],
)
def test_what_cannot_be_told(names: list[str], given: dict[str, str], text: str | None) -> None:
    if text is None:
        own_columns(names, given, OURS)
        return
    with pytest.raises(ValueError, match=text):
        own_columns(names, given, OURS)


def test_a_table_of_animals_is_read_with_its_names_cameras_and_other_columns(tmp_path: Path) -> None:
    pictures(tmp_path / "photos", "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "lists").mkdir()
    file = csv(tmp_path / "lists", WILD)
    manifest = read_manifest(file, columns=NAMES, images=tmp_path / "photos")
    assert column(manifest, "label") == ["Z1", "Z1", "Z2", "Z2"]
    assert manifest.file("a.png") == tmp_path / "photos" / "a.png"
    assert [None if pd.isna(camera) else camera for camera in manifest.table["camera"]] == [0, 1, 0, None]
    assert manifest.camera_names == {0: "Delta", 1: "North"}
    assert manifest.carried == ["site", "date", "species", "sex", "camera_name"]
    assert column(manifest, "date") == ["2024-05-01", "2024-05-02", "2024-05-01", ""]
    assert column(manifest, "sex") == ["F", "", "M", "M"]
    assert manifest.read_as == "a table, label from individual_id, path from file, camera from site"
    assert manifest.notes == ("2 names of cameras became numbers: 0 Delta, 1 North",)
    with pytest.raises(ManifestError, match=r"a\.png: No such file or directory"):
        read_manifest(file, columns=NAMES)
    with pytest.raises(
        ManifestError, match=r"expected the columns path and label.*as in data\.columns\.path=<its name>$"
    ):
        read_manifest(file)


def test_settings_and_python_name_columns_alike_and_the_written_table_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "photos", "a.png", "b.png", "c.png", "d.png")
    csv(tmp_path, WILD, "animals.csv")
    named = [f"data.columns.{name}={header}" for name, header in NAMES.items()]
    assert main(["manifest", "data.root=animals.csv", "data.images=photos", *named, "output=out.csv"]) == 0
    assert "read as a table, path from file, label from individual_id, camera from site" in capsys.readouterr().err
    first = Dataset("animals.csv", images="photos", columns=NAMES).manifest
    again = Dataset("out.csv").manifest
    assert again.carried == first.carried
    assert again.camera_names == first.camera_names
    pd.testing.assert_frame_equal(again.table.drop(columns="path"), first.table.drop(columns="path"))


def test_carried_columns_leave_the_fingerprint_as_it_was(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    plain = csv(tmp_path, "path,label,camera\n1.png,a,3\n2.png,b,4\n", "plain.csv")
    more = csv(tmp_path, "note,path,label,camera,date,site\nx,1.png,a,3,2024,N\n,2.png,b,4,,\n", "more.csv")
    assert read_manifest(plain).fingerprint() == read_manifest(more).fingerprint()
    assert read_manifest(plain).carried == []
    with_copy = read_manifest(more).with_augmented(
        pd.DataFrame([{"path": "2.png", "label": "b", "split": "train", "source": "1.png"}])
    )
    assert column(with_copy, "note") == ["x", "", ""]


@pytest.mark.parametrize("text", ["left", "CAM 1", "3a", "カメラ"])
def test_cameras_may_have_names(tmp_path: Path, text: str) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    manifest = read_manifest(csv(tmp_path, f"path,label,camera\n1.png,a,{text}\n2.png,a,7\n3.png,a,n/a\n"))
    assert set(manifest.camera_names.values()) == {text, "7"}
    assert manifest.table["camera"].tolist()[:2] == [sorted([text, "7"]).index(name) for name in (text, "7")]
    write_table(manifest, tmp_path / "again.parquet")
    assert read_manifest(tmp_path / "again.parquet").camera_names == manifest.camera_names


def test_columns_and_images_are_for_tables(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png")
    for setting, value in (("columns", {"label": "id"}), ("images", "photos")):
        with pytest.raises(ManifestError, match=rf"a folder, and data\.{setting} is for tables: leave it out, or give"):
            read_manifest(tmp_path, **{setting: value})
    assert len(read_manifest(tmp_path, columns={"label": None}, images=None).table) == 1
    file = csv(tmp_path, "path,label\n1.png,a\n")
    with pytest.raises(ManifestError, match=r"^data\.images=nowhere: no such folder: give the one that paths of"):
        read_manifest(file, images="nowhere")
    with pytest.raises(
        ManifestError, match=r"data\.csv: data\.columns\.camera=cam: no such column; there are path, label$"
    ):
        read_manifest(file, columns={"camera": "cam"})


def test_a_column_that_another_takes_the_place_of_is_kept_under_another_name(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    rows = "path,label,camera,camera_name,camera_name.1\n1.png,a,North,Reconyx,x\n2.png,a,South,Bushnell,y\n"
    manifest = read_manifest(csv(tmp_path, rows))
    assert manifest.notes[-1] == (
        "the column camera_name of the table is called camera_name.2, as camera_name is told by the names of cameras"
    )
    assert column(manifest, "camera_name.2") == ["Reconyx", "Bushnell"]
    assert column(manifest, "camera_name.1") == ["x", "y"]
    assert manifest.camera_names == {0: "North", 1: "South"}
    write_table(manifest, tmp_path / "again.csv")
    again = read_manifest(tmp_path / "again.csv")
    assert (again.camera_names, again.notes) == (manifest.camera_names, ())
    same = read_manifest(csv(tmp_path, "path,label,camera,camera_name\n1.png,a,N,N\n2.png,a,S,S\n"))
    assert "camera_name.1" not in same.table
    roles = "path,label,split,role,is_query,is_gallery\n1.png,a,test,mine,1,0\n2.png,a,test,,0,1\n"
    told = read_manifest(csv(tmp_path, roles))
    assert column(told, "role") == ["query", "reference"]
    assert column(told, "role.1") == ["mine", ""]
    assert "the column role of the table is called role.1, as role is told by is_query and is_gallery" in told.notes


def test_columns_of_open_metric_learning_that_tell_nothing_here_are_carried_along(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    rows = "path,label,camera,scene,sequence,is_query\n1.png,a,1,x,s1,yes\n2.png,a,2,x,s2,\n"
    manifest = read_manifest(csv(tmp_path, rows))
    assert column(manifest, "sequence") == ["s1", "s2"]
    assert column(manifest, "is_query") == ["yes", ""]
    assert manifest.notes == ("is_query alone tells no role: it is carried along (is_query and is_gallery tell one)",)
