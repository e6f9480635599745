"""Images and options of a request: read from its body and its address, or refused with the name of what is wrong."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from lookalike.serving.options import AddOptions, LogOptions, PredictOptions, RenameOptions
from lookalike.serving.refusals import RefusalError
from lookalike.serving.uploads import Upload, query_of, read_json, read_upload

BOUNDARY = "XX"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def request(body: bytes = b"", kind: str | None = None, query: str = "") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [] if kind is None else [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query.encode(), "headers": headers}
    return Request(scope, receive)


def part(name: str, content: bytes, file: str | None = None) -> bytes:
    shown = "" if file is None else f'; filename="{file}"'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode() + content + b"\r\n"


def uploaded(*parts: bytes, kind: str = FORM, query: str = "", most: int = 3) -> Upload:
    body = b"".join(parts) + (f"--{BOUNDARY}--\r\n".encode() if kind is FORM else b"")
    return asyncio.run(read_upload(request(body, kind, query), most))


def refused(text: str, status: int, kind: str) -> Any:
    return pytest.raises(RefusalError, match=text, check=lambda error: (error.status, error.code) == (status, kind))


def test_files_and_fields_of_a_form() -> None:
    made = uploaded(part("image", b"1", "a.jpg"), part("images", b"2", ""), part("k", b"3"), query="threshold=0.5")
    assert made == Upload([b"1", b"2"], ["a.jpg", "image 2"], ["", ""], {"threshold": "0.5", "k": "3"})
    assert made.options(PredictOptions) == PredictOptions(k=3, threshold=0.5)


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG; x=y", "application/octet-stream"])
def test_an_image_as_the_body(kind: str) -> None:
    made = uploaded(b"123", kind=kind, query="name=C:\\photos\\new.jpg&k=2")
    assert made == Upload([b"123"], ["new.jpg"], [""], {"k": "2"})


@pytest.mark.parametrize(
    ("name", "expected", "folder"),
    [
        ("photos/Kiwi/new.jpg", "new.jpg", "Kiwi"),
        ("../../etc/passwd", "passwd", "etc"),
        ("/etc/passwd", "passwd", "etc"),
        ("..", "..", ""),
        ("C:\\photos\\new.jpg", "new.jpg", ""),
        ("a\tb\x1b[31m.jpg", "a?b?[31m.jpg", ""),
        (" ", "image 1", ""),
        ("n" * 300 + ".jpg", "n" * 196 + ".jpg", ""),
        ("Kiwi, grün.jpg", "Kiwi, grün.jpg", ""),
    ],
)
def test_names_are_data(name: str, expected: str, folder: str) -> None:
    made = uploaded(part("image", b"1", name.replace("\\", "\\\\")))
    assert (made.names, made.folders) == ([expected], [folder])


def test_what_is_no_upload_is_refused() -> None:
    with refused(
        "Content-Type: expected multipart/form-data with files named image, .*, got text/plain", 415, "content_type"
    ):
        uploaded(b"x", kind="text/plain")
    with refused("got none", 415, "content_type"):
        asyncio.run(read_upload(request(b"x"), 1))
    with refused("no image came: send at least one file in a part named image", 422, "no_image"):
        uploaded(part("k", b"3"))
    with refused("file: expected files in parts named image, got one named file", 422, "options"):
        uploaded(part("file", b"1", "a.jpg"))
    with refused("k: is given twice: give it once", 422, "options"):
        uploaded(part("image", b"1", "a.jpg"), part("k", b"3"), query="k=2")
    with refused("k: is given twice: give it once", 422, "options"):
        uploaded(part("image", b"1", "a.jpg"), query="k=2&k=2")
    with refused(
        "expected at most 3 images in a request, got more: send them in several requests", 413, "too_many_images"
    ):
        uploaded(*[part("image", b"1", "a.jpg")] * 4)
    with refused(r"the form cannot be read \(.*\)", 400, "form"):
        asyncio.run(read_upload(request(b"no form", FORM), 1))
    with refused(r"\(Missing boundary, expected 1 to 70 letters, got none\): let the client set", 400, "form"):
        asyncio.run(read_upload(request(b"no form", "multipart/form-data"), 1))
    with refused(r"the form cannot be read \(Part exceeded maximum size", 400, "form"):
        uploaded(part("image", b"1", "a.jpg"), part("note", b"x" * (1 << 19)))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"k": "0"}, "k: Input should be greater than or equal to 1"),
        ({"k": "three"}, "k: Input should be a valid integer"),
        ({"kk": "3"}, "kk: Extra inputs are not permitted; expected k, threshold, false_accept_rate"),
        ({"threshold": "nan"}, "threshold: Input should be a finite number"),
        ({"where": "label=Kiwi"}, 'where: expected JSON such as {"label": "Kiwi"}, got \'label=Kiwi\''),
        ({"where": '{"x": NaN}'}, "where: expected JSON"),
        ({"where": "[" * 10_000}, "where: expected JSON"),
        ({"where": "[1]"}, "where: Input should be a valid dictionary"),
        ({"a": "1", "b": "2"}, "a: Extra inputs are not permitted; expected k, .*; b: Extra inputs"),
    ],
)
def test_options_are_checked(fields: dict[str, str], text: str) -> None:
    with refused(text.replace("[", r"\["), 422, "options"):
        Upload([], [], [], fields).options(PredictOptions)


def test_values_of_fields() -> None:
    fields = {"where": '{"label": ["Kiwi", "Leek"], "day": 3}', "unless": " ", "keep_unknown": "true"}
    with refused("unless: Input should be a valid dictionary", 422, "options"):
        Upload([], [], [], fields).options(PredictOptions)
    made = Upload([], [], [], {**fields, "unless": "null"}).options(PredictOptions)
    assert (made.where, made.unless, made.keep_unknown) == ({"label": ["Kiwi", "Leek"], "day": 3}, None, True)


def test_labels_for_all_or_one_each() -> None:
    given = {"labels": '["a", "b"]', "cameras": "[1, null]", "columns": '{"shelf": ["x", null], "day": 3}'}
    made = Upload([], [], [], given).options(AddOptions)
    assert (made.labels, made.cameras, made.columns) == (["a", "b"], [1, None], {"shelf": ["x", None], "day": 3})
    for fields in ({}, {"label": "a", "labels": '["a"]'}):
        with refused("expected label, or labels with one for each image", 422, "options"):
            Upload([], [], [], fields).options(AddOptions)
    with refused("expected camera, or cameras with one for each image, got both", 422, "options"):
        Upload([], [], [], {"label": "a", "camera": "1", "cameras": "[1]"}).options(AddOptions)


def test_json() -> None:
    body = b'{"label": "a", "to": "b"}'
    made = asyncio.run(read_json(request(body, "application/json; charset=utf-8"), RenameOptions))
    assert made == RenameOptions(label="a", to="b")


@pytest.mark.parametrize(
    ("body", "kind", "query", "status", "text"),
    [
        (b"{}", "text/plain", "", 415, "Content-Type: expected application/json, got text/plain: send JSON"),
        (b"{}", "application/json", "note=x", 422, "note: expected in the body, found in the address: move it there"),
        (b"{", "application/json", "", 400, r"the body is no JSON \(.*\): send an object"),
        (b"\xff", "application/json", "", 400, r"the body is no JSON"),
        (b"[" * 100_000, "application/json", "", 400, r"the body is no JSON"),
        (b'{"label": NaN}', "application/json", "", 400, r"NaN is no number of JSON"),
        (b"[]", "application/json", "", 422, "the body: Input should be a valid dictionary"),
        (b'{"label": "a", "to": ""}', "application/json", "", 422, "to: String should have at least 1 character"),
        (b'{"label": 3, "to": "b"}', "application/json", "", 422, "label: Input should be a valid string"),
        (b'{"label": "a"}', "application/json", "", 422, "to: Field required"),
    ],
)
def test_what_is_no_right_json_is_refused(body: bytes, kind: str, query: str, status: int, text: str) -> None:
    with pytest.raises(RefusalError, match=text) as raised:
        asyncio.run(read_json(request(body, kind, query), RenameOptions))
    assert raised.value.status == status


def test_an_address() -> None:
    assert query_of(request(query="most=7"), LogOptions).most == 7
    assert query_of(request(), LogOptions).most == 50
    for query, text in (("most=7&most=8", "is given twice"), ("first=1", "first: Extra inputs"), ("most=x", "integer")):
        with refused(text, 422, "options"):
            query_of(request(query=query), LogOptions)
