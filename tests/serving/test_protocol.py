"""Connections that are slow, endless, too many, or are not read from: ended in time, and told why."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks import (
    JPEG,
    PATIENCE,
    Besieged,
    besieged,
    connected,
    exchange,
    head,
    make_gallery,
    need_honest,
    picture,
    reply_of,
    request,
    rest_of,
    usual_model,
    wait_until,
)
from service_processes import served

LABELS = request("GET", "/v1/labels")
PREDICT = request("POST", "/v1/predict?k=1", picture(1), JPEG)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("connections") / "shop") as service:
        yield service


def test_half_of_a_head_then_nothing(shop: Besieged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.serving.protocol.HEAD_SECONDS", 0.3)
    for sent in (b"", b"G", b"POST /v1/search HTTP/1.1\r\nHost: local"):
        error = need_honest(exchange(shop.address, sent), 408, text="the head of the request .* 0.3 seconds")
        assert error["code"] == "slow"


def test_a_head_letter_by_letter_has_no_more_time_than_one_at_once(
    shop: Besieged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.serving.protocol.HEAD_SECONDS", 0.5)
    with connected(shop.address) as connection:
        connection.settimeout(0.05)
        answer = b""
        for letter in head("X-A: " + "a" * 5000):
            try:
                connection.sendall(bytes([letter]))
                answer = connection.recv(100)
                break
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408"), answer


def test_garbage_behind_a_good_request(shop: Besieged) -> None:
    with connected(shop.address) as connection:
        connection.sendall(LABELS.replace(b"Connection: close\r\n", b"") + b"\0\1\2 garbage\r\n\r\n")
        good, separator, bad = rest_of(connection).rpartition(b"HTTP/1.1 400 ")
    assert good.startswith(b"HTTP/1.1 200 ")
    assert separator
    assert b'"code": "no_request"' in bad


def test_garbage_while_an_answer_is_made(shop: Besieged) -> None:
    """In the middle of a body whose head is refused already, and behind a request that is worked on."""
    early = request("POST", "/v1/predict", picture(), JPEG).replace(b"Connection: close\r\n", b"")
    for number in range(5):
        with connected(shop.address) as connection:
            connection.sendall(early)
            connection.sendall(b"\0" * (1 + 10_000 * number) + b"\r\n\r\n")
            good = reply_of(connection)
            assert good is not None
            assert good.status == 200


def test_many_requests_at_once_on_a_connection(shop: Besieged) -> None:
    with connected(shop.address) as connection:
        connection.sendall(LABELS.replace(b"Connection: close\r\n", b"") * 50 + LABELS)
        content = rest_of(connection)
    assert content.count(b"HTTP/1.1 200 OK") == 51


def test_more_connections_than_there_may_be(shop: Besieged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.serving.protocol._most", lambda: 5)
    idle = [connected(shop.address) for _ in range(5)]
    try:
        for _ in range(3):
            assert (
                need_honest(exchange(shop.address, b""), 503, text="5 connections are open already")["code"] == "busy"
            )
        idle[0].sendall(LABELS)
        good = reply_of(idle[0])
        assert good is not None
        assert good.status == 200
    finally:
        for connection in idle:
            connection.close()

    def answered() -> bool:
        reply = exchange(shop.address, LABELS)
        return reply is not None and reply.status == 200

    wait_until(answered, "answers again")


def test_a_client_that_takes_no_answer_is_let_go(shop: Besieged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.serving.protocol.HEAD_SECONDS", 0.5)
    page = request("GET", "/v1/openapi.json").replace(b"Connection: close\r\n", b"")
    with connected(shop.address) as connection:
        connection.settimeout(0.2)
        try:
            for _ in range(2000):  # tens of megabytes of answers, of which none is read
                connection.sendall(page)
        except (TimeoutError, ConnectionError):
            pass
        threading.Event().wait(2)
        connection.settimeout(PATIENCE)
        content = rest_of(connection)
    assert content.count(b"HTTP/1.1 200") < 2000
    reply = exchange(shop.address, LABELS)
    assert reply is not None
    assert reply.status == 200


def test_a_process_with_few_open_files_stays_alive(tmp_path: Path) -> None:
    """Connections are open files: when there are no more, a service could neither read its gallery nor say so."""
    make_gallery(tmp_path / "shop", usual_model()).close()
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))"
    with served(tmp_path / "shop", before=few) as service:
        service.wait_ready()
        idle = [connected(service.address) for _ in range(300)]
        try:
            idle[0].sendall(PREDICT)
            good = reply_of(idle[0])
            assert good is not None
            assert good.status == 200
            need_honest(reply_of(idle[110]), 503, text="100 connections are open already")
        finally:
            for connection in idle:
                connection.close()

        def answered() -> bool:
            reply = exchange(service.address, PREDICT)
            return reply is not None and reply.status == 200

        wait_until(answered, "answers again")
        assert service.end() == 0
    assert '"status": 500' not in service.log
