"""Where a gallery is kept: in a folder, or on a PostgreSQL server."""

from pathlib import Path

from lookalike.errors import needing
from lookalike.gallery.postgres_place import postgres_place
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.settings.paths import is_postgres, path_of

_FILE = "gallery.sqlite"


def create_store(place: str | Path, about: dict[str, str]) -> SqlStore:
    """Makes an empty gallery.

    Args:
        place: A new folder or one without a gallery; or `postgresql://user:password@host:port/database?gallery=shop`.
        about: What the gallery is of: fingerprint, precision, dimensions, model.

    Raises:
        StoreError: A gallery is there already, or none can be made there.
        LookalikeError: The packages of the extra `postgres` are missing.
    """
    if not is_postgres(place):
        return SqliteStore.create(path_of(place, "Gallery.create") / _FILE, about)
    with needing("postgres", postgres_place(str(place)).name):
        from lookalike.gallery.postgres_store import PostgresStore
    return PostgresStore.create(str(place), about)


def open_store(place: str | Path) -> SqlStore:
    """Opens a gallery.

    Args:
        place: As of `create_store`.

    Raises:
        StoreError: There is none, or it cannot be read.
        LookalikeError: The packages of the extra `postgres` are missing.
    """
    if not is_postgres(place):
        return SqliteStore(path_of(place, "Gallery.open") / _FILE)
    with needing("postgres", postgres_place(str(place)).name):
        from lookalike.gallery.postgres_store import PostgresStore
    return PostgresStore(str(place))


def discard_store(place: str | Path) -> None:
    """Removes a gallery in a folder that was just made, and holds nothing yet.

    Args:
        place: As of `create_store`; nothing is done for an address.
    """
    if not is_postgres(place):
        for ending in ("", "-wal", "-shm"):
            (path_of(place, "Gallery.create") / f"{_FILE}{ending}").unlink(missing_ok=True)


def name_of(place: Path | str) -> str:
    """The name of a gallery: of its folder, or what its address calls it.

    Args:
        place: As `shown_place` gives it.
    """
    return place.resolve().name if isinstance(place, Path) else place.rpartition("=")[2]


def shown_place(place: str | Path, what: str) -> Path | str:
    """The folder of a gallery, or its address without the password.

    Args:
        place: As of `create_store`.
        what: Who asks, for errors.
    """
    return postgres_place(str(place)).name if is_postgres(place) else path_of(place, what)
