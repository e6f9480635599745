"""What a service answers when it does not do what was asked: a status, a code for programs, a line for people."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

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
        code: One word, for programs; it stays when the words of the message change.
        message: What was expected, what came, and what to do, on one line.
        headers: Of the answer.
        fields: What the message names, for programs and for those who read another language.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str | int | float] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers, self.fields = dict(headers or {}), dict(fields or {})
        self.status, self.code, self.message = status, code, message

    def body(self) -> dict[str, dict[str, Any]]:
        """As JSON."""
        fields = {name: _shortened(value) if isinstance(value, str) else value for name, value in self.fields.items()}
        return {"error": {"code": self.code, "message": _shortened(self.message), "fields": fields}}


def _shortened(text: str) -> str:
    """One line that can be shown, whatever was sent."""
    line = visible_line(text)
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT // 2]} ... {line[-_MOST_TEXT // 2 :]}"


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

    def hidden(text: str) -> str:
        for place, name in places.items():
            text = re.sub(rf"(?<![\w./-]){re.escape(place)}(?![\w-])", name.replace("\\", r"\\"), text)
        return _SERVER.sub(r"\1", text)

    fields = {name: hidden(value) if isinstance(value, str) else value for name, value in refusal.fields.items()}
    return RefusalError(refusal.status, refusal.code, hidden(refusal.message), refusal.headers, fields)


def log_of(error: BaseException, refusal: RefusalError) -> dict[str, str | int]:
    """Why it was refused, for the log: the code, and what the system said where it was the system.

    Args:
        error: That the application met.
        refusal: What is answered.
    """
    system = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(system, OSError):
        return {"code": refusal.code}
    return {"code": refusal.code, "system": type(system).__name__, "errno": system.errno or 0}


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
    status, code = next((status, code) for of, status, code in _STATUS if isinstance(error, of))
    if code == "refused" and isinstance(error.__cause__, OSError):  # by a disk, not by what was sent
        status, code = 503, "store"
    text = str(error).replace("\n  ", " ")  # of several problems: no name in them begins a line
    again = {"Retry-After": str(_AGAIN)} if status == 503 else None
    return RefusalError(status, error.code or code, text, again, error.fields)
