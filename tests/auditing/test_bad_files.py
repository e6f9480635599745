"""Single files that are odd: light, size, shape."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from audits import findings_of, look, untrained
from lookalike.auditing.bad_files import check_files
from lookalike.auditing.file_facts import gather
from lookalike.auditing.findings_table import Findings
from lookalike.data.images import read_image
from lookalike.data.reading import survey_data
from lookalike.export.untrained import identity


def test_light_size_and_shape_are_told(data: Path, tmp_path: Path) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    folder = data / "train" / label
    usual = read_image(sorted(folder.iterdir())[0])
    spoilt = {
        "blank": np.full((200, 200, 3), 128, np.uint8),
        "dark": (usual * 0.05).astype(np.uint8),
        "bright": (200 + usual * 0.2).astype(np.uint8),
        "blurred": cv2.GaussianBlur(usual, (0, 0), 20),
        "small": cv2.resize(usual, (20, 20), interpolation=cv2.INTER_AREA),
        "aspect": usual[:60, :300],
    }
    for name, image in spoilt.items():
        cv2.imwrite(str(folder / f"{name}.png"), image[:, :, ::-1])
    result = look(data, tmp_path / "cache")
    for name in spoilt:
        assert f"train/{label}/{name}.png" in set(findings_of(result, name)["path"]), name
    odd = result.findings[result.findings["kind"].isin(set(spoilt))]
    assert set(odd["path"]) <= {f"train/{label}/{name}.png" for name in spoilt}


def checked(root: Path, cache: Path) -> pd.DataFrame:
    manifest, _ = survey_data(str(root))
    rows = manifest.original.reset_index(drop=True)
    findings = Findings(rows)
    facts = gather(manifest, rows, untrained, identity(), cache / "images.parquet")
    check_files(findings, manifest, facts)
    return findings.table()


def test_files_that_belong_nowhere_are_told_and_augmented_copies_are_not(digits: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    for label in ("digit 0", "digit 1"):
        shutil.copytree(digits / "train" / label, root / "train" / label)
    file = next((root / "train/digit 0").iterdir())
    (root / "train/digit 0/notes.txt").write_text("x")
    (root / "train/digit 0/.hidden.txt").write_text("x")
    (root / "notes beside the splits.txt").write_text("x")
    (root / "exclude.csv").write_text(f"path,reason\n{file.relative_to(root)},dark\n")
    copies = root / "train/copies"
    (copies / "digit 0").mkdir(parents=True)
    (copies / "transform.json").write_text("{}")
    shutil.copyfile(file, copies / "digit 0/copy.png")
    table = checked(root, tmp_path / "cache")
    assert table["kind"].tolist() == ["stray"]
    assert table["path"].tolist() == ["train/digit 0/notes.txt"]
    shutil.copyfile(file, root / "train/alone.png")
    table = checked(root, tmp_path / "cache")
    assert dict(zip(table["path"], table["reason"], strict=True)) == {
        "train/digit 0/notes.txt": "no image",
        "train/alone.png": "an image outside any class folder",
    }


def test_files_behind_links_are_looked_at_and_those_of_systems_are_not(digits: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(digits / "train" / "digit 0", root / "train" / "digit 0")
    shutil.copytree(digits / "train" / "digit 1", tmp_path / "store")
    (tmp_path / "store" / "notes.txt").write_text("x")
    (tmp_path / "store" / "loop").symlink_to(root / "train")
    (root / "train" / "digit 1").symlink_to(tmp_path / "store")
    (root / "train" / "digit 0" / "@eaDir").mkdir()
    (root / "train" / "digit 0" / "@eaDir" / "x.db").write_text("x")
    assert checked(root, tmp_path / "cache")["path"].tolist() == ["train/digit 1/notes.txt"]
    assert len(survey_data(str(root))[0].table) == 20


def test_unusable_files_are_safe_to_leave_out_unless_they_may_come_back(digits: Path, tmp_path: Path) -> None:
    file = next((digits / "train/digit 0").iterdir())
    (tmp_path / "torn.png").write_bytes(file.read_bytes()[:100])
    (tmp_path / "empty.png").touch()
    rows = "torn.png,a\nempty.png,a\ngone.png,a\n" + f"{file},a\n"
    (tmp_path / "data.csv").write_text("path,label\n" + rows)
    table = checked(tmp_path / "data.csv", tmp_path / "cache").set_index("path")
    assert set(table.index) == {"torn.png", "empty.png", "gone.png"}
    assert table["reason"].str.partition(":")[0].to_dict() == {
        "torn.png": "damaged",
        "empty.png": "empty",
        "gone.png": "unreadable",
    }
    assert table["safe"].to_dict() == {"torn.png": True, "empty.png": True, "gone.png": False}
    assert (table["score"] == 1).all()
