"""Bodies of JSON that are none, are too much, or mean nothing for what they are sent to."""

import json
from collections.abc import Iterator

import pytest

from attacks import JSON, Attack, Besieged, as_json, attack, besieged, exchange, fired, request, rows

SEARCH = "/v1/search"
WIDTH = 1280  # of the model's embeddings
GOOD: dict[str, dict[str, object]] = {
    SEARCH: {"embeddings": [[1.0] * WIDTH]},
    "/v1/gallery/rename": {"label": "Kiwi", "to": "Lime"},
    "/v1/gallery/merge": {"labels": ["Kiwi", "Leek"], "to": "Lime"},
    "/v1/gallery/move": {"images": [1], "to": "Leek"},
    "/v1/gallery/remove": {"label": "Kiwi"},
    "/v1/gallery/forget": {"images": [1, 2]},
    "/v1/gallery/undo": {"change": 1},
    "/v1/unknown/enrol": {"names": ["2026-01-01-0123456789ab.jpg"], "label": "Kiwi"},
    "/v1/unknown/discard": {"names": ["2026-01-01-0123456789ab.jpg"]},
}

NO_JSON = [
    attack(name, as_json(SEARCH, body), 400, text="the body is no JSON|the body holds")
    for name, body in (
        ("nothing", b""),
        ("spaces", b"   \n"),
        ("text", b"hello"),
        ("half an object", b'{"embeddings": [[1'),
        ("two objects", b"{}{}"),
        ("single quotes", b"{'k': 1}"),
        ("a comma too many", b'{"k": 1,}'),
        ("a comment", b'{"k": 1} // one'),
        ("no utf-8", b'{"k": "\xff"}'),
        ("utf-16", '{"k": 1}'.encode("utf-16")),
        ("utf-32", '{"k": 1}'.encode("utf-32")),
        ("a nul", b'{"k": 1}\0'),
        ("a line end in a text", b'{"k": "a\nb"}'),
        ("an escape that is none", b'{"k": "\\x41"}'),
        ("NaN", b'{"k": NaN}'),
        ("Infinity", b'{"embeddings": [[Infinity]]}'),
        ("-Infinity", b'{"embeddings": [[-Infinity]]}'),
        ("a number of 100,000 digits", b'{"k": ' + b"9" * 100_000 + b"}"),
        ("half a character", b'{"where": {"label": "\\ud800"}}'),
        ("half a name", b'{"\\udfff": 1}'),
        ("lists 90,000 deep", b"[" * 90_000 + b"]" * 90_000),
        ("objects 90,000 deep", b'{"a":' * 90_000 + b"1" + b"}" * 90_000),
        ("a picture", b"\xff\xd8\xff\xe0\0\x10JFIF"),
    )
]
NO_OBJECT = [
    attack(f"{verb} {name}", as_json(verb, body), 400, 422)
    for verb in GOOD
    for name, body in (("list", b"[]"), ("null", b"null"), ("text", b'"a"'), ("number", b"1"), ("true", b"true"))
]
TWICE = [
    attack("a name twice", as_json(SEARCH, b'{"k": 1, "k": 2, "embeddings": [[1]]}'), 422, text="k: is given twice"),
    attack(
        "a name twice inside", as_json(SEARCH, b'{"where": {"a": 1, "a": 2}, "embeddings": [[1]]}'), 422, text="twice"
    ),
    attack("a name twice by escapes", as_json(SEARCH, b'{"k": 1, "\\u006b": 2}'), 422, text="k: is given twice"),
    attack("100,000 names", as_json(SEARCH, {f"a{n}": 1 for n in range(100_000)}), 422),
    attack("a name of 1,000,000 letters", as_json(SEARCH, {"a" * 1_000_000: 1}), 422),
    attack(
        "10,000,000 numbers", as_json(SEARCH, b'{"embeddings": [[' + b"1," * 10_000_000 + b"1]]}"), 413, text="values"
    ),
    attack("10,000,000 lists", as_json(SEARCH, b"[" + b"[]," * 10_000_000 + b"1]"), 413),
    attack("lists 5,000,000 deep", as_json(SEARCH, b"[" * 5_000_000), 413, text="lists and objects"),
    attack("33 MB", as_json(SEARCH, b'{"a": "' + b"a" * 33_600_000 + b'"}'), 413, text="most 33554432 bytes"),
    attack("__proto__", as_json(SEARCH, {**GOOD[SEARCH], "__proto__": {}}), 422),
    attack("__class__", as_json("/v1/gallery/undo", {"change": 1, "__class__": "Gallery"}), 422),
    attack("model_config", as_json("/v1/gallery/undo", {"change": 1, "model_config": {}}), 422),
]

ODD: dict[str, object] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a fraction": 1.5,
    "a huge number": 10**400,
    "a text": "x",
    "a number as text": "1",
    "no text": "",
    "a list": [],
    "a list of lists": [[]],
    "a list of nulls": [None],
    "an object": {},
    "an object of objects": {"a": {"b": {}}},
}
FITS = {  # what is no attack
    "label": {"a text", "a number as text"},
    "to": {"a text", "a number as text"},
    "labels": set(),
    "images": set(),
    "change": {"a number"},
    "names": set(),
    "embeddings": set(),
}
FIELDS = [
    attack(f"{verb} {field}: {name}", as_json(verb, {**good, field: value}), 400, 404, 409, 422)
    for verb, good in GOOD.items()
    for field in good
    for name, value in ODD.items()
    if name not in FITS[field]
]
MISSING = [
    attack(
        f"{verb} without {field}", as_json(verb, {name: value for name, value in good.items() if name != field}), 422
    )
    for verb, good in GOOD.items()
    for field in good
]
NOTES = [
    attack(f"{verb} note: {name}", as_json(verb, {**good, "note": value}), 422, text="note: ")
    for verb, good in GOOD.items()
    if verb != SEARCH
    for name, value in (("null", None), ("a list", ["a"]), ("2,001 letters", "a" * 2001))
]

VECTORS = [
    attack(f"embeddings {name}", as_json(SEARCH, {"embeddings": value}), 400, 413, 422)
    for name, value in {
        "of 0 rows": [],
        "of 1,001 rows": [[1.0]] * 1001,
        "of 1,000,000 rows": [[]] * 1_000_000,
        "of one number": [[1.0]],
        "of no numbers": [[]],
        "of one too few": [[1.0] * (WIDTH - 1)],
        "of one too many": [[1.0] * (WIDTH + 1)],
        "of 1,000,000 numbers": [[1.0] * 1_000_000],
        "of two lengths": [[1.0] * WIDTH, [1.0]],
        "of zeros": [[0.0] * WIDTH],
        "of zeros below a good one": [[1.0] * WIDTH, [0.0] * WIDTH],
        "of texts": [["1"] * WIDTH + ["x"]],
        "of 500,000 texts": [["x"] * 500] * 1000,
        "of nulls": [[None] * WIDTH],
        "of truths": [["true"] * WIDTH],
        "in one list": [1.0] * WIDTH,
        "in lists of lists": [[[1.0] * WIDTH]],
        "as text": json.dumps([[1.0] * WIDTH]),
    }.items()
]
INFINITE = [
    attack(name, as_json(SEARCH, f'{{"embeddings": [[{", ".join([number] * WIDTH)}]]}}'.encode()), 400, 422)
    for name, number in (("1e400", "1e400"), ("-1e400", "-1e400"), ("NaN", "NaN"), ("1e-400", "1e-400"))
]
SEARCHES = [
    *(
        attack(f"k={value}"[:40], as_json(SEARCH, {**GOOD[SEARCH], "k": value}), 422, text="^k: ")
        for value in (0, -1, 10**9, "x", 1.5, None, [1], {}, 10**400)
    ),
    *(
        attack(f"{name}: {text}"[:60], as_json(SEARCH, {**GOOD[SEARCH], name: value}), 400, 413, 422)
        for name in ("where", "unless")
        for text, value in (
            ("a text", "x"),
            ("a list", [1]),
            ("a number", 1),
            ("an object in it", {"label": {"a": 1}}),
            ("lists in lists", {"label": [["Kiwi"]]}),
            ("an unknown column", {"shelf": 1}),
            ("an unknown label", {"label": "Nothing"}),
            ("a camera of letters", {"camera": "x"}),
            ("a camera beyond 64 bits", {"camera": 10**30}),
            ("sql", {"label' OR '1'='1": "x"}),
            ("100,000 columns", {f"c{n}": {} for n in range(100_000)}),
            ("500,000 objects", {"label": [{}] * 500_000}),
            ("100,000 labels", {"label": [f"l{n}" for n in range(100_000)]}),
        )
    ),
]
CHANGES = [
    attack("rename of nothing", as_json("/v1/gallery/rename", {"label": "Nothing", "to": "a"}), 422, text="Nothing"),
    attack("rename to what is there", as_json("/v1/gallery/rename", {"label": "Kiwi", "to": "Leek"}), 409, 422),
    attack("rename to 1,001 letters", as_json("/v1/gallery/rename", {"label": "Kiwi", "to": "a" * 1001}), 422),
    attack("rename to spaces", as_json("/v1/gallery/rename", {"label": "Kiwi", "to": " \t "}), 422),
    attack("merge of 1,000,000", as_json("/v1/gallery/merge", {"labels": ["a"] * 1_000_000, "to": "b"}), 422),
    attack("merge of what is not there", as_json("/v1/gallery/merge", {"labels": ["Kiwi", "No"], "to": "b"}), 422),
    attack("move of 10,001", as_json("/v1/gallery/move", {"images": list(range(1, 10_002)), "to": "a"}), 422),
    attack("move of 1,000,000", as_json("/v1/gallery/move", {"images": [1] * 1_000_000, "to": "a"}), 422),
    attack("move of what is not there", as_json("/v1/gallery/move", {"images": [10**6], "to": "a"}), 422),
    attack("move of a negative", as_json("/v1/gallery/move", {"images": [-1], "to": "a"}), 422),
    attack("move beyond 64 bits", as_json("/v1/gallery/move", {"images": [2**63], "to": "a"}), 422),
    attack("remove of all and none", as_json("/v1/gallery/remove", {}), 422),
    attack("remove of two kinds", as_json("/v1/gallery/remove", {"label": "Kiwi", "images": [1]}), 422),
    attack("forget of three kinds", as_json("/v1/gallery/forget", {"label": "a", "images": [1], "source": "a"}), 422),
    attack("remove of an unknown source", as_json("/v1/gallery/remove", {"source": "../../etc/passwd"}), 422),
    attack("remove by wildcard", as_json("/v1/gallery/remove", {"source": "%"}), 422),
    attack("forget by wildcard", as_json("/v1/gallery/forget", {"label": "*"}), 422),
    attack("undo of what was not done", as_json("/v1/gallery/undo", {"change": 999}), 409, 422),
    attack("undo of 0", as_json("/v1/gallery/undo", {"change": 0}), 422),
    attack("undo beyond 64 bits", as_json("/v1/gallery/undo", {"change": 2**63}), 422),
    *(
        attack(f"{verb} {name!r}"[:60], as_json(f"/v1/unknown/{verb}", {"names": [name], **more}), 404, 422)
        for verb, more in (("enrol", {"label": "Kiwi"}), ("discard", {}))
        for name in (
            *(
                "../gallery.sqlite",
                "/etc/passwd",
                "..",
                ".",
                "gallery.sqlite",
                "..\\gallery.sqlite",
                "C:\\boot.ini",
                "CON",
            ),
            *("\\\\server\\share\\a.jpg", "a\0.jpg", "\u202ea.jpg", "~", "*", "a" * 1000, "file:///etc/passwd", "NUL"),
        )
    ),
    attack("GET with a body", request("GET", "/v1/gallery/rename", b"{}", JSON), 405),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("json") / "shop") as service:
        yield service


@rows([*NO_JSON, *NO_OBJECT, *TWICE])
def test_what_is_no_object_of_json_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows([*FIELDS, *MISSING, *NOTES])
def test_a_field_of_another_kind_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows([*VECTORS, *INFINITE, *SEARCHES])
def test_a_search_for_nothing_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(CHANGES)
def test_a_change_of_nothing_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


def test_nothing_was_changed(shop: Besieged) -> None:
    about = exchange(shop.address, request("GET", "/v1/gallery"))
    assert about is not None
    assert (about.json()["images"], about.json()["labels"], about.json()["gallery_version"]) == (9, 3, 3)
