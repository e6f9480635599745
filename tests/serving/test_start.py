"""A service from its settings to its end, as a process of its own and piece by piece."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lookalike import Client, Gallery
from lookalike.cli.arguments import read_settings
from lookalike.serving.server import ListenError, listen
from lookalike.serving.start import Assembled, address_elsewhere, address_of, run_service
from lookalike.serving.tokens import TokenError, Tokens
from services import write_tokens

WRITE = "writer-0123456789"


@contextmanager
def started(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`lookalike serve` until the block ends; gives its address."""
    command = [sys.executable, "-m", "lookalike", "serve", "port=0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1].startswith("serving at http://127.0.0.1:"), (lines, process.stderr and process.stderr.read())
        assert lines[0].startswith("Gallery('")
        yield lines[1].split()[2], process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_and_ends_in_order(number: int, digit_gallery: Gallery, digits: Path, tmp_path: Path) -> None:
    digit_gallery.close()
    tokens = write_tokens(tmp_path / "tokens.txt", f"write {WRITE}")
    with started(f"gallery={tmp_path / 'shop'}", f"tokens={tokens}") as (address, process):
        client = Client(address, token=WRITE)
        file = next((digits / "test").rglob("*.png"))
        assert client.predict(file, threshold=1.0).unknown
        assert client.rename("digit 1", "one") == 10
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert WRITE not in out + err
    lines = [json.loads(line.partition(" ")[2]) for line in err.splitlines() if line.partition(" ")[2].startswith("{")]
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/v1/gallery", 200),
        ("/v1/predict", 200),
        ("/v1/gallery/rename", 200),
    ]
    assert json.loads((tmp_path / "shop" / "days.json").read_text())
    with Gallery.open(tmp_path / "shop") as gallery:
        assert gallery.labels["one"] == 10


def test_what_is_missing_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    loaded: list[int] = []

    def gallery() -> Gallery:
        loaded.append(1)
        raise AssertionError

    def serve(*arguments: str) -> None:
        settings: Any = read_settings("serve", ["gallery=g", *arguments])
        run_service(settings, gallery, lambda address, opened: None)

    with pytest.raises(TokenError, match=r"host=0\.0\.0\.0: other computers reach it, so it needs tokens"):
        serve("host=0.0.0.0", "port=0")
    with pytest.raises(TokenError, match="No such file or directory: make it"):
        serve(f"tokens={tmp_path / 'none.txt'}", "port=0")
    with listen("127.0.0.1", 0) as used, pytest.raises(ListenError, match="Address already in use: give another port="):
        serve(f"port={used.getsockname()[1]}")
    assert loaded == []


def test_a_port_is_free_again_when_the_gallery_cannot_be_opened() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    settings: Any = read_settings("serve", ["gallery=g", f"port={port}"])

    def gallery() -> Gallery:
        raise OSError("no gallery")

    with pytest.raises(OSError, match="no gallery"):
        run_service(settings, gallery, lambda address, opened: None)
    listen("127.0.0.1", port).close()


def test_where_nobody_reads_the_address_everything_is_let_go(digit_gallery: Gallery) -> None:
    addresses: list[str] = []
    settings: Any = read_settings("serve", ["gallery=g", "port=0"])

    def ready(address: str, elsewhere: str | None, opened: Gallery) -> None:
        addresses.append(address)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_service(settings, lambda: digit_gallery, ready)
    assert repr(digit_gallery).endswith(": closed)")
    listen("127.0.0.1", int(addresses[0].rstrip("/").rpartition(":")[2])).close()


def test_names_of_this_computer(digit_gallery: Gallery) -> None:
    settings: Any = read_settings("serve", ["gallery=g", "hosts=[Shop]", "host=127.0.0.1"])
    assembled = Assembled(settings, digit_gallery, Tokens())
    assert assembled.app._hosts == {"127.0.0.1", "::1", "localhost", "shop"}
    assembled.close()


def test_addresses_to_type() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert address_of(listening, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert address_of(listening, "::1") == f"http://[::1]:{port}/"


def test_a_closed_service_answers_nobody(digit_gallery: Gallery) -> None:
    settings: Any = read_settings("serve", ["gallery=g"])
    assembled = Assembled(settings, digit_gallery, Tokens())
    assembled.close()
    assert repr(digit_gallery).endswith(": closed)")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this computer has no IPv6")
def test_ipv6(digit_gallery: Gallery) -> None:
    with listen("::1", 0) as listening:
        assert listening.family == socket.AF_INET6


def test_an_address_that_a_person_can_open_stands_for_all_of_a_computer() -> None:
    with listen("0.0.0.0", 0) as listening:
        port = listening.getsockname()[1]
        assert address_of(listening, "0.0.0.0") == f"http://127.0.0.1:{port}/"
        elsewhere = address_elsewhere(listening)
        assert elsewhere is not None
        assert elsewhere.endswith(f":{port}/")
        assert "//0.0.0.0" not in elsewhere
    with listen("127.0.0.1", 0) as listening:
        assert address_elsewhere(listening) is None
