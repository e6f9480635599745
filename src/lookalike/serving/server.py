"""Listens: uvicorn around the application, ended in good order."""

import errno
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from lookalike.errors import LookalikeError
from lookalike.serving.guard import App
from lookalike.serving.log_lines import log_to
from lookalike.serving.protocol import HttpProtocol, claim_files

_STOP_SECONDS = 20  # for requests in flight when the service is ended


_OWN = "give an address of this computer, such as 127.0.0.1, or 0.0.0.0 for all that it has"
_OTHER_PORT = "give another port=, or end what uses it"
_ADVICE = {errno.EADDRNOTAVAIL: _OWN, errno.EACCES: "give a port= from 1024 on, or let an administrator start it"}


class ListenError(LookalikeError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Name or address.
        port: 0 for any that is free.

    Raises:
        ListenError: It cannot be had.
    """
    family, kind, protocol, _, address = resolve(host, port)
    try:
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(f"host={host} port={port}: {reason}: {_ADVICE.get(error.errno or 0, _OTHER_PORT)}") from error
    return listening


def resolve(host: str, port: int) -> tuple[Any, ...]:
    """What `socket.getaddrinfo` says of an address first.

    Args:
        host: Name or address.
        port: 0 for any that is free.

    Raises:
        ListenError: No such name is known.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(f"host={host}: is no address and no name that is known here ({reason}): {_OWN}") from error


def server_of(app: App) -> uvicorn.Server:
    """A server that is not running yet.

    Args:
        app: What answers.
    """
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=128,  # as many are accepted in one go, before the first of them can be refused
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
    claim_files()
    server = server_of(app)
    numbers = (signal.SIGINT, signal.SIGTERM)
    # uvicorn raises the signal again once it has ended in order, which would end this process before `stopped`
    before = {number: signal.signal(number, lambda *_: setattr(server, "should_exit", True)) for number in numbers}
    with log_to(sys.stderr):
        try:
            server.run(sockets=[listening])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            listening.close()
            stopped()
