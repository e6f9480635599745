"""What a service answers when it does not do what was asked: a status, a kind for programs, a line for people."""

from lookalike.data.images import ImageError
from lookalike.errors import LookalikeError
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
    (ImageError, 422, "image"),
    (GalleryError, 422, "gallery"),
    (LookalikeError, 422, "refused"),
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
        return {"error": {"kind": self.kind, "message": visible_line(self.message)}}


def refusal_of(error: LookalikeError) -> RefusalError:
    """What is answered where the program says no.

    Args:
        error: What it says.
    """
    status, kind = next((status, kind) for of, status, kind in _STATUS if isinstance(error, of))
    text = str(error).replace("\n  ", " ")  # of several problems: no name in them begins a line
    return RefusalError(status, kind, text, {"Retry-After": str(_AGAIN)} if status == 503 else None)
