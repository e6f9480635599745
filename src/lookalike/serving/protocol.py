"""A connection of a client: patient with no one, and what is no request is answered as everything else is."""

import asyncio
import json
import secrets
import sys
from contextlib import suppress
from functools import cache
from http import HTTPStatus

from h11 import RemoteProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.errors import one_line
from lookalike.serving.guard import HEADERS
from lookalike.serving.log_lines import LOG
from lookalike.serving.refusals import RefusalError, busy

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

HEAD_SECONDS = 15.0  # for the head of a request, and for a client that takes nothing of its answer
LINGER_SECONDS = 2.0  # for what a refused client still sends, so that it reads why
CONNECTIONS = 1000
_TOLD_AT_ONCE = 20  # of more connections that are told why; others are ended without a word
_OWN_FILES = 100  # that a process opens beside its connections


class HttpProtocol(H11Protocol):
    """Ended when its request does not begin and end its head in time, or when its answer is not taken."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio's."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)
        self._began: float | None = self.loop.time()  # of a head that is not whole yet
        self._left, self._left_since = 0, self.loop.time()  # bytes of an answer that are not taken
        self._refused = False
        if len(self.connections) > _most() + _TOLD_AT_ONCE:
            self._refused = True
            transport.abort()
        elif len(self.connections) > _most():
            self._refuse(busy(f"{_most()} connections are open already"))

    def data_received(self, data: bytes) -> None:
        """As asyncio's."""
        if self._refused:
            return
        if self._began is None and (self.cycle is None or self.cycle.response_complete):
            self._began = self.loop.time()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._began = None

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio's."""
        self._watch.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """As uvicorn's: ends it, after the answer that is being made."""
        if self._refused:
            self.transport.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, called where the bytes are no request."""
        error = sys.exception()
        reason = one_line(error, 100) if isinstance(error, RemoteProtocolError) else msg
        status = error.error_status_hint if isinstance(error, RemoteProtocolError) else 400
        self._refuse(
            RefusalError(status, "no_request", f"no request of HTTP/1.1 ({reason}): send it with a client of HTTP")
        )

    def _look(self) -> None:
        now, left = self.loop.time(), self.transport.get_write_buffer_size()
        if left != self._left or not left:
            self._left, self._left_since = left, now
        if now - self._left_since >= HEAD_SECONDS:
            self.transport.abort()
            return
        if self._began is not None and not self._refused and now - self._began >= HEAD_SECONDS:
            text = f"the head of the request took longer than {HEAD_SECONDS:g} seconds: send it faster"
            self._refuse(RefusalError(408, "slow", text))
        self._watch = self.loop.call_later(HEAD_SECONDS / 3, self._look)

    def _refuse(self, refusal: RefusalError) -> None:
        """Answers beside the application, and ends the connection when the client has read it or had the time to."""
        self._refused = True
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        number = secrets.token_hex(8)
        self.transport.write(_as_sent(refusal, number))
        with suppress(OSError):  # the client has gone
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        client = (self.client or ("", 0))[0]
        LOG.info(json.dumps({"request": number, "client": client, "status": refusal.status, "code": refusal.code}))


def claim_files() -> None:
    """Lets this process have a file open for each connection, where the system allows it."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + 2 * _OWN_FILES
        if 0 <= soft < wanted:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


@cache
def _most() -> int:
    """Connections at once: each is an open file, of which a process may have so many."""
    files = -1 if resource is None else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return CONNECTIONS if files < 0 else min(CONNECTIONS, max(files - 2 * _OWN_FILES, files // 2))


def _as_sent(refusal: RefusalError, number: str) -> bytes:
    body = json.dumps(refusal.body()).encode()
    own = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in (own | refusal.headers).items()]
    pairs += [*HEADERS, (b"x-request-id", number.encode())]
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}".encode()]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in pairs), b"", body])
