"""Whoever has no token, a token for less, or comes from another page, gets nothing."""

import ast
import inspect
from collections.abc import Iterator

import pytest

from attacks import (
    JPEG,
    JSON,
    Attack,
    Besieged,
    as_json,
    attack,
    connected,
    exchange,
    fired,
    logged,
    make_gallery,
    need_good,
    need_honest,
    picture,
    reply_of,
    request,
    rows,
    usual_model,
)
from attacks import besieged as besieged_without_tokens
from lookalike.serving.tokens import Tokens
from services import running, write_tokens

READ, WRITE = "r" * 40, "w" * 40
BEARER = {"Authorization": f"Bearer {READ}"}
CHANGES = ("add", "rename", "merge", "move", "remove", "forget", "undo")
PLACES = [
    *(("POST", f"/v1/gallery/{verb}") for verb in CHANGES),
    *(("POST", f"/v1/unknown/{verb}") for verb in ("enrol", "discard")),
    *(("POST", f"/v1/{verb}") for verb in ("predict", "embed", "search")),
    *(("GET", f"/v1/{place}") for place in ("labels", "gallery", "gallery/images", "gallery/log", "gallery/health")),
    *(("GET", f"/v1/{place}") for place in ("images/1/thumbnail", "unknown", "unknown/a/thumbnail", "openapi.json")),
    *(("GET", "/metrics"), ("GET", "/v1/nothing"), ("HEAD", "/v1/labels"), ("OPTIONS", "/v1/labels"), ("PUT", "/")),
]
ASKED = r"Authorization: Bearer <token>"


def bearing(text: str | bytes, method: str = "GET", target: str = "/v1/labels") -> bytes:
    value = text if isinstance(text, bytes) else text.encode("latin-1")
    sent = request(method, target, b"", {"Authorization": "@"})
    return sent.replace(b"Authorization: @", b"Authorization: " + value)


NO_TOKEN = [
    *(
        attack(f"none: {method} {place}", request(method, place), 401, text=ASKED)
        for method, place in PLACES
        if place != "/" and method != "HEAD"
    ),
    *(
        attack(name, bearing(text), 401, text=ASKED)
        for name, text in {
            "empty": "",
            "a scheme alone": "Bearer",
            "a scheme and spaces": "Bearer    ",
            "a wrong token": "Bearer " + "x" * 40,
            "half of a token": f"Bearer {READ[:20]}",
            "more than a token": f"Bearer {READ}{READ}",
            "a token in capitals": f"Bearer {READ.upper()}",
            "a token without a scheme": READ,
            "basic": "Basic cmVhZDpyZWFk",
            "basic with a token": f"Basic {READ}",
            "digest": f'Digest username="a", response="{READ}"',
            "a scheme twice": f"Bearer Bearer {READ}",
            "two tokens": f"Bearer {READ}, Bearer {WRITE}",
            "two tokens with a space": f"Bearer {READ} {WRITE}",
            "a quoted token": f'Bearer "{READ}"',
            "a token with a path": f"Bearer ../{READ}",
            "letters beyond ascii": b"Bearer \xff\xfe\xe4" * 10,
            "a token in utf-8": b"Bearer " + "ключ".encode() * 5,
            "a huge token": "Bearer " + "a" * 15_000,
            "a word of the file": "Bearer write",
            "a comment of the file": "Bearer #",
            "the digest of a token": "Bearer " + "0" * 64,
            "a negative number": "Bearer -1",
            "a wildcard": "Bearer *",
            "null": "Bearer null",
        }.items()
    ),
    attack("a token too long for a head", bearing("Bearer " + "a" * 300_000), 431),
    attack("a nul in a token", bearing(f"Bearer {READ}\0"), 400),
    attack("a token in the address", request("GET", f"/v1/labels?token={READ}"), 401),
    attack("access_token in the address", request("GET", f"/v1/labels?access_token={READ}"), 401),
    attack("a user in the address", request("GET", f"http://{READ}@localhost/v1/labels"), 401, 404),
    attack("a token as a cookie", request("GET", "/v1/labels", headers={"Cookie": f"token={READ}"}), 401),
    attack("a token as X-Api-Key", request("GET", "/v1/labels", headers={"X-Api-Key": READ}), 401),
    attack("a token of a proxy", request("GET", "/v1/labels", headers={"Proxy-Authorization": f"Bearer {READ}"}), 401),
    attack("a token in the body", as_json("/v1/search", {"token": READ}), 401),
    attack("from this computer, it says", request("GET", "/v1/labels", headers={"X-Forwarded-For": "127.0.0.1"}), 401),
    attack("another address in front", request("GET", "/static/../v1/labels"), 404),
    attack("another address in front, encoded", request("GET", "/static/%2e%2e/v1/labels"), 404),
    attack(
        "rewritten",
        request("GET", "/", headers={"X-Original-URL": "/v1/labels"}).replace(b"GET / ", b"GET /v1/labels "),
        401,
    ),
    attack(
        "two authorizations",
        request("GET", "/v1/labels", headers={"Authorization": f"Bearer {'x' * 40}", "authorization": "Bearer"}),
        401,
    ),
]
READ_ONLY = [
    *(
        attack(
            f"read at {place}", request("POST", place, b"{}", {**JSON, **BEARER}), 403, text="may ask and not change"
        )
        for method, place in PLACES[:9]
    ),
    attack("read keeps", request("POST", "/v1/predict?keep_unknown=true", picture(), {**JPEG, **BEARER}), 403),
    attack("read at a verb in capitals", request("POST", "/V1/GALLERY/FORGET", b"{}", {**JSON, **BEARER}), 403, 404),
    attack("read at a verb with a slash", request("POST", "/v1/gallery/forget/", b"{}", {**JSON, **BEARER}), 403, 404),
    attack("read at two slashes", request("POST", "//v1/gallery/forget", b"{}", {**JSON, **BEARER}), 403, 404),
    attack("read deletes", request("DELETE", "/v1/predict", b"", BEARER), 405),
    attack("read posts to labels", request("POST", "/v1/labels", b"", BEARER), 403, 405),
    attack(
        "read with another method", request("GET", "/v1/gallery/undo", b"", {**BEARER, "X-HTTP-Method": "POST"}), 405
    ),
]

STRANGERS = [
    *(
        attack(f"host {host!r}"[:50], request("GET", "/v1/labels", host=host), 400, 421)
        for host in (
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "0.0.0.0",
            "[::2]",
            "",
            " ",
            "localhost@evil.example",
            "localhost/evil",
            "localhost,evil.example",
            "2130706433",
            "localhost.",
            "a" * 10_000,
            "\xe4.example",
            "127.1",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
        )
    ),
    *(
        attack(f"page of {origin}"[:50], request("POST", "/v1/gallery/undo", b"{}", {**JSON, "Origin": origin}), 403)
        for origin in (
            "http://evil.example",
            "https://localhost.evil.example",
            "null",
            "http://localhost:1",
            "file://",
            "http://LOCALHOST",
            "localhost",
            "http://localhost/",
            "http://localhost@evil.example",
            "http://evil.example/localhost",
            "://localhost:80",
            "chrome-extension://localhost.a",
            "http://127.0.0.1",
            " ",
            "a" * 5000,
        )
    ),
    attack(
        "a form of another page",
        request(
            "POST",
            "/v1/gallery/forget",
            b"a=b",
            {"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
        ),
        403,
    ),
    attack(
        "a form as text", request("POST", "/v1/gallery/undo", b'{"change": 1}', {"Content-Type": "text/plain"}), 415
    ),
    attack(
        "asked before",
        request(
            "OPTIONS",
            "/v1/gallery/undo",
            b"",
            {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
        ),
        403,
    ),
    attack(
        "a page without an origin",
        request("POST", "/v1/gallery/undo", b'{"change": 1}', {**JSON, "Sec-Fetch-Site": "cross-site"}),
        403,
    ),
    attack(
        "a picture in another page",
        request("GET", "/v1/images/1/thumbnail", headers={"Sec-Fetch-Site": "same-site"}),
        403,
    ),
    attack(
        "a forwarded host",
        request("GET", "/v1/labels", headers={"X-Forwarded-Host": "localhost"}, host="evil.example"),
        421,
    ),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    folder = tmp_path_factory.mktemp("tokens")
    tokens = write_tokens(folder / "tokens.txt", "# of the tests", f"read {READ}", f"write {WRITE}")
    with (
        make_gallery(folder / "shop", usual_model()) as gallery,
        logged() as log,
        running(gallery, f"tokens={tokens}") as service,
    ):
        both = Besieged(service, log)
        yield both
        need_good(both, BEARER)
        assert both.lines()
        assert READ not in log.getvalue()
        assert WRITE not in log.getvalue()
        assert gallery.log(1)[0].number == 3


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged_without_tokens(tmp_path_factory.mktemp("strangers") / "shop") as service:
        yield service
        assert service.service.service.gallery.log(1)[0].number == 3


@rows(NO_TOKEN)
def test_without_a_token_nothing_is_answered(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(READ_ONLY)
def test_a_token_to_read_changes_nothing(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(STRANGERS)
def test_other_names_and_other_pages_get_nothing(open_shop: Besieged, shot: Attack) -> None:
    fired(open_shop, shot)
    reply = exchange(open_shop.address, shot.sent)
    assert reply is not None
    assert not [name for name in reply.headers if name.startswith("access-control-")]


def test_a_body_of_someone_without_a_token_is_not_held(shop: Besieged) -> None:
    """Refused by its head: it may send what it likes, and gets its answer before that has ended."""
    with connected(shop.address) as connection:
        connection.sendall(request("POST", "/v1/predict", b"", {**JPEG, "Content-Length": "60000000"}))
        connection.sendall(b"x" * 100_000)
        need_honest(reply_of(connection), 401)


def test_own_page_and_programs_of_this_computer_are_answered(open_shop: Besieged) -> None:
    for host, more in (
        ("localhost:1234", {"Origin": "http://localhost:1234", "Sec-Fetch-Site": "same-origin"}),
        ("127.0.0.1", {}),
        ("[::1]:80", {"Origin": "http://[::1]:80"}),
        ("LOCALHOST", {"Sec-Fetch-Site": "none"}),
    ):
        reply = exchange(open_shop.address, request("GET", "/v1/labels", b"", more, host=host))
        assert reply is not None
        assert reply.status == 200


def test_tokens_are_compared_in_a_time_that_tells_nothing() -> None:
    """Checksums by `compare_digest`, each of them: no `==`, no early end, no look-up of what was sent."""
    tree = ast.parse(inspect.getsource(Tokens.allows).strip())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert "compare_digest" in names
    assert not any(isinstance(node, ast.Break) for node in ast.walk(tree))
    assert not any("digest" in ast.unparse(node) or "sent" in ast.unparse(node) for node in compared)
