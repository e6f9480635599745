"""Forms and addresses that lie: boundaries, parts, files, fields, options, paths."""

import json
from collections.abc import Iterator

import pytest

from attacks import (
    BOUNDARY,
    FORM,
    JPEG,
    JSON,
    Attack,
    Besieged,
    as_form,
    attack,
    besieged,
    exchange,
    fired,
    form,
    part,
    picture,
    request,
    rows,
)

IMAGE = part("image", picture(), "a.jpg")
ADD = "/v1/gallery/add"
PREDICT = "/v1/predict"
KIWI = part("label", b"Kiwi")


def typed(kind: str, body: bytes = form(IMAGE)) -> bytes:
    return request("POST", PREDICT, body, {"Content-Type": kind})


def raw(body: bytes, headers: dict[str, str] | None = None) -> bytes:
    return request("POST", PREDICT, body, {**FORM, **(headers or {})})


EDGE = BOUNDARY.encode()
KINDS = [
    attack(
        "no content type", request("POST", PREDICT, picture()), 415, text="expected multipart/form-data .* got none"
    ),
    attack("empty content type", typed(""), 415),
    attack("text", typed("text/plain"), 415, text="got text/plain"),
    attack("json", typed("application/json", b"{}"), 415),
    attack("xml", typed("application/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), 415),
    attack("form of addresses", typed("application/x-www-form-urlencoded", b"image=a"), 415),
    attack("mixed parts", typed(f"multipart/mixed; boundary={BOUNDARY}"), 415),
    attack("kind of 60,000 letters", typed("a" * 60_000), 415, 431),
    attack("kind with escapes", typed("a/\x1b[31mb"), 400, 415),
    attack("kind that is no ascii", typed("t\xe4xt/plain"), 415),
    attack("json as something else", request("POST", "/v1/search", b"{}", {"Content-Type": "text/json"}), 415),
    attack("json as a form", as_form("/v1/search", IMAGE), 415),
    attack("json without a kind", request("POST", "/v1/search", b"{}"), 415),
    attack("image to a verb of json", request("POST", "/v1/gallery/remove", picture(), JPEG), 415),
]

BOUNDARIES = [
    attack("no boundary", typed("multipart/form-data"), 400, text="Missing boundary"),
    attack("empty boundary", typed("multipart/form-data; boundary="), 400),
    attack("quoted empty boundary", typed('multipart/form-data; boundary=""'), 400),
    attack("another boundary", typed("multipart/form-data; boundary=other"), 400),
    attack("boundary of 10,000 letters", typed("multipart/form-data; boundary=" + "a" * 10_000), 400),
    attack("boundary with a broken quote", typed('multipart/form-data; boundary="an-edge'), 400),
    attack("charset that is none", typed(f"multipart/form-data; boundary={BOUNDARY}; charset=\x01"), 400, 415),
    attack("text that is no utf-8", as_form(PREDICT, IMAGE, part("label", b"K\xefwi")), 400, text="label: no UTF-8"),
    attack("empty body", raw(b""), 400),
    attack("end alone", raw(b"--" + EDGE + b"--\r\n"), 422, text="no image came"),
    attack("text alone", raw(b"hello"), 400),
    attack("no end", raw(IMAGE), 400, text="end of the form"),
    attack("no end of the second", raw(IMAGE + IMAGE), 400, text="end of the form"),
    attack("cut in the middle of a picture", raw(form(IMAGE)[:500]), 400),
    attack("cut in the middle of a header", raw(form(IMAGE)[:40]), 400),
    attack("cut in the last boundary", raw(form(IMAGE)[:-6]), 400),
    attack("lines of LF", raw(form(IMAGE).replace(b"\r\n", b"\n")), 400),
    attack("no empty line", raw(form(IMAGE).replace(b"\r\n\r\n", b"\r\n", 1)), 400),
    attack("megabytes of line ends", raw(b"\r\n" * 2_000_000), 400),
    attack("megabytes of almost boundaries", raw(form(part("image", (b"\r\n--" + EDGE[:-1]) * 300_000, "a.jpg"))), 422),
    attack("megabytes of carriage returns", raw(form(part("image", b"\r" * 4_000_000, "a.jpg"))), 422),
    attack("megabytes of dashes", raw(form(part("image", b"\r\n-" * 1_500_000, "a.jpg"))), 422),
]

PARTS = [
    attack("part without a name", as_form(PREDICT, part(None, picture(), "a.jpg")), 400, text="name"),
    attack("part with an empty name", as_form(PREDICT, part("", picture(), "a.jpg")), 422),
    attack("part without a disposition", raw(b"--" + EDGE + b"\r\nX: a\r\n\r\nx\r\n--" + EDGE + b"--\r\n"), 400),
    attack("part without headers", raw(b"--" + EDGE + b"\r\n\r\nx\r\n--" + EDGE + b"--\r\n"), 400),
    attack("header without a colon", as_form(PREDICT, part("image", b"x", "a", "no colon")), 400),
    attack("header with a nul", as_form(PREDICT, part("image", b"x", "a", "X\0Y: a")), 400),
    attack("header of 3 MB", as_form(PREDICT, part("image", picture(), "a.jpg", "X-A: " + "a" * 3_000_000)), 400),
    attack("100,000 headers", as_form(PREDICT, part("image", picture(), "a", "\r\n".join(["X: a"] * 100_000))), 400),
    attack("name of 3 MB", as_form(PREDICT, part("a" * 3_000_000, b"x")), 400),
    attack("name of a file of 3 MB", as_form(PREDICT, part("image", b"x", "a" * 3_000_000)), 400),
    attack(
        "form in a form", as_form(PREDICT, part("image", form(IMAGE), "a.jpg", "Content-Type: multipart/mixed")), 422
    ),
    attack("picture as text", as_form(PREDICT, part("image", b"not a file")), 422, text="image"),
    attack("file as an option", as_form(PREDICT, IMAGE, part("k", b"3", "k.txt")), 422, text="got one named k"),
    attack("file of another name", as_form(PREDICT, part("picture", picture(), "a.jpg")), 422, text="picture"),
    attack("65 files", as_form(PREDICT, *[IMAGE] * 65), 413, text="at most 64 images"),
    attack("10,000 files", as_form(PREDICT, *[part("image", b"x", "a.jpg")] * 10_000), 413),
    attack("33 fields", as_form(PREDICT, IMAGE, *[part(f"f{n}", b"x") for n in range(33)]), 400),
    attack("10,000 fields", as_form(PREDICT, IMAGE, *[part(f"f{n}", b"x") for n in range(10_000)]), 400),
    attack("field of 5 MB", as_form(PREDICT, IMAGE, part("label", b"x" * 5_000_000)), 400),
    attack("base64", as_form(PREDICT, part("image", b"aGVsbG8=", "a.jpg", "Content-Transfer-Encoding: base64")), 422),
    attack(
        "quoted-printable",
        as_form(PREDICT, part("image", b"=41", "a", "Content-Transfer-Encoding: quoted-printable")),
        422,
    ),
    *(
        attack(
            f"charset {name}",
            as_form(
                ADD,
                IMAGE,
                part("label", text),
                headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}; charset={name}"},
            ),
            415,
            text="charset: expected utf-8",
        )
        for name, text in (
            ("utf-7", b"+AAA-"),
            ("idna", b"xn--" + b"a" * 500),
            ("punycode", b"a-" + b"9" * 60_000),
            ("unicode_escape", b"\\ud800"),
            ("raw_unicode_escape", b"\\ud800"),
            ("utf-16", b"\0\xd8"),
            ("zlib", b"x"),
            ("undefined", b"x"),
            ("a" * 5000, b"x"),
        )
    ),
]

OPTIONS = [
    *(
        attack(f"k={value}"[:40], request("POST", f"{PREDICT}?k={value}", picture(), JPEG), 422, text="^k: ")
        for value in (
            "0",
            "-1",
            "1000000000",
            "x",
            "1.5",
            "nan",
            "",
            "%20",
            "1e2",
            "9" * 5000,
            "0x1",
            "true",
            "[1]",
            "+-1",
        )
    ),
    *(
        attack(
            f"threshold={value}", request("POST", f"{PREDICT}?threshold={value}", picture(), JPEG), 422, text="thres"
        )
        for value in ("-1.01", "1.01", "nan", "inf", "-inf", "1e400", "x", "")
    ),
    *(
        attack(f"rate={value}", request("POST", f"{PREDICT}?false_accept_rate={value}", picture(), JPEG), 422)
        for value in ("0", "1", "-0.1", "nan", "inf", "x", "2")
    ),
    *(
        attack(f"{name}={value}"[:60], as_form(PREDICT, IMAGE, part(name, value.encode())), 422)
        for name in ("where", "unless")
        for value in (
            "x",
            "[]",
            '"label"',
            "3",
            '{"label": {"a": 1}}',
            '{"label": [["Kiwi"]]}',
            '{"label": "no such"}',
            '{"no such column": 1}',
            '{"camera": "x"}',
            '{"camera": 1e400}',
            '{"camera": NaN}',
            '{"camera": 99999999999999999999999}',
            '{"label": "Kiwi", "label": "Leek"}',
            '{"label": "\\ud800"}',
            '{"": 1}',
            "{" * 30_000,
            '{"a":' * 9000,
        )
    ),
    attack("where of sql", as_form(PREDICT, IMAGE, part("where", b'{"x\' OR 1=1 --": 1}')), 422, text="column"),
    attack(
        "unknown option", request("POST", f"{PREDICT}?top=3", picture(), JPEG), 422, text="top: .*expected k, thres"
    ),
    attack("option twice", request("POST", f"{PREDICT}?k=1&k=2", picture(), JPEG), 422, text="k: is given twice"),
    attack("option here and there", as_form(f"{PREDICT}?k=1", IMAGE, part("k", b"1")), 422, text="k: is given twice"),
    attack("field twice", as_form(PREDICT, IMAGE, part("k", b"1"), part("k", b"1")), 422, text="twice"),
    attack(
        "5,000 options", request("POST", PREDICT + "?" + "&".join(f"a{n}=1" for n in range(5000)), picture(), JPEG), 422
    ),
    attack("options of embed", request("POST", "/v1/embed?k=3", picture(), JPEG), 422),
    attack(
        "options in the address of json", request("POST", "/v1/search?k=3", b"{}", JSON), 422, text="in the address"
    ),
    attack("options of labels", request("GET", "/v1/labels?a=1"), 422),
    attack("keep_unknown is no truth", request("POST", f"{PREDICT}?keep_unknown=perhaps", picture(), JPEG), 422),
    attack("images without a label", request("GET", "/v1/gallery/images"), 422, text="label"),
    attack("images of an unknown label", request("GET", "/v1/gallery/images?label=Nothing"), 422, text="Nothing"),
    *(
        attack(f"images {query}"[:50], request("GET", f"/v1/gallery/images?label=Kiwi&{query}"), 422)
        for query in (
            "first=9223372036854775808",
            "first=-1",
            "first=x",
            "first=" + "9" * 400,
            "most=0",
            "most=10001",
            "most=1&most=2",
            "label=Leek",
        )
    ),
    *(attack(f"log {query}", request("GET", f"/v1/gallery/log?{query}"), 422) for query in ("most=0", "most=x", "a=1")),
    *(attack(f"groups {query}", request("GET", f"/v1/unknown?{query}"), 422) for query in ("least=0", "least=1001")),
    *(
        attack(f"add {name}"[:50], as_form(ADD, part("image", picture(99), "a.jpg"), *fields), 422)
        for name, fields in (
            ("without a label", []),
            ("with an empty label", [part("label", b"")]),
            ("with a label of spaces", [part("label", b"  \t ")]),
            ("with a label of 1,001 letters", [part("label", b"a" * 1001)]),
            ("with a camera of letters", [KIWI, part("camera", b"x")]),
            ("with a camera beyond 64 bits", [KIWI, part("camera", b"9" * 30)]),
            ("with a camera of 5,000 digits", [KIWI, part("camera", b"9" * 5000)]),
            ("with a camera that is infinite", [KIWI, part("camera", b"inf")]),
            ("with columns that are no json", [KIWI, part("columns", b"x")]),
            ("with columns that are a list", [KIWI, part("columns", b"[1]")]),
            ("with columns of columns", [KIWI, part("columns", b'{"a": {"b": 1}}')]),
            ("with a column of its own", [KIWI, part("columns", b'{"label": "x"}')]),
            ("with a column without a name", [KIWI, part("columns", b'{"": 1}')]),
            ("with an infinite column", [KIWI, part("columns", b'{"a": 1e400}')]),
            ("with a column that is no number", [KIWI, part("columns", b'{"a": NaN}')]),
            ("with half a letter", [KIWI, part("columns", b'{"a": "\\udc00"}')]),
            ("with a column twice", [KIWI, part("columns", b'{"a": 1, "a": 2}')]),
            ("with a note of 2,001 letters", [KIWI, part("note", b"a" * 2001)]),
            ("with an unknown field", [KIWI, part("labelled", b"Leek")]),
            ("with a label and labels", [KIWI, part("labels", b'["Leek"]')]),
            ("with labels that are no json", [part("labels", b"Leek")]),
            ("with two labels", [part("labels", b'["Kiwi", "Leek"]')]),
            ("with labels of numbers", [part("labels", b"[1]")]),
            ("with no labels", [part("labels", b"[]")]),
            ("with two cameras", [KIWI, part("cameras", b"[1, 2]")]),
            ("with cameras of texts", [KIWI, part("cameras", b'["x"]')]),
            ("with cameras beyond 64 bits", [KIWI, part("cameras", b"[" + b"9" * 30 + b"]")]),
            ("with 40,000 cameras", [KIWI, part("cameras", b"[" + b"1," * 40_000 + b"1]")]),
            ("with two values of a column", [KIWI, part("columns", b'{"a": [1, 2]}')]),
            ("with 101 columns", [KIWI, part("columns", json.dumps({f"c{n}": 1 for n in range(101)}).encode())]),
        )
    ),
]

STEPS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "....//", "%252e%252e%252f", "/", "%2f", "%00", "./")
PATHS = [
    *(
        attack(f"{place}{step}"[:60], request("GET", f"{place}{step * 6}etc/passwd"), 400, 404)
        for place in ("/", "/static/", "/v1/unknown/", "/v1/images/")
        for step in STEPS
    ),
    *(
        attack(f"unknown {name}", request("GET", f"/v1/unknown/{name}/thumbnail"), 400, 404)
        for name in (
            "..",
            "%2e%2e",
            "%2e%2e%2fgallery.sqlite",
            "..%5cgallery.sqlite",
            "gallery.sqlite",
            "C:%5cboot.ini",
            "C:",
            "%5c%5cserver%5cshare",
            "CON",
            "NUL.jpg",
            "%00",
            "a%00.jpg",
            "%ff%fe",
            "a" * 5000,
            "%0d%0aX-A:%20b",
            "%20",
            "~root",
            "$HOME",
            "%7bname%7d",
            "*",
            "file:%2f%2f%2fetc%2fpasswd",
            "%ed%a0%80",
            "%e2%80%ae.jpg",
            "-",
        )
    ),
    *(
        attack(f"image {number}"[:40], request("GET", f"/v1/images/{number}/thumbnail"), 404)
        for number in (
            "0",
            "-1",
            "1.0",
            "x",
            "99",
            "9" * 18,
            "9" * 19,
            "9" * 5000,
            "%D9%A1",
            "1e1",
            "0x1",
            "%00",
            "1;2",
            "1,2",
        )
    ),
    attack("a static file that is not there", request("GET", "/static/app.py"), 404),
    attack("a module", request("GET", "/static/tokens.py"), 404),
    attack("documents of other hosts", request("GET", "/docs"), 404),
    attack("a hidden file", request("GET", "/.git/config"), 404),
    attack("percent without digits", request("GET", "/v1/%zz"), 404),
    attack("half a percent", request("GET", "/v1/labels%"), 404),
    attack("capitals", request("GET", "/V1/LABELS"), 404),
    attack("a slash too many", request("GET", "/v1//labels"), 404),
    attack("a parameter of a path", request("GET", "/v1/labels;a=1"), 404),
    attack("a fragment", request("GET", "/v1/labels#a"), 400, 404),
    attack("an address that ends a header", request("GET", "/v1/labels%0d%0aX-A:%20b"), 404),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("forms") / "shop") as service:
        yield service


@rows(KINDS)
def test_a_body_of_another_kind_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(BOUNDARIES)
def test_a_form_that_does_not_hold_together_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(PARTS)
def test_parts_that_are_none_are_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(OPTIONS)
def test_options_that_mean_nothing_are_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(PATHS)
def test_an_address_leads_to_no_file(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


def test_nothing_was_enrolled(shop: Besieged) -> None:
    """By all of the above, whatever was refused only at the end."""
    labels = exchange(shop.address, request("GET", "/v1/labels"))
    assert labels is not None
    counts = {item["label"]: item["images"] for item in labels.json()["labels"]}
    assert counts == {"Kiwi": 3, "Leek": 3, "Banana": 3}
