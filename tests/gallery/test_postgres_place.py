"""The address of a shared gallery: read as libpq reads it, and shown without what is secret."""

import pytest

from lookalike.gallery.postgres_place import postgres_place
from lookalike.gallery.rows import StoreError
from lookalike.settings.paths import is_postgres

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("place", "name", "gallery", "address"),
    [
        ("postgresql://h/db", "postgresql://h/db?gallery=gallery", "gallery", "postgresql://h/db"),
        (
            f"postgres://me:{SECRET}@h:5433/db?gallery=my-Shop_1",
            "postgres://me@h:5433/db?gallery=my-Shop_1",
            "my-Shop_1",
            f"postgres://me:{SECRET}@h:5433/db",
        ),
        (
            f"postgresql://me@a:1,b:2/db?target_session_attrs=read-write&gallery=x&password={SECRET}",
            "postgresql://me@a:1,b:2/db?gallery=x",
            "x",
            f"postgresql://me@a:1,b:2/db?target_session_attrs=read-write&password={SECRET}",
        ),
        (
            f"postgresql:///db?host=/run/postgresql&user=me&sslpassword={SECRET}",
            "postgresql:///db?gallery=gallery",
            "gallery",
            f"postgresql:///db?host=/run/postgresql&user=me&sslpassword={SECRET}",
        ),
        (f"postgresql://me:{SECRET}?#@[::1]", "postgresql://me@[::1]/?gallery=gallery", "gallery", None),
    ],
)
def test_all_but_the_gallery_goes_to_libpq(place: str, name: str, gallery: str, address: str | None) -> None:
    read = postgres_place(place)
    assert (read.name, read.gallery) == (name, gallery)
    assert address is None or read.address == address
    assert SECRET not in repr(read)
    assert is_postgres(place)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (
            f"postgresql://me:{SECRET}@x@h/db",
            r"^postgresql://\.\.\.: expected one @ before the host, found several",
        ),
        (f"postgresql://me:{SECRET}/x@h/db", r"expected one @ before the host, found several: write @ in a password"),
        (f"postgresql:/me:{SECRET}@h/db", r"expected an address such as postgresql://user:password@host:port/database"),
        (f"POSTGRES:/me:{SECRET}@h/db", r"expected an address such as postgresql://"),
        (f"postgresql://me:{SECRET}@h/db?gallery=", r"gallery='': expected 1 to 63 of A-Z, a-z, 0-9, _ and -: give"),
        (f'postgresql://me:{SECRET}@h/db?gallery=a%22;"', r"""gallery='a";"': expected 1 to 63 of"""),
        (f"postgresql://me:{SECRET}@h/db?gallery=pg_x", r"gallery='pg_x': names that begin with pg_ are PostgreSQL's"),
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(place: str, text: str) -> None:
    assert is_postgres(place)
    with pytest.raises(StoreError, match=text) as caught:
        postgres_place(place)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("place", ["shop", "/data/postgres", "./postgresql", "postgres", "https://h/db"])
def test_other_places_are_none(place: str) -> None:
    assert not is_postgres(place)
