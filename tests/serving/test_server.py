"""The server: an address that cannot be had, a head that does not come, and an end in good order."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from lookalike.serving import protocol
from lookalike.serving.guard import Receive, Scope, Send
from lookalike.serving.server import ListenError, listen, server_of


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after half a second."""
    import asyncio

    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


@contextmanager
def answering(listening: socket.socket) -> Iterator[tuple[str, object]]:
    server = server_of(slow)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", server
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_a_request_in_flight_is_answered_when_the_service_ends() -> None:
    answers: list[object] = []
    with answering(listen("127.0.0.1", 0)) as (address, server):
        asking = threading.Thread(target=lambda: answers.append(requests.get(address, timeout=10).text))
        asking.start()
        time.sleep(0.2)
        server.should_exit = True  # type: ignore[attr-defined]
        asking.join()
    assert answers == ["done"]
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(address, timeout=1)


def test_it_does_not_say_what_it_is() -> None:
    with answering(listen("127.0.0.1", 0)) as (address, _):
        assert "server" not in requests.get(address, timeout=10).headers


def test_a_port_in_use_is_told_in_a_line() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    text = rf"^host=127\.0\.0\.1 port={port}: Address already in use: give another port=, or end what uses it$"
    with pytest.raises(ListenError, match=text):
        listen("127.0.0.1", port)
    first.close()
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no-such.invalid", "300.1.1.1", "192.0.2.7", "a" * 300, "a..b", "\udcff"])
def test_a_host_that_is_not_this_computer_is_told_in_a_line(host: str) -> None:
    text = r"^host=.*: .*: give an address of this computer, such as 127\.0\.0\.1, or 0\.0\.0\.0 for all that it has$"
    with pytest.raises(ListenError, match=text):
        listen(host, 0)


def test_a_head_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.6)
    with answering(listen("127.0.0.1", 0)) as (address, _):
        port = int(address.rstrip("/").rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as silent,
            socket.create_connection(("127.0.0.1", port)) as slowly,
        ):
            slowly.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for connection in (silent, slowly):
                connection.settimeout(5)
                assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert requests.get(address, timeout=10).text == "done", "others are answered"


def test_a_connection_that_is_used_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)
    with answering(listen("127.0.0.1", 0)) as (address, _), requests.Session() as session:
        for _ in range(3):
            assert session.get(address, timeout=10).text == "done"
            time.sleep(0.6)
