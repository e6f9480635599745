"""What is answered where nothing is done: a status, a kind and one line."""

from pathlib import Path

import pytest

from lookalike.data.images import ImageError
from lookalike.errors import LookalikeError, listed
from lookalike.gallery.history import HistoryError
from lookalike.gallery.rows import ReplacedError, StoreError
from lookalike.inference.references import GalleryError
from lookalike.serving.refusals import RefusalError, places_of, refusal_of, without_places
from lookalike.serving.work import BusyError, TooLateError


@pytest.mark.parametrize(
    ("error", "status", "code"),
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
def test_statuses(error: LookalikeError, status: int, code: str) -> None:
    made = refusal_of(error)
    assert (made.status, made.code, made.message) == (status, code, "x")
    assert made.headers == ({"Retry-After": "1"} if status == 503 else {})


def test_several_problems_stand_on_one_line() -> None:
    problems = listed(["a.jpg: damaged", "b\n  c.jpg: empty"])
    made = refusal_of(GalleryError(f"2 images cannot be used:\n  {problems}"))
    assert made.body()["error"]["message"] == "2 images cannot be used: a.jpg: damaged b\\n  c.jpg: empty"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/shop: is empty", "shop: is empty"),
        ("image=5 is not in /srv/shop: list", "image=5 is not in shop: list"),
        ("/srv/shop/gallery.sqlite: damaged", "shop/gallery.sqlite: damaged"),
        ("/srv/shopping: x; /other/srv/shop: y", "/srv/shopping: x; /other/srv/shop: y"),
        ("postgresql://me@db:5432/all?gallery=shop: closed", "shop: closed"),
        (
            'x (connection failed: connection to server at "10.0.0.5", port 5432 failed: refused)',
            "x (connection failed: server failed: refused)",
        ),
        ('could not translate host name "db.inside" to address', "could not translate host name to address"),
        ('connection to server on socket "/run/.s.PGSQL.5432" failed', "server failed"),
    ],
)
def test_no_place_is_told(text: str, shown: str) -> None:
    places = places_of((Path("/srv/shop"), "shop"), ("postgresql://me@db:5432/all?gallery=shop", "shop"), (None, "x"))
    made = without_places(RefusalError(422, "gallery", text, {"a": "b"}), places)
    assert (made.status, made.code, made.message, made.headers) == (422, "gallery", shown, {"a": "b"})


def test_what_would_steer_a_terminal_is_spelt_out() -> None:
    assert RefusalError(422, "x", "a\x1b[31m\u202eb\nc").body() == {
        "error": {"code": "x", "message": "a\\x1b[31m\\u202eb\\nc", "fields": {}}
    }
