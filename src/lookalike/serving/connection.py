"""Requests to a service, and what goes wrong with them, each in a line that says what to do.

A token is sent to the one address that it was given for: redirects are not followed, and it stands in no text.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from lookalike import __version__
from lookalike.errors import LookalikeError, one_line
from lookalike.serving.tokens import LOOPBACK

SCHEMA = 1  # of the answers that are understood
_TRIES = 4
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0  # seconds
_AGAIN = ("busy", "store", "no_service")  # kinds of 503 after which a question is asked again
_DOUBT = "whether it was done is not known: log() says"
_Value = TypeVar("_Value")
Form = tuple[Mapping[str, str], Sequence[tuple[str, tuple[str, bytes, str]]]]


class ServiceError(LookalikeError):
    """A service does not do what was asked, or cannot be asked.

    Attributes:
        status: Of HTTP; None where there was no answer.
        code: One word: as the service says it, or `address`, `unreachable`, `certificate`, `timeout`, `broken`,
            `redirect`, `no_service`, `schema`.
    """

    def __init__(self, text: str, status: int | None = None, code: str = "broken") -> None:
        super().__init__(text)
        self.status, self.code = status, code


class Connection:
    """The way to one service; may be used by many threads, each of which has connections of its own.

    Attributes:
        address: Of the service, without a slash at the end.

    Args:
        address: `http://` or `https://`, a host, perhaps a port and a path.
        token: None where the service asks for none.
        timeout: Seconds that the service may be silent.

    Raises:
        ServiceError: No such address, token or time.
    """

    def __init__(self, address: str, token: str | None, timeout: float) -> None:
        self.address = _checked_address(address)
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise ServiceError(
                "token: expected letters of ASCII without blanks, as behind read or write in the service's file",
                code="token",
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
            raise ServiceError(f"timeout={timeout!r}: expected seconds, more than 0", code="address")
        self._token, self._timeout = token, float(timeout)
        self._own, self._lock, self._sessions = threading.local(), threading.Lock(), list[requests.Session]()
        self._about: dict[str, Any] | None = None

    def about(self) -> dict[str, Any]:
        """What the service says of itself, and of its limits; asked once.

        Raises:
            ServiceError: It does not answer, is no service of lookalike, or one of another version.
        """
        if self._about is None:
            self._about = self.ask_about()
        return self._about

    def ask_about(self) -> dict[str, Any]:
        """As `about`, as it is now."""
        values = self._json(self._answered("GET", "/v1/gallery", None, None, None, changes=False))
        schema = values.get("schema")
        if schema != SCHEMA:
            newer = isinstance(schema, int) and schema > SCHEMA
            advice = "pip install -U lookalike here" if newer else "pip install -U lookalike there, and start it again"
            raise ServiceError(
                f"{self.address}: answers in schema {one_line(schema, 20)}, understood is {SCHEMA}: {advice}",
                code="schema",
            )
        return values

    def get(self, path: str, parse: Callable[[dict[str, Any]], _Value], **query: str | int) -> _Value:
        """A question without a body.

        Args:
            path: Below the address.
            parse: Takes what is answered.
            query: Stands in the address.

        Raises:
            ServiceError: It is refused, or not answered.
        """
        self.about()
        return self._parsed(self._answered("GET", path, query, None, None, changes=False), parse)

    def picture(self, path: str) -> bytes:
        """A picture; empty where there is none.

        Args:
            path: Below the address.

        Raises:
            ServiceError: It is refused, or not answered.
        """
        self.about()
        try:
            return self._answered("GET", path, None, None, None, changes=False).content
        except ServiceError as error:
            if error.code == "no_image":
                return b""
            raise

    def post(
        self,
        path: str,
        parse: Callable[[dict[str, Any]], _Value],
        body: Mapping[str, object] | Form,
        *,
        changes: bool,
    ) -> _Value:
        """A question with a body, or a change.

        Args:
            path: Below the address.
            parse: Takes what is answered.
            body: Plain values, sent as JSON; or fields and files of a form.
            changes: Whether it changes the gallery: then it is sent again only where nothing was done.

        Raises:
            ServiceError: It is refused, or not answered.
        """
        self.about()
        form = body if isinstance(body, tuple) else None
        content = None if isinstance(body, tuple) else json.dumps(body, allow_nan=False).encode()
        return self._parsed(self._answered("POST", path, None, content, form, changes=changes), parse)

    def close(self) -> None:
        """Ends the connections of all threads; the next question makes new ones."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        content: bytes | None,
        form: Form | None,
        *,
        changes: bool,
    ) -> requests.Response:
        """An answer of status 200, after some tries where the service is busy."""
        for left in reversed(range(_TRIES)):
            answer = self._sent(method, path, query, content, form, changes)
            if answer.status_code == requests.codes.ok:
                return answer
            error = self._refused(answer, changes)
            again = error.code == "busy" if changes else error.code in _AGAIN
            if not left or answer.status_code != requests.codes.unavailable or not again:
                raise error
            time.sleep(_pause(answer, _TRIES - 1 - left))
        raise AssertionError

    def _sent(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        content: bytes | None,
        form: Form | None,
        changes: bool,
    ) -> requests.Response:
        fields, files = form or (None, None)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            return self._session().request(
                method,
                f"{self.address}{path}",
                params=query,
                data=fields if content is None else content,
                files=files,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise self._lost(error, changes) from None  # its text may hold headers

    def _session(self) -> requests.Session:
        """Of this thread; a process that was forked has its own."""
        session: requests.Session | None = getattr(self._own, "session", None)
        with self._lock:
            if session is None or self._own.process != os.getpid() or session not in self._sessions:
                session = requests.Session()
                session.auth = _Bearer(self._token)
                session.headers.update({"User-Agent": f"lookalike/{__version__}", "Accept": "application/json"})
                session.trust_env = urlsplit(self.address).hostname not in LOOPBACK  # no proxy inside this computer
                self._own.session, self._own.process = session, os.getpid()
                self._sessions.append(session)
        return session

    def _lost(self, error: Exception, changes: bool) -> ServiceError:
        """What is said where there is no answer."""
        nothing = "; nothing was changed" if changes else ""
        reason = _reason(error)
        if isinstance(error, requests.exceptions.SSLError):
            return ServiceError(
                f"{self.address}: no safe connection ({reason}): set REQUESTS_CA_BUNDLE to the certificate of who "
                f"signed the service's, or give http:// where it has none{nothing}",
                code="certificate",
            )
        if isinstance(error, requests.ConnectTimeout):
            return ServiceError(
                f"{self.address}: cannot be reached within {self._timeout:g} seconds: check the address and the "
                f"network{nothing}",
                code="unreachable",
            )
        if isinstance(error, requests.Timeout):
            doubt = f": {_DOUBT}" if changes else ": give Client a longer timeout=, or ask for less at a time"
            return ServiceError(f"{self.address}: no answer within {self._timeout:g} seconds{doubt}", code="timeout")
        if _never_sent(error):
            return ServiceError(
                f"{self.address}: cannot be reached ({reason}): start it with lookalike serve, or check the "
                f"address{nothing}",
                code="unreachable",
            )
        if isinstance(error, requests.exceptions.InvalidURL):
            return ServiceError(f"{self.address}: no address of a computer: check it", code="address")
        doubt = f": {_DOUBT}" if changes else ": ask again"
        return ServiceError(f"{self.address}: the connection broke before the answer came ({reason}){doubt}")

    def _refused(self, answer: requests.Response, changes: bool) -> ServiceError:
        """What is said where the answer is another than 200."""
        status = answer.status_code
        if 300 <= status < 400:
            parts = urlsplit(answer.headers.get("Location", ""))
            place = one_line(f"{parts.scheme}://{parts.hostname}" if parts.hostname else parts.path, 100)
            return ServiceError(
                f"{self.address}: leads to {place}, where nothing was sent: give Client the address of the service "
                "itself",
                status,
                "redirect",
            )
        code, message = _error_of(answer)
        if not code:
            return self._no_service(answer)
        if status == requests.codes.unauthorized:
            advice = "give Client its token=" if self._token is None else "the one that was given is not among them"
            return ServiceError(f"{self.address}: asks for a token: {advice}", status, code)
        if code == "too_late" and changes:
            message = f"{message}; {_DOUBT}"
        return ServiceError(self._hidden(message), status, code)

    def _no_service(self, answer: requests.Response) -> ServiceError:
        kind = one_line(answer.headers.get("Content-Type", "nothing").partition(";")[0], 60)
        return ServiceError(
            self._hidden(
                f"{self.address}: answers {answer.status_code} with {kind}, as no service of lookalike does: check the "
                "address, and what stands before the service"
            ),
            answer.status_code,
            "no_service",
        )

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        try:
            values = json.loads(answer.content)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise self._no_service(answer)
        return values

    def _parsed(self, answer: requests.Response, parse: Callable[[dict[str, Any]], _Value]) -> _Value:
        values = self._json(answer)
        try:
            return parse(values)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            if isinstance(error, ServiceError):
                raise
            raise ServiceError(
                self._hidden(
                    f"{self.address}: answers something else than was asked for ({type(error).__name__}: "
                    f"{one_line(error, 100)}): update lookalike here and there to the same version"
                ),
                code="schema",
            ) from error

    def _hidden(self, text: str) -> str:
        """Without the token, whoever put it there."""
        return text.replace(self._token, "<token>") if self._token else text


class _Bearer(AuthBase):
    """Sends a token; also keeps what ~/.netrc says of the host from being sent instead."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _checked_address(address: str) -> str:
    expected = "expected an address such as http://127.0.0.1:8000"
    try:
        parts = urlsplit(address)
        port = parts.port
    except (ValueError, AttributeError, TypeError):
        raise ServiceError(f"{one_line(address, 100)}: {expected}", code="address") from None
    if parts.username is not None or parts.password is not None:
        raise ServiceError(f"{expected}, without a user: give the token as token=", code="address")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or port == 0:
        raise ServiceError(f"{one_line(address, 100)}: {expected}", code="address")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _error_of(answer: requests.Response) -> tuple[str, str]:
    """Code and line of a refusal; two empty texts where the answer is none of a service."""
    try:
        error = json.loads(answer.content)["error"]
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    return (code, message) if isinstance(code, str) and isinstance(message, str) else ("", "")


def _pause(answer: requests.Response, tried: int) -> float:
    """Seconds to wait: at least what is asked for, longer each time, and not all clients at once."""
    asked = answer.headers.get("Retry-After", "")
    seconds = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else 0.0
    wait = max(seconds, float(_FIRST_WAIT * 2**tried))
    return min(_LONGEST_WAIT, wait) * random.uniform(1, 1.25)


def _chain(error: BaseException) -> list[BaseException]:
    """An error, and those that it came from."""
    chain: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(chain) < 20:
        part = waiting.pop(0)
        if isinstance(part, BaseException) and part not in chain:
            chain.append(part)
            waiting += [getattr(part, "reason", None), *part.args, part.__cause__, part.__context__]
    return chain


def _never_sent(error: BaseException) -> bool:
    """Whether there was no connection at all."""
    from urllib3.exceptions import NewConnectionError, ProxyError

    return any(isinstance(part, NewConnectionError | ProxyError) for part in _chain(error))


def _reason(error: BaseException) -> str:
    """The innermost cause that the system names."""
    texts = [part.strerror for part in _chain(error) if isinstance(part, OSError) and part.strerror]
    return one_line(texts[-1] if texts else type(_chain(error)[-1]).__name__, 100)
