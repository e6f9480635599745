"""Where a gallery on Milvus is: an address, shown without its password."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from lookalike.errors import one_line
from lookalike.gallery.rows import StoreError

_ADDRESS = re.compile(r"milvus://(?:([^@/]*)@)?([^@/?]+)(?:/([^@/?]*))?(?:\?(.*))?", re.DOTALL | re.IGNORECASE)
_GALLERY = re.compile(r"[A-Za-z0-9_]{1,63}")
_FORM = "milvus://user:password@host:19530/database?gallery=shop"
_KNOWN = ("gallery", "token", "secure")


@dataclass(frozen=True)
class MilvusPlace:
    """One gallery on a server.

    Attributes:
        name: The address without password and token, for people.
        gallery: What the names of its collections begin with.
        uri: Of the server, without credentials.
        database: Of Milvus.
        token: `user:password` or a key; empty for none.
    """

    name: str
    gallery: str
    uri: str
    database: str
    token: str = field(repr=False)


def milvus_place(place: str) -> MilvusPlace:
    """Reads `milvus://user:password@host:port/database?gallery=shop`; `token=` and `secure=true` may follow.

    Args:
        place: The address; without a database it is `default`, without `gallery` that is called `gallery`.

    Raises:
        StoreError: It is none; the text never says what was found, as a password may be in it.
    """
    address = _ADDRESS.fullmatch(place)
    if address is None:
        raise StoreError(
            f"expected an address such as {_FORM}, found another form of it: write it so, as text, with @ in a "
            "password as %40, / as %2F, % as %25"
        )
    credentials, host, database, query = (part or "" for part in address.groups())
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(given) - set(_KNOWN)):
        raise StoreError(
            f"milvus://{one_line(host)}: expected {', '.join(_KNOWN)} after ?, found {len(unknown)} others"
        )
    gallery = given.get("gallery", "gallery")
    if not _GALLERY.fullmatch(gallery):
        raise StoreError(
            f"gallery={one_line(gallery, 80)!r}: expected 1 to 63 of A-Z, a-z, 0-9 and _: give another name"
        )
    user, _, password = (unquote(part) for part in credentials.partition(":"))
    scheme = "https" if given.get("secure", "").lower() in ("true", "1") else "http"
    shown = f"{credentials.partition(':')[0]}@" if user else ""
    return MilvusPlace(
        one_line(f"milvus://{shown}{host}/{database or 'default'}?gallery={gallery}"),
        gallery,
        f"{scheme}://{host}" if ":" in host else f"{scheme}://{host}:19530",
        database or "default",
        given.get("token") or (f"{user}:{password}" if user else ""),
    )
