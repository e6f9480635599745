"""What every request passes before it is read, and every answer after it is made.

Tokens, names of hosts, bytes, time; headers of safety; a line of the log and the figures. Written for ASGI itself, as a
framework would read the body before it asks who sends it.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from lookalike.serving.figures import Figures
from lookalike.serving.log_lines import LOG, fault_of
from lookalike.serving.refusals import RefusalError, busy, fault
from lookalike.serving.tokens import LOOPBACK, Right, Tokens

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN = ("/", "/healthz", "/readyz")  # and /static/: they tell nothing of the gallery
_PROBES = ("/healthz", "/readyz", "/metrics")
_FIXED = ("/", *_PROBES)  # addresses that are no route of the framework's
_ASKING = ("/v1/predict", "/v1/embed", "/v1/search", "/v1/explain", "/v1/preview")
_BODIES = 4  # bodies of the largest size that are in memory at once, all requests together
_DRAIN_SECONDS = 2.0  # for what a refused client still sends, so that it reads why
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (  # of every answer
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        body: Bytes.
        seconds: Until its body is there.
        images: Files in it.
    """

    body: int
    seconds: float
    images: int


class Guard:
    """Around an application.

    Args:
        app: What answers.
        limits: Of a request.
        tokens: Those that are asked for.
        hosts: Names of this computer that requests without tokens may use.
        figures: What is counted.
    """

    def __init__(self, app: App, limits: Limits, tokens: Tokens, hosts: tuple[str, ...], figures: Figures) -> None:
        self._app, self._limits, self._tokens, self._figures = app, limits, tokens, figures
        self._hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the beginning and end of the service."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, answer = perf_counter(), _Answer(send, secrets.token_hex(8))
        scope.setdefault("state", {})
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        held = 0
        try:
            scope["state"]["right"] = self._right(scope, headers)
            body = await self._body(headers, receive)
            held = len(body)
            await _while_there(self._app(scope, _given(body, receive), answer.send), answer, receive)
        except RefusalError as refusal:
            if "expect" not in headers:  # else it sends nothing more
                await self._drain(receive)  # an answer amid a request that is still sent would often be lost
            await answer.refuse(refusal)
        except Exception as error:  # a fault of the program, which its log tells about
            answer.fault = fault_of(error)
            await answer.refuse(fault())
        finally:
            self._held -= held
            self._note(scope, answer, perf_counter() - began, held)

    def _right(self, scope: Scope, headers: dict[str, str]) -> Right:
        """What the sender may do, refused where that is not enough."""
        path, method, version = scope["path"], scope["method"], scope.get("http_version", "1.1")
        if version not in ("1.0", "1.1"):
            raise RefusalError(505, "version", f"HTTP/{version}: expected HTTP/1.1: send it as that")
        if not self._tokens:
            self._need_own_page(path, headers)
            return "write"
        if path in _OPEN or path.startswith("/static/"):
            return "read"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        right = self._tokens.allows(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
        if right is None:
            raise RefusalError(
                401,
                "token",
                "expected a token of this service: send the header Authorization: Bearer <token>",
                {"WWW-Authenticate": 'Bearer realm="lookalike"'},
            )
        if right == "read" and method not in ("GET", "HEAD") and path not in _ASKING:
            raise need_write()
        return right

    def _need_own_page(self, path: str, headers: dict[str, str]) -> None:
        """Without tokens, only programs of this computer and the service's own page may ask, not other pages."""
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            raise RefusalError(
                421,
                "host",
                f"Host: expected {', '.join(sorted(self._hosts))}, got {host[:100] or 'none'}: use one of them, "
                "or start the service with hosts=[<name>] or with tokens",
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise RefusalError(
                403, "origin", f"Origin: {origin[:100]} is another page: other pages may not ask without a token"
            )
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path not in _OPEN:
            raise RefusalError(
                403, "origin", "Sec-Fetch-Site: asked for by another page: other pages may not ask without a token"
            )

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        """All of it, within the limits."""
        said = headers.get("content-length", "")
        if said and "transfer-encoding" in headers:
            raise RefusalError(
                400, "length", "Content-Length: expected alone, came with Transfer-Encoding: send one of them"
            )
        if said.isdigit() and len(said) < 20 and int(said) > self._limits.body:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusalError(400, "cut_off", "the connection ended before the request did")
                    part = message.get("body", b"")
                    size += len(part)
                    self._held += len(part)
                    parts.append(part)
                    if size > self._limits.body:
                        raise self._too_large()
                    if self._held > _BODIES * self._limits.body:
                        raise busy("too many bytes of requests are in memory")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            self._held -= size
            raise RefusalError(
                408,
                "slow",
                f"the request took longer than {self._limits.seconds:g} seconds to arrive: send it faster",
                fields={"seconds": self._limits.seconds},
            ) from None
        except BaseException:
            self._held -= size
            raise

    def _too_large(self) -> RefusalError:
        return RefusalError(
            413,
            "too_large",
            f"expected at most {self._limits.body} bytes in a request: send fewer images at a time, or start the "
            "service with a larger max_megabytes=",
            fields={"bytes": self._limits.body},
        )

    async def _drain(self, receive: Receive) -> None:
        """Takes what is still sent, for a while."""
        left = self._limits.body
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b"")) or 1
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return

    def _note(self, scope: Scope, answer: "_Answer", seconds: float, held: int) -> None:
        route = _route_of(scope)
        self._figures.requests.labels(route, _known_method(scope["method"]), str(answer.status)).inc()
        self._figures.seconds.labels(route).observe(seconds)
        if route in _PROBES and answer.status == 200:
            return
        line = {
            "request": answer.number,
            "client": (scope.get("client") or ("", 0))[0],
            "method": scope["method"][:16],
            "path": scope["path"][:200] if scope["path"].startswith("/") else "",  # else it may hold a password
            "status": answer.status,
            "milliseconds": round(1000 * seconds, 1),
            "bytes_in": held,
            "bytes_out": answer.size,
            **scope["state"].get("why", {}),
            **({"code": answer.code} if answer.code else {}),
            **answer.fault,
        }
        LOG.info(json.dumps(line))


class _Answer:
    """What is sent, with the headers of every answer."""

    def __init__(self, send: Send, number: str) -> None:
        self._send, self.number = send, number
        self.status, self.size, self.code, self._began, self.ended = 0, 0, "", False, False
        self.fault: dict[str, str] = {}

    async def send(self, message: Message) -> None:
        """As ASGI's."""
        if message["type"] == "http.response.start":
            self.status, self._began = message["status"], True
            own = [*HEADERS, (b"x-request-id", self.number.encode())]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        elif not message.get("more_body", False):
            self.ended = True
        self.size += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, refusal: RefusalError) -> None:
        """Answers with it, if nothing was answered yet, and ends the connection."""
        self.code = refusal.code
        if self._began:
            return
        body = json.dumps(refusal.body()).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        headers |= refusal.headers
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})


def need_write() -> RefusalError:
    """What is answered to a token that may only read."""
    return RefusalError(403, "read_only", "this token may ask and not change: use a write token")


def _given(body: bytes, receive: Receive) -> Receive:
    """A body that is in memory, then what the connection says."""
    sent = False

    async def given() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return given


async def _while_there(answering: Awaitable[None], answer: _Answer, receive: Receive) -> None:
    """Answers while the client is there: what still waits for its turn when it goes is not begun.

    Args:
        answering: Sends the answer.
        answer: What is sent of it.
        receive: Of the connection.

    Raises:
        RefusalError: The client has gone.
    """
    task, gone = asyncio.current_task(), False
    assert task is not None

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if not answer.ended:  # else it is the end of the request
            gone = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        await answering
    except asyncio.CancelledError:
        if not gone or task.uncancel():  # by somebody else, too
            raise
        raise RefusalError(400, "cut_off", "the connection ended before the answer was there") from None
    finally:
        watching.cancel()


def _name_of(host: str) -> str:
    """Of a Host header, without its port."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _route_of(scope: Scope) -> str:
    """What a request is counted under: of a closed set, whatever clients send."""
    path = scope["path"]
    if path in _FIXED:
        return str(path)
    if path.startswith("/static/"):
        return "/static"
    return getattr(scope.get("route"), "path", None) or "other"


def _known_method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
