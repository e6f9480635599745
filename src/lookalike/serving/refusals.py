"""What a service answers when it does not do what was asked: a status, a kind for programs, a line for people."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from lookalike.data.images import ImageError
from lookalike.errors import LookalikeError, one_line
from lookalike.files import DiskFullError
from lookalike.gallery.history import HistoryError
from lookalike.gallery.rows import StoreError
from lookalike.inference.references import GalleryError
from lookalike.serving.work import BusyError, TooLateError
from lookalike.terminal import visible_line

_STATUS: tuple[tuple[type[LookalikeError], int, str], ...] = (  # the first that fits
    (BusyError, 503, "busy"),
    (TooLateError, 503, "too_late"),
    (HistoryError, 409, "history"),
    (StoreError, 503, "store"),
    (DiskFullError, 503, "store"),
    (ImageError, 422, "image"),
    (GalleryError, 422, "gallery"),
    (LookalikeError, 422, "refused"),
)
_MOST_TEXT = 1000  # letters of a message, which may repeat what was sent
_SERVER = re.compile(  # as libpq names it
    r'(?:connection to )?(server|host name)(?: at| on socket)? "[^"]*"(?: \([^)]*\))?(?:, port \d+)?'
)
_AGAIN = 1  # seconds after which a busy service may be asked again


class RefusalError(Exception):
    """A request is not answered as it was meant.

    Attributes:
        status: Of HTTP, 4xx or 5xx.
        kind: One word, for programs.
        message: What was expected, what came, and what to do, on one line.
        headers: Of the answer.
    """

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.headers = status, kind, message, headers or {}

    def body(self) -> dict[str, dict[str, str]]:
        """As JSON."""
        text = visible_line(self.message)
        if len(text) > _MOST_TEXT:
            text = f"{text[: _MOST_TEXT // 2]} ... {text[-_MOST_TEXT // 2 :]}"
        return {"error": {"kind": self.kind, "message": text}}


def busy(reason: str) -> RefusalError:
    """What is answered when there is too much to do.

    Args:
        reason: Of what there is too much.
    """
    return RefusalError(503, "busy", f"{reason}: send it again in a second", {"Retry-After": str(_AGAIN)})


def places_of(*places: tuple[Path | str | None, str]) -> dict[str, str]:
    """Where things are on this computer or on a server -> what clients are told instead; the longest first.

    Args:
        places: Where each is, None for nowhere; and its name.
    """
    names: dict[str, str] = {}
    for place, name in places:
        if isinstance(place, Path):
            names |= {str(path): name for path in (place, place.absolute(), place.resolve()) if len(path.parts) > 1}
        elif place:
            names[place] = name
    return dict(sorted(names.items(), key=lambda pair: -len(pair[0])))


def without_places(refusal: RefusalError, places: Mapping[str, str]) -> RefusalError:
    """A refusal that names no place of this computer and no server, as a client need not know them.

    Args:
        refusal: As it was raised.
        places: As of `places_of`.
    """
    text = refusal.message
    for place, name in places.items():
        text = re.sub(rf"(?<![\w./-]){re.escape(place)}(?![\w-])", name.replace("\\", r"\\"), text)
    return RefusalError(refusal.status, refusal.kind, _SERVER.sub(r"\1", text), refusal.headers)


def log_of(error: BaseException, refusal: RefusalError) -> dict[str, str | int]:
    """Why it was refused, for the log: the kind, and what the system said where it was the system.

    Args:
        error: That the application met.
        refusal: What is answered.
    """
    system = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(system, OSError):
        return {"kind": refusal.kind}
    return {"kind": refusal.kind, "system": type(system).__name__, "errno": system.errno or 0}


def disk_of(error: OSError) -> RefusalError:
    """What is answered when a file cannot be read or written.

    Args:
        error: Of the system.
    """
    name = visible_line(PurePath(str(error.filename or "a file")).name)
    reason = one_line(error.strerror or type(error).__name__)
    text = f"{name}: cannot be used ({reason}): check the disk and its permissions, then send it again"
    return RefusalError(503, "store", text, {"Retry-After": str(_AGAIN)})


def fault() -> RefusalError:
    """What is answered when the program is at fault."""
    text = "a fault of this service, not of the request: report the line of its log with the number in X-Request-Id"
    return RefusalError(500, "fault", text)


def refusal_of(error: LookalikeError) -> RefusalError:
    """What is answered where the program says no.

    Args:
        error: What it says.
    """
    status, kind = next((status, kind) for of, status, kind in _STATUS if isinstance(error, of))
    if kind == "refused" and isinstance(error.__cause__, OSError):  # by a disk, not by what was sent
        status, kind = 503, "store"
    text = str(error).replace("\n  ", " ")  # of several problems: no name in them begins a line
    return RefusalError(status, kind, text, {"Retry-After": str(_AGAIN)} if status == 503 else None)
