"""Where a gallery is kept: in a folder, on a PostgreSQL server or on Milvus."""

from pathlib import Path

from lookalike.data.image_files import GALLERY_FILE
from lookalike.errors import needing
from lookalike.gallery.milvus_place import milvus_place
from lookalike.gallery.postgres_place import postgres_place
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore, need_none
from lookalike.settings.paths import is_milvus, is_server, path_of


def create_store(place: str | Path, about: dict[str, str]) -> SqlStore:
    """Makes an empty gallery.

    Args:
        place: A new folder or one without a gallery; or `postgresql://user:password@host:port/database?gallery=shop`;
            or `milvus://` and the same.
        about: What the gallery is of: fingerprint, precision, dimensions, model.

    Raises:
        StoreError: A gallery is there already, or none can be made there.
        LookalikeError: The packages of the extra `postgres` or `milvus` are missing.
    """
    if not is_server(place):
        return SqliteStore.create(path_of(place, "Gallery.create") / GALLERY_FILE, about)
    if is_milvus(place):
        with needing("milvus", milvus_place(str(place)).name):
            from lookalike.gallery.milvus_store import MilvusStore
        return MilvusStore.create(str(place), about)
    with needing("postgres", postgres_place(str(place)).name):
        from lookalike.gallery.postgres_store import PostgresStore
    return PostgresStore.create(str(place), about)


def need_no_gallery(place: str | Path) -> None:
    """Refuses a folder in which a gallery stands already, before the work of making its model.

    Args:
        place: As of `create_store`; a server says so itself.

    Raises:
        StoreError: A gallery is there already, or none can be made there.
    """
    if not is_server(place):
        need_none(path_of(place, "Gallery.create") / GALLERY_FILE)


def open_store(place: str | Path) -> SqlStore:
    """Opens a gallery.

    Args:
        place: As of `create_store`.

    Raises:
        StoreError: There is none, or it cannot be read.
        LookalikeError: The packages of the extra `postgres` or `milvus` are missing.
    """
    if not is_server(place):
        return SqliteStore(path_of(place, "Gallery.open") / GALLERY_FILE)
    if is_milvus(place):
        with needing("milvus", milvus_place(str(place)).name):
            from lookalike.gallery.milvus_store import MilvusStore
        return MilvusStore(str(place))
    with needing("postgres", postgres_place(str(place)).name):
        from lookalike.gallery.postgres_store import PostgresStore
    return PostgresStore(str(place))


def discard_store(place: str | Path) -> None:
    """Removes a gallery in a folder that was just made, and holds nothing yet.

    Args:
        place: As of `create_store`; nothing is done for an address.
    """
    if not is_server(place):
        for ending in ("", "-wal", "-shm"):
            (path_of(place, "Gallery.create") / f"{GALLERY_FILE}{ending}").unlink(missing_ok=True)


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
    if is_milvus(place):
        return milvus_place(str(place)).name
    return postgres_place(str(place)).name if is_server(place) else path_of(place, what)
