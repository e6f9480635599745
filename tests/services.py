"""Services that run inside the tests: their loop in a thread, on a port of this computer that is free."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.cli.arguments import read_settings
from lookalike.gallery.gallery import Gallery
from lookalike.serving.server import listen, server_of
from lookalike.serving.service import Service
from lookalike.serving.start import Assembled, address_of
from lookalike.serving.tokens import Tokens, read_tokens


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Attributes:
        address: Of its page, with a slash at the end.
        service: What is behind it.
    """

    address: str
    service: Service


@contextmanager
def running(gallery: Gallery, *arguments: str) -> Iterator[Running]:
    """Serves a gallery until the block ends, then closes it.

    Args:
        gallery: Open.
        arguments: As behind `lookalike serve`, such as `seconds=2`.
    """
    settings: Any = read_settings("serve", ["gallery=g", *arguments])
    tokens = read_tokens(settings.tokens) if settings.tokens else Tokens()
    assembled = Assembled(settings, gallery, tokens)
    assembled.service.warm_up()
    listening = listen("127.0.0.1", 0)
    server = server_of(assembled.app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Running(address_of(listening, "127.0.0.1"), assembled.service)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        assembled.close()


def write_tokens(file: Path, *lines: str) -> Path:
    """A file of tokens that only its owner reads."""
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(0o600)
    return file
