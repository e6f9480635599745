"""What answers HTTP on a port of this computer, as a test says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ABOUT = {
    "schema": 1,
    "name": "shop",
    "images": 3,
    "labels": 1,
    "dimensions": 4,
    "gallery_version": 7,
    "max_images": 2,
    "max_bytes": 10_000_000,
}


@dataclass
class Asked:
    """A request that came.

    Attributes:
        method: Of HTTP.
        path: With what stands behind it.
        headers: Name -> value, names in small letters.
        body: All of it.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What is answered; with a status of 0 the connection is closed instead."""

    status: int = 200
    body: object = None
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@contextmanager
def pretending(answer: Callable[[Asked], Answer], about: object = ABOUT) -> Iterator[tuple[str, list[Asked]]]:
    """Answers until the block ends; gives the address, and what was asked.

    Args:
        answer: Takes every request but those for /v1/gallery.
        about: What is answered to those.
    """
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, self.path, headers, self.rfile.read(size)))
            given = Answer(body=about) if self.path == "/v1/gallery" and about is not None else answer(asked[-1])
            if given.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            content = given.content()
            self.send_response(given.status)
            for name, value in {
                "Content-Type": given.kind,
                "Content-Length": str(len(content)),
                **given.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status: int, kind: str, message: str = "not now") -> Answer:
    """As a service says it."""
    headers = {"Retry-After": "1"} if status == 503 else {}
    return Answer(status, {"error": {"code": kind, "message": message}}, headers=headers)
