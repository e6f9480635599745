"""Listens: uvicorn around the application, patient with no one, and ended in good order."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.errors import LookalikeError
from lookalike.serving.guard import LOG, App

_HEADER_SECONDS = 15.0  # for the head of a request
_STOP_SECONDS = 20  # for requests in flight when the service is ended
_CONNECTIONS = 1000


class ListenError(LookalikeError):
    """The address cannot be listened on."""


class _Impatient(H11Protocol):
    """Ends a connection whose request does not begin and end its head in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.loop.call_later(_HEADER_SECONDS, self._look)
        self._began: float | None = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._began is None and (self.cycle is None or self.cycle.response_complete):
            self._began = self.loop.time()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._began = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self._began is not None and self.loop.time() - self._began >= _HEADER_SECONDS:
            self.transport.close()
            return
        self._watch = self.loop.call_later(_HEADER_SECONDS / 3, self._look)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Name or address.
        port: 0 for any that is free.

    Raises:
        ListenError: It cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(f"host={host} port={port}: {reason}: give another port=, or end what uses it") from error
    return listening


def server_of(app: App) -> uvicorn.Server:
    """A server that is not running yet.

    Args:
        app: What answers.
    """
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        backlog=1024,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STOP_SECONDS,
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def serve(app: App, listening: socket.socket, stopped: Callable[[], None]) -> None:
    """Answers until it is told to end by SIGINT or SIGTERM; requests in flight are answered first.

    Args:
        app: What answers.
        listening: See `listen`.
        stopped: Called when the last request is answered.
    """
    _log_lines()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # uvicorn raises the signal again once it has ended in order: the process would end before the gallery is closed.
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        server_of(app).run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
        stopped()


class _Lines(logging.Formatter):
    """The time and a line of JSON, or of plain text."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        return f"{time} {super().format(record)}"


def _log_lines() -> None:
    handler: logging.StreamHandler[Any] = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name, level in ((LOG.name, logging.INFO), ("uvicorn.error", logging.ERROR)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)
