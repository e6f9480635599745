"""A connection to PostgreSQL that speaks as SQLite's does, and what is said when the server refuses."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lookalike.errors import one_line
from lookalike.gallery.postgres_place import PostgresPlace
from lookalike.gallery.rows import StoreError

# A server that fell silent is noticed within a minute or two, not after the hours of the system; the address wins.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "lookalike",
}
_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"  # of COPY's binary form: no flags, no extension; -1
_GOING = ("57P01", "57P02", "57P03", "25006")  # the server stops or starts, or has become a standby


class Session:
    """An open connection; a statement outside a transaction is one of its own.

    Args:
        place: Where to.

    Raises:
        StoreError: The server cannot be reached or lets nobody in.
    """

    def __init__(self, place: PostgresPlace) -> None:
        try:
            given = {name: str(value) for name, value in conninfo_to_dict(place.address).items()}
            address = make_conninfo("", **_PATIENCE | given | {"client_encoding": "utf8"})
        except psycopg.Error:  # its text may have the password
            raise StoreError(
                f"{place.name}: expected an address that libpq reads, found unknown options or a lone %: write % in a "
                "password as %25, and see the parameters of libpq"
            ) from None
        try:
            self._connection = psycopg.connect(address, autocommit=True)
        except (psycopg.Error, UnicodeError) as error:
            raise StoreError(
                f"{place.name}: cannot be opened ({one_line(error)}): check host, port, database, user and password, "
                "and whether the server runs"
            ) from None

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> "psycopg.Cursor[Any]":
        """Does a statement, in which every `?` stands for a value."""
        return self._connection.execute(statement.replace("?", "%s").encode(), values or None, binary=True)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> None:
        """Does a statement for every row."""
        with self._connection.cursor() as cursor:
            cursor.executemany(statement.replace("?", "%s").encode(), rows)

    def several(self, statements: Sequence[str]) -> Any:
        """Does statements without values in one message; returns the first row of the last."""
        cursor = self._connection.execute("; ".join(statements).encode())
        while cursor.nextset():
            pass
        return cursor.fetchone()

    def copy_in(self, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Writes rows into a table as quickly as the server takes them.

        Args:
            table: All of its columns.
            types: Of the columns.
            rows: Their values.
        """
        with self._connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def copy_bytes_in(self, table: str, content: bytes) -> None:
        """Writes rows that have the binary form of PostgreSQL's COPY already, without its head and end."""
        with self._connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.write(_HEAD + content + _END)

    @property
    def encoding(self) -> str:
        """That of the database, such as `UTF8`."""
        return self._connection.info.parameter_status("server_encoding") or ""

    def lost(self, error: BaseException) -> bool:
        """Whether the connection is of no use any more after an error."""
        state = error.sqlstate or "" if isinstance(error, psycopg.Error) else ""
        return self._connection.broken or self._connection.closed or state in _GOING or state.startswith("08")

    @property
    def ended(self) -> bool:
        """Whether it is closed, by this process or the server."""
        return self._connection.closed

    def roll_back(self) -> None:
        """Takes the transaction back; closes the connection where that fails."""
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def commit(self) -> None:
        """Ends the transaction.

        Raises:
            psycopg.Error: As the server or the connection says; it may be done.
        """
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Ends it."""
        with suppress(psycopg.Error):
            self._connection.close()


def problem(name: str, error: BaseException) -> str | None:
    """What is said of an error of psycopg in a line, with what to do; None for any other error.

    Args:
        name: Where the gallery is.
        error: What was raised.
    """
    if isinstance(error, UnicodeEncodeError):
        return f"{name}: text that is no Unicode cannot be kept ({one_line(error)}): write it otherwise"
    if not isinstance(error, psycopg.Error):
        return None
    reason = one_line(error.diag.message_primary or error)
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return (
            f"{name}: no gallery there: make one with lookalike gallery create gallery=<that address> (Gallery.create "
            "in Python), or let its owner grant this user USAGE on the schema"
        )
    if isinstance(error, errors.LockNotAvailable):
        return f"{name}: another process changes the gallery all the time: wait for it and try again"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{name}: not allowed ({reason}): let the owner of the gallery or an administrator grant it"
    if isinstance(error, psycopg.DataError) and error.sqlstate in (None, "22021"):
        return f"{name}: text with a NUL cannot be kept ({reason}): leave it out of labels, notes and sources"
    return f"{name}: cannot be used ({reason}): check the server, its disk and its log"
