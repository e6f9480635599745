"""A connection to PostgreSQL: what is said when the server refuses, never with the password."""

import traceback

import pytest

from lookalike.gallery.postgres_place import postgres_place
from lookalike.gallery.postgres_session import Session, problem
from lookalike.gallery.rows import StoreError
from postgres_server import PASSWORD, Server, free_port

WRONG = "Wr0ng-and-secret"


def refused(place: str) -> str:
    """What is said, after a look for passwords in all that a person may see of it."""
    with pytest.raises(StoreError) as caught:
        Session(postgres_place(place))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert WRONG not in shown
    assert PASSWORD not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_who_is_not_let_in_is_told_why(server: Server) -> None:
    start = f"postgresql://lookalike@127.0.0.1:{server.port}/"
    text = refused(server.url(password=WRONG))
    assert text.startswith(f"{start}lookalike?gallery=gallery: cannot be opened (")
    assert 'password authentication failed for user "lookalike"' in text
    assert text.endswith("): check host, port, database, user and password, and whether the server runs")
    assert 'database "nothing" does not exist' in refused(server.url(database="nothing"))
    assert 'password authentication failed for user "nobody"' in refused(server.url(user="nobody"))
    assert "no password supplied" in refused(server.url(password=""))
    assert "Connection refused" in refused(server.url().replace(f":{server.port}", f":{free_port()}"))
    assert "failed to resolve host" in refused(server.url().replace("127.0.0.1", "no.such.host.invalid"))


@pytest.mark.parametrize(
    "place",
    [
        f"postgresql://me:{WRONG}%zz@h/db",
        f"postgresql://me@h/db?pasword={WRONG}",
        f"postgresql://me@h/db?{WRONG}",
    ],
)
def test_an_address_that_libpq_does_not_read_is_not_shown(place: str) -> None:
    assert "expected an address that libpq reads, found unknown options or a lone %: write % in a" in refused(place)


def test_a_port_that_is_none_is_told() -> None:
    assert refused(f"postgresql://me:{WRONG}@h:x/db").startswith("postgresql://me@h:x/db?gallery=gallery: cannot be op")


def test_it_speaks_as_sqlite_does(server: Server) -> None:
    session = Session(postgres_place(server.url()))
    assert session.encoding == "UTF8"
    session.execute("CREATE TEMP TABLE t (a BIGINT, b TEXT, c BYTEA)")
    session.executemany("INSERT INTO t VALUES (?, ?, ?)", iter([(1, "x", b"\0"), (2, None, b"y")]))
    session.copy_in("t", ("int8", "text", "bytea"), [(3, "🍐", b"")])
    assert session.execute("SELECT * FROM t WHERE a IN (?, ?) ORDER BY a", [1, 3]).fetchall() == [
        (1, "x", b"\0"),
        (3, "🍐", b""),
    ]
    assert session.execute("UPDATE t SET b = ? WHERE a > ?", ("z", 1)).rowcount == 2
    assert session.several(["SELECT 1", "SELECT 2, 3"]) == (2, 3)
    session.close()
    assert session.ended


def test_other_errors_are_not_explained() -> None:
    assert problem("here", KeyError("x")) is None
