"""What a service answers when it does not do what was asked: a status, a kind for programs, a line for people."""

from pathlib import PurePath

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
