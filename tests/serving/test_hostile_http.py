"""Requests that are none, or are broken on the wire: each is refused as what it is, and the service goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks import (
    JPEG,
    Attack,
    Besieged,
    as_json,
    attack,
    besieged,
    connected,
    exchange,
    fired,
    head,
    need_honest,
    picture,
    reply_of,
    request,
    rows,
)

CHUNKED = head("Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close")
CLOSE = "Connection: close"
ALIVE = request("GET", "/v1/labels")

BROKEN = [
    attack("garbage", b"\x00\xff\x16\x03\x01 what is this\r\n\r\n", 400, text="no request of HTTP/1.1"),
    attack("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n", 400),
    attack("http 0.9", b"GET /\r\n\r\n", 400, text="no request of HTTP/1.1"),
    attack("http 2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
    attack("http 9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
    attack("no version", b"GET /v1/labels\r\nHost: localhost\r\n\r\n", 400),
    attack("lines of LF and a broken head", b"GET / HTTP/1.1\nHost localhost\n\n", 400),
    attack("no host", b"GET /v1/labels HTTP/1.1\r\nConnection: close\r\n\r\n", 400, 421),
    attack("two hosts", head("Host: evil.example", CLOSE, start="GET /v1/labels HTTP/1.1"), 400),
    attack("no host of http 1.0", b"GET /v1/labels HTTP/1.0\r\n\r\n", 421, text="Host: expected .* got none"),
    attack("space in a header's name", head("Content Length: 5", CLOSE), 400),
    attack("folded header first", b"GET / HTTP/1.1\r\n folded\r\nHost: localhost\r\n\r\n", 400),
    attack("nul in a header", head("X-A: a\x00b", CLOSE), 400),
    attack("nul in the target", request("GET", "/v1/\0labels"), 400),
    attack("bytes that are no ascii in the target", request("GET", b"/v1/l\xe4bels"), 400),
    attack("a space in the target", request("GET", "/v1/la bels"), 400),
    attack("lower-case garbage method", request("g\x01t", "/v1/labels"), 400),
    attack("long address", request("GET", "/v1/labels?" + "a" * 100_000), 400, 414, 422, 431),
    attack("endless address", b"GET /" + b"a" * 3_000_000, 431, text="no request of HTTP/1.1"),
    attack("long header", request("GET", "/v1/nothing", headers={"X-A": "a" * 100_000}), 400, 404, 431),
    attack("endless header", head("X-A: " + "a" * 3_000_000)[:-4], 431),
    attack("many headers", request("GET", "/v1/nothing", headers={f"X-{n}": "a" for n in range(20_000)}), 431),
]

LENGTHS = [
    attack("length of letters", head("Content-Length: five", CLOSE), 400),
    attack("negative length", head("Content-Length: -5", CLOSE), 400),
    attack("length with a plus", head("Content-Length: +5", CLOSE) + b"12345", 400),
    attack("length in hex", head("Content-Length: 0x5", CLOSE) + b"12345", 400),
    attack("length with a point", head("Content-Length: 5.0", CLOSE), 400),
    attack("empty length", head("Content-Length:", CLOSE), 400),
    attack("length of Arabic digits", head("Content-Length: \xb2", CLOSE), 400),
    attack("two lengths", head("Content-Length: 5", "Content-Length: 6", CLOSE) + b"12345", 400),
    attack("a list of lengths", head("Content-Length: 5, 6", CLOSE) + b"12345", 400),
    attack("huge length", head("Content-Length: 99999999999", CLOSE), 413, text="expected at most 1000000 bytes"),
    attack("length beyond 64 bits", head("Content-Length: " + "9" * 19, CLOSE), 413),
    attack("length of 40 digits", head("Content-Length: " + "9" * 40, CLOSE), 400, 413),
    attack("length of 5,000 digits", head("Content-Length: " + "9" * 5000, CLOSE), 400),
    attack("body too large", request("POST", "/v1/predict", b"x" * 1_000_001, JPEG), 413),
    attack("chunks too large", CHUNKED + (b"186a0\r\n" + b"x" * 100_000 + b"\r\n") * 11 + b"0\r\n\r\n", 413),
    attack("no length and no body", head("Content-Type: application/json", CLOSE), 400, text="no JSON"),
    attack("image without length", request("POST", "/v1/predict", headers=JPEG), 422),
    attack("length and chunks", head("Content-Length: 5", "Transfer-Encoding: chunked", CLOSE) + b"0\r\n\r\n", 400),
    attack("unknown transfer coding", head("Transfer-Encoding: gzip", CLOSE), 400, 501),
    attack("two transfer codings", head("Transfer-Encoding: gzip, chunked", CLOSE) + b"0\r\n\r\n", 400, 501),
    attack("chunked twice", head(*["Transfer-Encoding: chunked"] * 2, CLOSE) + b"0\r\n\r\n", 400, 501),
    attack("chunked in disguise", head("Transfer-Encoding: xchunked", CLOSE) + b"0\r\n\r\n", 400, 501),
    attack("compressed body", request("POST", "/v1/search", b"\x1f\x8b\x08\0", {"Content-Encoding": "gzip"}), 415),
    attack("chunk size of letters", CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", 400),
    attack("negative chunk", CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400),
    attack("chunk of 30 digits", CHUNKED + b"f" * 30 + b"\r\nhello", 400),
    attack("chunk longer than it says", CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", 400),
    attack("chunk without its end", CHUNKED + b"5\r\nhelloXX0\r\n\r\n", 400),
    attack("endless chunk extension", CHUNKED + b"5;" + b"a" * 200_000 + b"\r\nhello\r\n0\r\n\r\n", 431),
    attack("endless trailer", CHUNKED + b"0\r\nX-A: " + b"a" * 3_000_000, 431),
    attack("broken trailer", CHUNKED + b"0\r\nno trailer\r\n\r\n", 400),
]

METHODS = [
    *(
        attack(f"{method} {target}", request(method, target), 400, 404, 405)
        for method in ("TRACE", "CONNECT", "OPTIONS", "PUT", "PATCH", "PROPFIND", "A" * 200)
        for target in ("/v1/labels", "/", "/v1/gallery/forget")
    ),
    attack("CONNECT to a host", request("CONNECT", "evil.example:443"), 400, 404, 405),
    attack("OPTIONS of all", request("OPTIONS", "*"), 400, 404, 405),
    attack("absolute address", request("GET", "http://evil.example/v1/labels"), 400, 404),
    attack("absolute address of a file", request("GET", "file:///etc/passwd"), 400, 404),
    attack("empty target", b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    attack("no method", b" / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    attack("GET of a verb", request("GET", "/v1/predict"), 405),
    attack("DELETE of labels", request("DELETE", "/v1/labels"), 405),
    attack("POST of labels", request("POST", "/v1/labels"), 405),
    attack("lower-case post", request("post", "/v1/predict"), 405),
    attack("method override", request("GET", "/v1/gallery/forget", headers={"X-HTTP-Method-Override": "POST"}), 405),
    attack(
        "web socket",
        request(
            "GET", "/v1/predict", headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "A"}
        ),
        405,
    ),
    attack("h2c", request("GET", "/v1/predict", headers={"Connection": "Upgrade, close", "Upgrade": "h2c"}), 405),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("http") / "shop", "max_megabytes=1", "seconds=5") as service:
        yield service


@rows(BROKEN)
def test_what_is_no_request_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(LENGTHS)
def test_a_body_whose_length_is_a_lie_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(METHODS)
def test_what_no_address_does_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@pytest.mark.parametrize("sent", [b"", b"{", b'{"embeddings": '])
def test_a_body_that_does_not_come(tmp_path: Path, sent: bytes) -> None:
    with besieged(tmp_path / "shop", "seconds=0.5") as service:
        slow = head("Content-Type: application/json", "Content-Length: 100", CLOSE) + sent
        assert need_honest(exchange(service.address, slow), 408, text="longer than 0.5 seconds")["code"] == "slow"


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/pre",
        head("Content-Type: image/jpeg", "Content-Length: 5000")[:-2],
        head("Content-Type: image/jpeg", "Content-Length: 5000"),
        head("Content-Type: image/jpeg", "Content-Length: 5000") + b"half",
        CHUNKED + b"5\r\nhe",
        CHUNKED + b"5\r\nhello\r\n",
    ],
)
def test_a_connection_that_is_cut(shop: Besieged, sent: bytes) -> None:
    for linger in (None, b"\1\0\0\0\0\0\0\0"):
        with connected(shop.address) as connection:
            connection.sendall(sent)
            if linger:  # with a reset instead of an end
                import socket

                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    need_honest(exchange(shop.address, as_json("/v1/search", [])), 422)


def test_expecting_to_be_asked_for_a_body(shop: Besieged) -> None:
    """What is refused by its head is not asked for."""
    asked = head("Expect: 100-continue", "Content-Length: 5000000", CLOSE)
    need_honest(exchange(shop.address, asked), 413)
    good = request("POST", "/v1/predict", picture(), {**JPEG, "Expect": "100-continue"})
    sent, _, body = good.partition(b"\r\n\r\n")
    with connected(shop.address) as connection:
        connection.sendall(sent + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        answer = reply_of(connection)
    assert answer is not None
    assert answer.status == 200


def test_no_answer_leads_anywhere_else(shop: Besieged) -> None:
    """A slash too much is no address; were it corrected, the header Host would say where to."""
    for target in ("/v1/labels/", "//evil.example/", "/v1/gallery/add/", "/healthz/"):
        for method in ("GET", "POST"):
            reply = exchange(shop.address, request(method, target))
            need_honest(reply, 404)
            assert reply is not None
            assert "location" not in reply.headers
