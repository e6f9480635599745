"""More than a service can do: some are told so at once, the others are answered, and all places come back."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from attacks import (
    JPEG,
    PATIENCE,
    Besieged,
    Reply,
    besieged,
    connected,
    exchange,
    make_gallery,
    need_honest,
    picture,
    reply_of,
    request,
    usual_model,
    wait_until,
)
from lookalike.parallel import cores
from service_processes import served

PREDICT = request("POST", "/v1/predict?k=1", picture(1), JPEG)
LABELS = request("GET", "/v1/labels")
THREADS = 2 * cores()


class Gate:
    """Work that waits until it is let through.

    Args:
        service: Whose predictions wait.
    """

    def __init__(self, service: Besieged) -> None:
        self.begun = 0
        self._open, self._lock = threading.Event(), threading.Lock()
        self._service = service.service.service
        self._predict: Callable[..., object] = self._service.predict

    def __call__(self, *arguments: object) -> object:
        with self._lock:
            self.begun += 1
        assert self._open.wait(PATIENCE)
        return self._predict(*arguments)

    def open(self) -> None:
        self._open.set()


@contextmanager
def gated(service: Besieged) -> Iterator[Gate]:
    """Predictions wait inside the block; whatever happens there, they are let through at its end."""
    gate = Gate(service)
    service.service.service.predict = gate  # type: ignore[method-assign, assignment]
    try:
        yield gate
    finally:
        gate.open()
        del service.service.service.predict


def inside(service: Besieged) -> int:
    """Requests that are worked on or wait, as its figures say."""
    reply = exchange(service.address, request("GET", "/metrics"))
    assert reply is not None
    return int(float(reply.body.split(b"\nlookalike_requests_inside ")[1].split()[0]))


def sent(service: Besieged, threads: ThreadPoolExecutor, number: int) -> list:
    return [threads.submit(exchange, service.address, PREDICT) for _ in range(number)]


def statuses(replies: list[Reply | None]) -> list[int]:
    assert None not in replies
    return [reply.status for reply in replies if reply is not None]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("overload") / "shop", "waiting=2", "max_megabytes=1") as service:
        yield service


def test_more_than_may_wait_are_told_at_once_and_the_others_are_answered(shop: Besieged) -> None:
    with ThreadPoolExecutor(40) as threads, gated(shop) as gate:
        first = sent(shop, threads, THREADS + 2)
        wait_until(lambda: inside(shop) == THREADS + 2, "as many as may")
        for future in sent(shop, threads, 20):
            error = need_honest(future.result(PATIENCE), 503, text="2 requests wait already: send it again in a second")
            assert error["code"] == "busy"
        assert not any(future.done() for future in first)
        reply = exchange(shop.address, LABELS)  # what does not need the network goes on
        assert reply is not None
        assert reply.status == 200
        gate.open()
        assert statuses([future.result(PATIENCE) for future in first]) == [200] * (THREADS + 2)
    wait_until(lambda: inside(shop) == 0, "all places come back")


def test_a_request_whose_client_has_gone_is_not_begun(shop: Besieged) -> None:
    with ThreadPoolExecutor(THREADS) as threads, gated(shop) as gate:
        busy = sent(shop, threads, THREADS)
        wait_until(lambda: gate.begun == THREADS, "all threads")
        for _ in range(5):  # more than may wait: each leaves its place
            with connected(shop.address) as connection:
                connection.sendall(PREDICT)
                wait_until(lambda: inside(shop) == THREADS + 1, "one that waits")
            wait_until(lambda: inside(shop) == THREADS, "its place")
        gate.open()
        assert statuses([future.result(PATIENCE) for future in busy]) == [200] * THREADS
        assert gate.begun == THREADS
    assert [line for line in shop.lines() if line.get("code") == "cut_off"]


def test_work_whose_client_has_gone_ends_and_gives_its_place_back(shop: Besieged) -> None:
    with gated(shop) as gate:
        with connected(shop.address) as connection:
            connection.sendall(PREDICT)
            wait_until(lambda: gate.begun == 1, "its work")
        assert inside(shop) == 1, "a thread is still busy"
        gate.open()
        wait_until(lambda: inside(shop) == 0, "its place")


def test_a_request_that_is_too_late_keeps_its_place_until_its_work_ends(tmp_path: Path) -> None:
    with besieged(tmp_path / "shop", "waiting=1", "seconds=0.4") as service:
        with ThreadPoolExecutor(2 * THREADS) as threads, gated(service) as gate:
            late = [future.result(PATIENCE) for future in sent(service, threads, THREADS + 1)]
            for reply in late:
                assert need_honest(reply, 503, text="took longer than 0.4 seconds")["code"] == "too_late"
            assert gate.begun == THREADS, "one had only waited"
            assert inside(service) == THREADS, "the threads work on: nobody else may think that they are free"
            need_honest(exchange(service.address, PREDICT), 503, text="took longer")
            gate.open()
            wait_until(lambda: inside(service) == 0, "all places come back")
        replies = [exchange(service.address, PREDICT) for _ in range(3)]
        assert statuses(replies) == [200] * 3


def test_bodies_of_all_requests_together_have_a_limit(shop: Besieged) -> None:
    """Each of them is small enough."""
    body = b"\xff" * 900_000
    connections = [connected(shop.address) for _ in range(8)]
    try:
        head = request("POST", "/v1/embed", b"", {**JPEG, "Content-Length": "900000"})
        for connection in connections:
            connection.sendall(head + body[:-1])
        refused = []
        end = time.monotonic() + PATIENCE
        while len(refused) < 4 and time.monotonic() < end:
            for connection in set(connections) - set(refused):
                connection.settimeout(0.05)
                try:
                    connection.recv(1, 2)  # MSG_PEEK
                    refused.append(connection)
                except TimeoutError:
                    continue
        assert len(refused) == 4, "of eight megabytes four are held"
        for connection in refused:
            connection.settimeout(PATIENCE)
            assert need_honest(reply_of(connection), 503, text="too many bytes")["code"] == "busy"
        for connection in set(connections) - set(refused):
            connection.settimeout(PATIENCE)
            connection.sendall(body[-1:])
            need_honest(reply_of(connection), 422)
    finally:
        for connection in connections:
            connection.close()
    reply = exchange(shop.address, request("POST", "/v1/embed", picture(), JPEG))
    assert reply is not None
    assert reply.status == 200


def test_the_first_requests_may_come_all_at_once(tmp_path: Path) -> None:
    """Before anything is loaded that they need."""
    make_gallery(tmp_path / "shop", usual_model()).close()
    kept = request("POST", "/v1/predict?threshold=1&keep_unknown=true", picture(7), JPEG)
    with served(tmp_path / "shop") as service, ThreadPoolExecutor(12) as threads:
        first = [threads.submit(exchange, service.address, sent) for sent in [PREDICT, LABELS, kept] * 4]
        assert statuses([future.result(PATIENCE) for future in first]) == [200] * 12
        assert service.end() == 0
