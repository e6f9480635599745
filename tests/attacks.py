"""Bad requests as they go over the wire, what an honest refusal of them looks like, and a service that is besieged."""

import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from lookalike import Gallery, Model
from lookalike.serving.log_lines import log_to
from pictures import encoded, noise
from services import Running, running

PATIENCE = 60.0  # seconds, far more than any answer takes
BOUNDARY = "an-edge"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"Content-Type": "application/json"}
JPEG = {"Content-Type": "image/jpeg"}
LABELS = ("Kiwi", "Leek", "Banana")
_LINE = re.compile(r"\d{4}-\d\d-\d\dT\S+ (\{.*\})")


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: Names in small letters.
        body: All of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Attack:
    """A request that is to be refused.

    Attributes:
        name: Of the test.
        sent: Bytes of the wire.
        status: Those that are honest.
        text: What the message says, as a regular expression.
    """

    name: str
    sent: bytes
    status: tuple[int, ...]
    text: str = ""


def attack(name: str, sent: bytes, *status: int, text: str = "") -> Attack:
    return Attack(name, sent, status, text)


def request(
    method: str, target: str | bytes, body: bytes = b"", headers: dict[str, str] | None = None, host: str = "localhost"
) -> bytes:
    """A whole request that asks for the connection to be closed."""
    lines = {"Host": host, "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
    where = target if isinstance(target, bytes) else target.encode("latin-1")
    return method.encode() + b" " + where + b" HTTP/1.1\r\n" + head + b"\r\n" + body


def head(*lines: str, start: str = "POST /v1/search HTTP/1.1") -> bytes:
    """The head of a request, line by line."""
    return "\r\n".join([start, "Host: localhost", *lines, "", ""]).encode("latin-1")


def as_json(target: str, values: object, method: str = "POST") -> bytes:
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    return request(method, target, body, JSON)


def part(name: str | None, content: bytes, filename: str | bytes | None = None, more: str = "") -> bytes:
    """One part of a form, its boundary before it."""
    disposition = b"form-data"
    if name is not None:
        disposition += f'; name="{name}"'.encode()
    if filename is not None:
        disposition += b'; filename="' + (filename if isinstance(filename, bytes) else filename.encode()) + b'"'
    lines = [f"--{BOUNDARY}".encode(), b"Content-Disposition: " + disposition, *([more.encode()] if more else [])]
    return b"\r\n".join([*lines, b"", content]) + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def as_form(target: str, *parts: bytes, headers: dict[str, str] | None = None) -> bytes:
    return request("POST", target, form(*parts), {**FORM, **(headers or {})})


def picture(seed: int = 0) -> bytes:
    """The bytes of a small JPEG; each seed has its own."""
    return encoded(noise(48, 48, seed), "JPEG")


def connected(address: str) -> socket.socket:
    where = urlsplit(address)
    return socket.create_connection((where.hostname, where.port), PATIENCE)


def exchange(address: str, sent: bytes) -> Reply | None:
    """Sends bytes and reads one answer; None where the connection ends without one."""
    with connected(address) as connection:
        with suppress(ConnectionError):  # refused before all of it was sent: the answer is there nevertheless
            connection.sendall(sent)
        return reply_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    """All that still comes until the connection ends."""
    content = b""
    with suppress(ConnectionError):
        while received := connection.recv(100_000):
            content += received
    return content


def reply_of(connection: socket.socket) -> Reply | None:
    """The next answer of a connection."""
    answer = HTTPResponse(connection)
    try:
        answer.begin()
        body = answer.read()
    except (ConnectionError, OSError, ValueError):
        return None
    except Exception:  # http.client's own: the connection ended before an answer began
        return None
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def need_honest(reply: Reply | None, *status: int, text: str = "") -> dict[str, Any]:
    """Refused as the service refuses everything: one form, one line, no inside of the program."""
    assert reply is not None, "no answer came"
    assert reply.status in status, (reply.status, reply.body[:400])
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-request-id"]
    values = reply.json()
    assert list(values) == ["error"]
    assert sorted(values["error"]) == ["code", "fields", "message"]
    assert all(text.isprintable() for text in values["error"]["fields"].values() if isinstance(text, str))
    message = values["error"]["message"]
    assert message.isprintable(), message
    assert 10 < len(message) < 1500, message
    assert "Traceback" not in message
    assert not re.search(r"\.py:\d", message)
    assert ": " in message, message
    assert re.search(text, message), message
    assert reply.status != 503 or int(reply.headers["retry-after"]) >= 1
    return values["error"]


@dataclass(frozen=True)
class Besieged:
    """A service, and what it writes into its log.

    Attributes:
        service: It.
        log: Of everything that a real process would write there.
    """

    service: Running
    log: io.StringIO

    @property
    def address(self) -> str:
        return self.service.address

    def lines(self) -> list[dict[str, Any]]:
        """What the log holds: each line a time and an object of JSON, and nothing else is there."""
        return logged_lines(self.log.getvalue())


def logged_lines(text: str) -> list[dict[str, Any]]:
    """The objects of a log, of which every line is a time and one of them."""
    values = []
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        assert matched, f"no line of a log: {line}"
        values.append(json.loads(matched[1]))
    return values


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """The log of a service in this process."""
    stream = io.StringIO()
    with log_to(stream):
        yield stream


@cache
def usual_model() -> Model:
    """Shared: loading it takes seconds."""
    return Model.pretrained("efficientnet_lite0")


def make_gallery(folder: Path, model: Model) -> Gallery:
    """Three labels of three drawn pictures each."""
    gallery = Gallery.create(folder, model)
    for place, label in enumerate(LABELS):
        gallery.add([picture(10 * place + number) for number in range(3)], label)
    return gallery


@contextmanager
def besieged(folder: Path, *arguments: str, model: Model | None = None) -> Iterator[Besieged]:
    """A service that has to be as it was when the block ends: threads, open files, log, answers, gallery."""
    gallery = make_gallery(folder, model or usual_model())
    with logged() as log, running(gallery, *arguments) as service:
        both = Besieged(service, log)
        need_good(both)
        before = (set(threading.enumerate()), open_files())
        yield both
        need_good(both)
        need_as_before(*before)
        assert gallery.verify()
        faults = [line for line in both.lines() if line.get("status") == 500 or "fault" in line]
        assert not faults, faults


def need_good(service: Besieged, headers: dict[str, str] | None = None) -> None:
    """It still does what it is for."""
    answer = requests.post(
        f"{service.address}v1/predict?k=1", data=picture(1), headers={**JPEG, **(headers or {})}, timeout=PATIENCE
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"][0]["label"] in (*LABELS, None)


def open_files() -> list[str]:
    """Of this process, where the system tells; the file of a gallery once.

    SQLite keeps the descriptor of a connection that was closed while another one held locks, and gives it to the next
    one (unixClosePending), as closing it would drop the locks of the process. A connection that is left open shows by
    its log, `gallery.sqlite-wal`.
    """
    files: list[str] = []
    place = Path("/proc/self/fd")
    for link in place.iterdir() if place.is_dir() else []:
        with suppress(OSError):  # closed by now, such as that of this list
            file = str(link.readlink())
            if not (file.endswith(".sqlite") and file in files):
                files.append(file)
    return [file for file in files if not file.endswith("model.bin")]  # of services that other tests have ended


def need_as_before(threads: set[threading.Thread], files: list[str]) -> None:
    """No thread and no open file more than there were, when what ends by itself has ended."""
    wait_until(lambda: len(open_files()) <= len(files), f"open files: {files} before, now {open_files()}")
    pools = ("asking", "changing", "grouping", "AnyIO", "ThreadPool")  # which grow to their size, and no further
    wait_until(
        lambda: not [thread for thread in set(threading.enumerate()) - threads if not thread.name.startswith(pools)],
        f"threads: more than before: {set(threading.enumerate()) - threads}",
    )


def wait_until(state: Any, text: str, seconds: float = PATIENCE) -> None:
    """Waits for a state that comes by itself."""
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end, text
        time.sleep(0.01)


def fired(service: Besieged, shot: Attack) -> None:
    """One row of a table."""
    need_honest(exchange(service.address, shot.sent), *shot.status, text=shot.text)


def rows(table: Sequence[Attack]) -> Any:
    """A table as the cases of a test."""
    names = [shot.name for shot in table]
    assert len(set(names)) == len(names), "names stand twice"
    return pytest.mark.parametrize("shot", table, ids=names)
