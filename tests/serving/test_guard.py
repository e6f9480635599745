"""What every request passes: tokens and their rights, hosts and pages, bytes and time; and headers of every answer."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from lookalike.serving import guard
from lookalike.serving.figures import Figures
from lookalike.serving.guard import Guard, Limits, Message, Receive, Scope, Send
from lookalike.serving.tokens import Tokens

READ, WRITE = "reader-0123456789", "writer-0123456789"


def tokens() -> Tokens:
    return Tokens(((sha256(READ.encode()).digest(), "read"), (sha256(WRITE.encode()).digest(), "write")))


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


class Behind:
    """An application: says what right came, and reads the body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.bodies.append(message["body"])
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"x-right", scope["state"]["right"].encode())]}
        )
        await send({"type": "http.response.body", "body": b"done"})


def guarded(given: Tokens = Tokens(), hosts: tuple[str, ...] = (), **limits: Any) -> Guard:  # noqa: B008 - frozen
    return Guard(Behind(), Limits(**{"body": 100, "seconds": 0.3, "images": 2, **limits}), given, hosts, Figures())


def asked(
    guarding: Guard,
    method: str = "GET",
    path: str = "/v1/labels",
    body: list[bytes | float] | None = None,
    **headers: str,
) -> Answered:
    """One request; numbers in the body are seconds in which nothing comes."""
    return asyncio.run(ask(guarding, method, path, body, **headers))


async def ask(
    guarding: Guard, method: str, path: str, body: list[bytes | float] | None = None, **headers: str
) -> Answered:
    left = list(body or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        while left and isinstance(left[0], float):
            await asyncio.sleep(float(left.pop(0)))
        if not left:
            return {"type": "http.disconnect"}
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    pairs = [
        (name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()
    ]
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "headers": pairs,
        "client": ("10.0.0.7", 1),
    }
    await guarding(scope, receive, send)
    start, *bodies = sent
    shown = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answered(start["status"], shown, b"".join(part["body"] for part in bodies))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/", "none"),
        ("GET", "/healthz", "none"),
        ("GET", "/readyz", "none"),
        ("GET", "/static/page.js", "none"),
        ("GET", "/metrics", "read"),
        ("GET", "/v1/openapi.json", "read"),
        ("GET", "/v1/gallery", "read"),
        ("GET", "/v1/gallery/log", "read"),
        ("GET", "/v1/images/1/thumbnail", "read"),
        ("GET", "/v1/unknown", "read"),
        ("HEAD", "/v1/labels", "read"),
        ("POST", "/v1/predict", "read"),
        ("POST", "/v1/embed", "read"),
        ("POST", "/v1/search", "read"),
        ("POST", "/v1/explain", "read"),
        ("POST", "/v1/predict/", "write"),
        ("POST", "/v1/gallery/add", "write"),
        ("POST", "/v1/gallery/rename", "write"),
        ("POST", "/v1/gallery/undo", "write"),
        ("POST", "/v1/gallery/forget", "write"),
        ("POST", "/v1/unknown/enrol", "write"),
        ("POST", "/v1/unknown/discard", "write"),
        ("DELETE", "/v1/labels", "write"),
        ("POST", "/no/such", "write"),
        ("GET", "//healthz", "read"),
        ("GET", "/static", "read"),
    ],
)
def test_rights_of_tokens_for_every_address(method: str, path: str, least: str) -> None:
    guarding = guarded(tokens())
    ranks = ["none", "read", "write"]
    for right, headers in (
        ("none", {}),
        ("none", bearer("wrong-0123456789")),
        ("read", bearer(READ)),
        ("write", bearer(WRITE)),
    ):
        got = asked(guarding, method, path, **headers)
        if ranks.index(right) >= ranks.index(least):
            assert got.status == 200
            assert got.headers["x-right"] in (right, "read")
        elif right == "none":
            assert (got.status, got.code, got.headers["www-authenticate"]) == (401, "token", 'Bearer realm="lookalike"')
        else:
            assert (got.status, got.code) == (403, "read_only")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Basic {WRITE}", WRITE, f"Bearer {WRITE}x", f"Bearer {WRITE} x"]
)
def test_what_is_no_token_is_refused(header: str) -> None:
    assert asked(guarded(tokens()), authorization=header).code == "token"


@pytest.mark.parametrize("header", [f"bearer {WRITE}", f"BEARER   {WRITE} "])
def test_how_a_token_may_be_written(header: str) -> None:
    assert asked(guarded(tokens()), "POST", "/v1/gallery/add", authorization=header).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1", "shop", "Shop:8000"])
def test_without_tokens_this_computer_may_ask(host: str) -> None:
    got = asked(guarded(hosts=("shop",)), "POST", "/v1/gallery/add", host=host, origin=f"http://{host}")
    assert (got.status, got.headers["x-right"]) == (200, "write")


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "10.0.0.1"]
)
def test_without_tokens_another_name_is_refused(host: str) -> None:
    """A page of another site whose name leads here would be taken for this computer's own."""
    got = asked(guarded(hosts=("shop",)), host=host)
    assert (got.status, got.code) == (421, "host")
    assert b"expected 127.0.0.1, ::1, localhost, shop, got " in got.body
    assert asked(guarded(tokens()), host=host, **bearer(READ)).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example", "localhost", ""]
)
def test_without_tokens_other_pages_may_not_ask(origin: str) -> None:
    got = asked(guarded(), "POST", "/v1/gallery/forget", origin=origin)
    assert (got.status, got.code) == (403, "origin")


def test_a_body_over_the_limit() -> None:
    guarding = guarded()
    for body, headers in (([b"x" * 101], {}), ([b"x" * 60, b"x" * 60], {}), ([b""], {"content_length": "101"})):
        got = asked(guarding, "POST", body=body, **headers)
        assert (got.status, got.code) == (413, "too_large")
        assert b"expected at most 100 bytes in a request: send fewer images at a time" in got.body
    assert asked(guarding, "POST", body=[b"x" * 60, b"x" * 40]).status == 200
    assert asked(guarding, "POST", body=[b"x"], content_length="9" * 30).status in (200, 413)


def test_a_body_that_comes_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.1)
    got = asked(guarded(), "POST", body=[b"x", 0.2, b"x", 5.0, b"x"])
    assert (got.status, got.code) == (408, "slow")
    assert b"the request took longer than 0.3 seconds to arrive: send it faster" in got.body


def test_a_connection_that_ends_before_the_request_does() -> None:
    async def cut_off() -> Answered:
        guarding, sent = guarded(), list[Message]()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/",
            "headers": [(b"host", b"localhost")],
        }
        await guarding(scope, receive, send)
        return Answered(sent[0]["status"], {}, sent[1]["body"])

    got = asyncio.run(cut_off())
    assert (got.status, got.code) == (400, "cut_off")


def test_bodies_of_all_requests_together_have_a_limit() -> None:
    async def many() -> list[Answered]:
        guarding = guarded()
        slow: list[bytes | float] = [b"x" * 90, 0.1, b"x"]
        first = await asyncio.gather(*[ask(guarding, "POST", "/v1/embed", slow) for _ in range(8)])
        return [*first, await ask(guarding, "POST", "/v1/embed", [b"x" * 90])]

    *first, last = asyncio.run(many())
    statuses = sorted(got.status for got in first)
    assert statuses == [200] * 4 + [503] * 4
    refused = next(got for got in first if got.status == 503)
    assert (refused.code, refused.headers["retry-after"]) == ("busy", "1")
    assert last.status == 200, "what was refused is not held any more"


def test_headers_of_every_answer() -> None:
    guarding = guarded(tokens())
    answers = [
        asked(guarding),
        asked(guarding, **bearer(READ)),
        asked(guarding, path="/"),
        asked(guarding, body=[b"x" * 200]),
    ]
    for got in answers:
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"
        assert got.headers["cross-origin-resource-policy"] == "same-origin"
        policy = got.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "data:" not in policy
        assert "camera=()" in got.headers["permissions-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "server" not in got.headers
    assert len({got.headers["x-request-id"] for got in answers}) == len(answers)


def test_a_line_of_the_log_has_no_token(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.LOG, "propagate", True)
    with caplog.at_level(logging.INFO, logger=guard.LOG.name):
        got = asked(guarded(tokens()), "POST", "/v1/predict\nx" + "y" * 300, [b"x" * 7], **bearer(WRITE))
        asked(guarded(tokens()), authorization="Bearer wrong-0123456789")
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [line["status"] for line in lines] == [200, 401]
    assert lines[0] | {"milliseconds": 0} == {
        "request": got.headers["x-request-id"],
        "client": "10.0.0.7",
        "method": "POST",
        "path": ("/v1/predict\nx" + "y" * 300)[:200],
        "status": 200,
        "milliseconds": 0,
        "bytes_in": 7,
        "bytes_out": 4,
    }
    assert lines[1]["code"] == "token"
    assert not any(token in caplog.text for token in (READ, WRITE, "wrong-0123456789"))
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_fault_behind_it_gives_the_bytes_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a fault")

    guarding = Guard(fails, Limits(100, 1, 2), Tokens(), (), Figures())
    for _ in range(9):
        got = asked(guarding, "POST", body=[b"x" * 90])
        assert (got.status, got.code) == (500, "fault")
        assert b"a fault of this service, not of the request" in got.body


def test_what_is_behind_it_hears_when_a_client_goes() -> None:
    heard: list[str] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    asked(Guard(behind, Limits(100, 1, 2), Tokens(), (), Figures()), "POST", body=[b"x"])
    assert heard == ["http.request", "http.disconnect"]


def test_only_http_passes() -> None:
    def passed(kind: str) -> bool:
        behind: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            behind.append(scope["type"])

        unused: Callable[..., Any] = lambda *_: None  # noqa: E731
        asyncio.run(Guard(app, Limits(1, 1, 1), Tokens(), (), Figures())({"type": kind}, unused, unused))
        return bool(behind)

    assert passed("lifespan")
    assert not passed("websocket")
