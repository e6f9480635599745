"""An object store on this machine: a real server of S3's protocol, on a free port."""

import io
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

import pytest

SECRET, KEY = "s3cret-of-the-tests", "AKIATESTSONLY"


@dataclass(frozen=True)
class Store:
    """A server with one bucket, `bucket`."""

    address: str

    def put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket="bucket", Key=name, Body=content)

    def get(self, name: str) -> bytes:
        content: bytes = self._client.get_object(Bucket="bucket", Key=name)["Body"].read()
        return content

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket="bucket", Key=name)

    def names(self, prefix: str = "") -> list[str]:
        listed = self._client.list_objects_v2(Bucket="bucket", Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    @property
    def _client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )


def point_to(address: str, patch: pytest.MonkeyPatch) -> None:
    """The environment of a program that is to use this store."""
    names = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": address}
    for name, value in (names | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"}).items():
        patch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        patch.delenv(name, raising=False)


@contextmanager
def running_store() -> Iterator[Store]:
    """A server until the block ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with redirect_stdout(io.StringIO()):
        server.start()
    try:
        host, port = server.get_host_and_port()
        store = Store(f"http://{host}:{port}")
        store._client.create_bucket(Bucket="bucket")
        yield store
    finally:
        server.stop()


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_port() -> str:
    """The address of nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def failing_first(store: Store, failures: int) -> Iterator[tuple[str, list[int]]]:
    """A server before a store that answers the first requests by 503; and the list of what it answered."""
    import http.server
    import threading

    import requests

    answered: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if len(answered) < failures:
                answered.append(503)
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            given = {name: value for name, value in self.headers.items() if name != "Host"}
            reply = requests.request(self.command, store.address + self.path, headers=given, data=body, timeout=30)
            answered.append(reply.status_code)
            self.send_response(reply.status_code)
            for name, value in reply.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-encoding", "content-length"):
                    self.send_header(name, value)
            head = self.command == "HEAD"
            self.send_header("Content-Length", reply.headers["Content-Length"] if head else str(len(reply.content)))
            self.end_headers()
            self.wfile.write(b"" if head else reply.content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", answered
    finally:
        server.shutdown()
        server.server_close()
