"""Addresses of galleries on Milvus."""

import pytest

from lookalike.gallery.milvus_place import milvus_place
from lookalike.gallery.rows import StoreError
from lookalike.settings.paths import PathError, path_of, without_login


def test_parts_of_an_address_are_taken_and_secrets_are_not_shown() -> None:
    place = milvus_place("milvus://anna:p%40ss@host:19531/fruits?gallery=shop&secure=true")
    assert (place.uri, place.database, place.gallery, place.token) == (
        "https://host:19531",
        "fruits",
        "shop",
        "anna:p@ss",
    )
    assert place.name == "milvus://anna@host:19531/fruits?gallery=shop"
    assert "p@ss" not in repr(place)
    plain = milvus_place("milvus://host")
    assert (plain.uri, plain.database, plain.gallery, plain.token) == ("http://host:19530", "default", "gallery", "")


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("milvus://me:a@b@host/db", "expected an address such as milvus://user:password@host"),
        ("milvus://host?gallery=a-b", r"gallery='a-b': expected 1 to 63 of A-Z"),
        ("milvus://host?tokn=s3cret", "expected gallery, token, secure after [?], found 1 others"),
    ],
)
def test_addresses_that_are_none_say_what_is_expected(address: str, line: str) -> None:
    with pytest.raises(StoreError, match=line) as caught:
        milvus_place(address)
    assert "s3cret" not in str(caught.value)
    assert "a@b" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "milvus://me:s3cret@host/db?gallery=g",
        "postgresql://me:s3c/ret@host:5432/db",
        "http://me:s3c@ret@host/x",
        "s3://bucket/x?token=s3cret",
        "postgresql://host/db?user=me&password=s3cret&gallery=g",
    ],
)
def test_no_login_is_left_in_what_is_shown(address: str) -> None:
    shown = without_login(address)
    assert not any(part in shown for part in ("s3c", "ret@"))
    assert without_login(f"{shown}") == shown


def test_a_misspelt_scheme_has_a_hint() -> None:
    with pytest.raises(PathError, match=r"did you mean milvus\?"):
        path_of("milvs://host/db?gallery=shop", "Gallery.open")
