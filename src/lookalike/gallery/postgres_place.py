"""Where a shared gallery is: an address of PostgreSQL, shown without its password."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from lookalike.errors import one_line
from lookalike.gallery.rows import StoreError

_ADDRESS = re.compile(r"(postgres(?:ql)?)://(?:([^@/]*)@)?([^/?]*)(?:/([^?]*))?(?:\?(.*))?", re.DOTALL)
_GALLERY = re.compile(r"[A-Za-z0-9_-]{1,63}")
_FORM = "postgresql://user:password@host:port/database?gallery=shop"


@dataclass(frozen=True)
class PostgresPlace:
    """One gallery on a server.

    Attributes:
        name: The address without password and without what else libpq is told, for people.
        gallery: The schema of PostgreSQL that holds its tables.
        address: For libpq, with the password.
    """

    name: str
    gallery: str
    address: str = field(repr=False)


def postgres_place(place: str) -> PostgresPlace:
    """Reads `postgresql://user:password@host:port/database?gallery=shop`.

    All but `gallery` goes to libpq as it is: several hosts, `target_session_attrs`, `sslmode` and so on.

    Args:
        place: The address; without `gallery` that is called `gallery`.

    Raises:
        StoreError: It is none; the text never says what was found, as a password may be in it.
    """
    address = _ADDRESS.fullmatch(place)
    if address is None:
        raise StoreError(f"expected an address such as {_FORM}, found another form of it: write it so, as text")
    scheme, credentials, hosts, database, query = (part or "" for part in address.groups())
    if "@" in hosts + database:
        raise StoreError(
            f"{scheme}://...: expected one @ before the host, found several: write @ in a password as %40, / as %2F, "
            "% as %25"
        )
    parts = [part for part in query.split("&") if part]
    galleries = [unquote(part.partition("=")[2]) for part in parts if part.partition("=")[0] == "gallery"]
    gallery = galleries[-1] if galleries else "gallery"
    if not _GALLERY.fullmatch(gallery):
        raise StoreError(
            f"gallery={one_line(gallery, 80)!r}: expected 1 to 63 of A-Z, a-z, 0-9, _ and -: give another name"
        )
    if gallery.lower().startswith("pg_"):
        raise StoreError(f"gallery={gallery!r}: names that begin with pg_ are PostgreSQL's own: give another name")
    user = credentials.partition(":")[0]
    kept = "&".join(part for part in parts if part.partition("=")[0] != "gallery")
    return PostgresPlace(
        one_line(f"{scheme}://{user}{'@' * bool(user)}{hosts}/{database}?gallery={gallery}"),
        gallery,
        f"{scheme}://{credentials}{'@' * bool(credentials)}{hosts}/{database}{'?' * bool(kept)}{kept}",
    )
