"""What is answered where nothing is done: a status, a kind and one line."""

import pytest

from lookalike.data.images import ImageError
from lookalike.errors import LookalikeError, listed
from lookalike.gallery.history import HistoryError
from lookalike.gallery.rows import ReplacedError, StoreError
from lookalike.inference.references import GalleryError
from lookalike.serving.refusals import RefusalError, refusal_of
from lookalike.serving.work import BusyError, TooLateError


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BusyError("x"), 503, "busy"),
        (TooLateError("x"), 503, "too_late"),
        (StoreError("x"), 503, "store"),
        (ReplacedError("x"), 503, "store"),
        (HistoryError("x"), 409, "history"),
        (ImageError("x"), 422, "image"),
        (GalleryError("x"), 422, "gallery"),
        (LookalikeError("x"), 422, "refused"),
    ],
)
def test_statuses(error: LookalikeError, status: int, kind: str) -> None:
    made = refusal_of(error)
    assert (made.status, made.kind, made.message) == (status, kind, "x")
    assert made.headers == ({"Retry-After": "1"} if status == 503 else {})


def test_several_problems_stand_on_one_line() -> None:
    problems = listed(["a.jpg: damaged", "b\n  c.jpg: empty"])
    made = refusal_of(GalleryError(f"2 images cannot be used:\n  {problems}"))
    assert made.body()["error"]["message"] == "2 images cannot be used: a.jpg: damaged b\\n  c.jpg: empty"


def test_what_would_steer_a_terminal_is_spelt_out() -> None:
    assert RefusalError(422, "x", "a\x1b[31m\u202eb\nc").body() == {
        "error": {"kind": "x", "message": "a\\x1b[31m\\u202eb\\nc"}
    }
