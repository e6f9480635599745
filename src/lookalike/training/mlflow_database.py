"""MLflow's database in a file: made whole or not at all, by one process; a half-made one is set aside.

MLflow makes its tables in some forty steps, in place: a kill, a full disk or a second process on the way leaves a file
that no later run can use.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

from lookalike.console import say
from lookalike.files import only_one, set_aside

_SCHEME = "sqlite:///"


def ready_database(uri: str) -> None:
    """Makes the database of an address where there is none; does nothing for other stores.

    Args:
        uri: MLflow's tracking address.
    """
    if not uri.startswith(_SCHEME) or not uri[len(_SCHEME) :] or ":memory:" in uri:
        return
    path = Path(uri[len(_SCHEME) :].partition("?")[0])
    if usable(path):
        return
    lock = path.with_name(f".{path.name}.lock")
    with only_one(lock, "", wait=lambda: say(f"{path}: another process makes it: waiting")):
        if usable(path):
            return
        if path.exists() and not path.stat().st_size:
            path.unlink()
        if aside := set_aside(path):
            say(f"{path}: MLflow's tables were only half made (a kill or a full disk): kept as {aside}, made anew")
        for rest in path.parent.glob(f".{path.name}.*.new*"):
            rest.unlink(missing_ok=True)  # of a process that was killed here: nobody else holds the lock
        _make(path)


def usable(path: Path) -> bool:
    """Whether MLflow ever finished making this database: only then it holds an experiment.

    A file that is no database of SQLite is somebody's and counts as usable: MLflow says what is wrong with it.
    """
    if not path.is_file() or not path.stat().st_size:
        return path.exists() and not path.is_file()
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            names = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
            foreign = names and not names & {"experiments", "alembic_version"}
            return bool(foreign or ("experiments" in names and _some(database)))
    except sqlite3.DatabaseError:
        return True


def _some(database: sqlite3.Connection) -> bool:
    return database.execute("select 1 from experiments limit 1").fetchone() is not None


def _make(path: Path) -> None:
    """Under another name, renamed when it is whole."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f".{path.name}.{uuid4().hex[:8]}.new")
    try:
        store = SqlAlchemyStore(f"{_SCHEME}{new.absolute()}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]
        store.engine.dispose()
        new.replace(path)
    finally:
        with suppress(OSError):
            for rest in path.parent.glob(f"{new.name}*"):
                rest.unlink(missing_ok=True)
