"""Puts a service together from its settings, and runs it."""

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from lookalike.gallery.gallery import Gallery
from lookalike.parallel import cores
from lookalike.serving.app import build_app
from lookalike.serving.figures import Figures
from lookalike.serving.guard import Guard, Limits
from lookalike.serving.kept_figures import KeepLimits
from lookalike.serving.server import listen, resolve, serve
from lookalike.serving.service import Service
from lookalike.serving.tokens import LOOPBACK, Tokens, need_tokens, read_tokens
from lookalike.serving.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from lookalike.settings.serving import ServeCommand

_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # every address of a computer -> one that a browser takes
_FAR = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # of documentation: nobody has them
_MEGABYTE = 1_000_000
_READERS = 4  # threads for the gallery: its store lets one in at a time


class Assembled:
    """A service, ready to be served.

    Attributes:
        app: What answers.
        service: What it does.

    Args:
        settings: Of the verb.
        gallery: Open.
        tokens: Those that are asked for.
    """

    def __init__(self, settings: "ServeCommand", gallery: Gallery, tokens: Tokens) -> None:
        figures = Figures()
        keeping = KeepLimits(settings.unknown_images, int(settings.unknown_megabytes * _MEGABYTE))
        self.service = Service(gallery, figures, Path(settings.unknown) if settings.unknown else None, keeping)
        caller = self.service.kept.call
        self._asking = Work("asking", 2 * cores(), settings.waiting, settings.seconds, caller)
        self._changing = Work("changing", _READERS, settings.waiting, settings.seconds, caller)
        self._grouping = Work("grouping", 1, settings.waiting, settings.seconds, caller)
        limits = Limits(int(settings.max_megabytes * _MEGABYTE), settings.seconds, settings.max_images)
        hosts = tuple(settings.hosts) if settings.host in LOOPBACK else (*settings.hosts, settings.host)
        app = build_app(self.service, self._asking, self._changing, self._grouping, limits)
        self.app = Guard(app, limits, tokens, hosts, figures)

    def close(self) -> None:
        """Waits for what is being done, and lets go of the gallery."""
        self.service.unknowns.stop()
        for work in (self._asking, self._changing, self._grouping):
            work.close()
        self.service.close()


def run_service(
    settings: "ServeCommand", gallery: "Callable[[], Gallery]", ready: "Callable[[str, str | None, Gallery], None]"
) -> None:
    """Answers until it is ended.

    Args:
        settings: Of the verb.
        gallery: Opens the gallery, when the address and the tokens are known to be right.
        ready: Called when it answers, with the address of the page, and that for other computers where it listens on
            every address.

    Raises:
        TokenError: No token where one is needed.
        ListenError: The address cannot be had.
        LookalikeError: The gallery cannot be opened, or its model cannot be loaded.
    """
    tokens = read_tokens(settings.tokens) if settings.tokens else Tokens()
    resolve(settings.host, settings.port)  # a wrong name is told as that
    need_tokens(settings.host, tokens)
    listening = listen(settings.host, settings.port)
    threadpool_limits(limits=1, user_api="blas")  # threads of ours multiply side by side
    try:
        opened = gallery()
        assembled = Assembled(settings, opened, tokens)
    except BaseException:
        listening.close()
        raise
    threading.Thread(target=assembled.service.warm_up, name="warm-up", daemon=True).start()
    try:
        ready(address_of(listening, settings.host), address_elsewhere(listening), opened)
    except BaseException:  # such as a reader of the output that has gone
        listening.close()
        assembled.close()
        raise
    del opened  # it may be replaced, and is in nobody's way then
    serve(assembled.app, listening, assembled.close)


def address_of(listening: socket.socket, host: str) -> str:
    """What is typed into a browser of this computer.

    Args:
        listening: That answers.
        host: As it was asked for.
    """
    return _written(_LOCAL.get(listening.getsockname()[0], host), listening)


def address_elsewhere(listening: socket.socket) -> str | None:
    """What is typed into a browser of another computer, where the service listens on every address of this one.

    Args:
        listening: That answers.
    """
    own = listening.getsockname()[0]
    if own not in _LOCAL:
        return None
    with socket.socket(listening.family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((_FAR[own], 9))  # nothing is sent: the system says by which address it would be
            name = str(asking.getsockname()[0])
        except OSError:  # no network
            name = socket.gethostname()
    return _written(name, listening)


def _written(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"
