"""MLflow's database after kills, and when two make it at once."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lookalike.training.mlflow_database import ready_database, usable

MAKE = "import sys; from lookalike.training.mlflow_database import ready_database; ready_database(sys.argv[1])"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_two_first_runs_at_once_make_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    both = [subprocess.Popen([sys.executable, "-c", MAKE, uri]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert usable(tmp_path / "mlflow.db")
    assert names(tmp_path) == ["mlflow.db"]
    assert MlflowClient(uri).create_experiment("e")


@pytest.mark.parametrize("tables", [["experiments"], ["alembic_version", "experiments", "runs"], []])
def test_a_half_made_one_is_kept_aside(tmp_path: Path, tables: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As a kill leaves it: some tables, nobody's rows; and a temporary file of ours."""
    path = tmp_path / "mlflow.db"
    path.touch()
    database = sqlite3.connect(path)
    for name in tables:
        database.execute(f"create table {name} (a)")
    database.commit()
    database.close()
    (tmp_path / ".mlflow.db.0a1b2c3d.new").write_bytes(b"of a killed process")
    ready_database(f"sqlite:///{path}")
    assert usable(path)
    aside = [name for name in names(tmp_path) if name != "mlflow.db"]
    assert len(aside) == bool(tables)
    assert ("only half made (a kill or a full disk): kept as" in capsys.readouterr().err) == bool(tables)
    before = path.read_bytes()
    ready_database(f"sqlite:///{path}")
    assert path.read_bytes() == before, "a whole one is left as it is"


def test_what_somebody_else_made_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("create table theirs (a)")
    text = tmp_path / "text.db"
    text.write_bytes(b"no database" * 100)
    for path in (other, text):
        before = path.read_bytes()
        ready_database(f"sqlite:///{path}")
        assert path.read_bytes() == before
    for uri in ("http://127.0.0.1:1", "sqlite://", "sqlite:///:memory:", "postgresql://x/y"):
        ready_database(uri)
    assert names(tmp_path) == ["other.db", "text.db"]
