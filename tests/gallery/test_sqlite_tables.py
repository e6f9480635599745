"""Tables of earlier versions are brought forward in one transaction."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from earlier_galleries import write_earlier
from lookalike.gallery.about import SCHEMA, first_about
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.gallery.sqlite_tables import TABLES, has_tables, upgrade

from .conftest import numbered

ABOUT = {"fingerprint": "f", "precision": "float32", "dimensions": "2"}
KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.gallery import sqlite_tables
from lookalike.gallery.sqlite_store import SqliteStore
sqlite_tables._put_about = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
SqliteStore(Path(sys.argv[1]))
"""
READER = """
import os, pwd, sys
from pathlib import Path
from lookalike.gallery.rows import StoreError
from lookalike.gallery.sqlite_store import SqliteStore
if os.geteuid() == 0:
    os.setuid(pwd.getpwnam("nobody").pw_uid)
try:
    SqliteStore(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody can read."""
    made = Path(tempfile.mkdtemp(prefix="lookalike-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def write_former(file: Path, schema: int) -> None:
    """Two images, in a store of an earlier version."""
    rows = [numbered("a", 1), numbered("b", 2)]
    if schema < 3:
        write_earlier(file, schema, ABOUT, [(number, row, None) for number, row in enumerate(rows, 1)])
        return
    with closing(SqliteStore.create(file, ABOUT)) as store:
        store.add(rows, "the first")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TABLE facts")
        connection.execute("UPDATE about SET value = '3' WHERE name = 'schema'")


def need_whole(file: Path) -> None:
    with closing(SqliteStore(file)) as store:
        assert [row.label for row in store.rows()] == ["a", "b"]
        assert store.confirm([2], "") == (1, [])
        assert [change.note for change in store.changes()] == ["", "the first"]


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_process_that_is_killed_meanwhile_leaves_it_as_it_was(folder: Path, schema: int) -> None:
    file = folder / "shop" / "gallery.sqlite"
    write_former(file, schema)
    assert subprocess.run([sys.executable, "-c", KILLED, file]).returncode == -signal.SIGKILL
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT value FROM about WHERE name = 'schema'").fetchone() == (str(schema),)
    need_whole(file)


@pytest.mark.parametrize("writable", ["neither", "folder"])
def test_where_it_cannot_be_written_it_stays_as_it_is(folder: Path, writable: str) -> None:
    """The folder alone is writable: SQLite reads, and refuses to write."""
    file = folder / "shop" / "gallery.sqlite"
    write_former(file, 3)
    before = file.read_bytes()
    file.parent.chmod(0o777 if writable == "folder" else 0o555)
    file.chmod(0o444)
    done = subprocess.run([sys.executable, "-c", READER, file], capture_output=True, text=True)
    assert f"{file}: cannot be used (" in done.stdout, done.stderr
    assert "check the disk and its permissions" in done.stdout
    assert file.read_bytes() == before
    file.parent.chmod(0o755)
    file.chmod(0o644)
    need_whole(file)


def test_a_store_that_a_later_version_brought_forward_meanwhile_is_left_alone() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in TABLES:
            connection.execute(statement)
        about = {**first_about(ABOUT), "schema": str(SCHEMA + 1)}
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        upgrade(connection)
        assert dict(connection.execute("SELECT name, value FROM about")) == about


def test_the_version_before_gets_the_table_of_facts_and_another_name() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        assert not has_tables(connection)
        for statement in TABLES:
            connection.execute(statement)
        about = first_about(ABOUT)
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.execute("DROP TABLE facts")
        connection.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
        upgrade(connection)
        now = dict(connection.execute("SELECT name, value FROM about"))
        assert now["schema"] == str(SCHEMA)
        assert now["gallery"] != about["gallery"]
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (0,)
        upgrade(connection)
        assert dict(connection.execute("SELECT name, value FROM about")) == now, "another process did it already"
