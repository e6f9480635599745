"""Names, labels, notes and columns that would steer a page, a terminal, a log or a table come back as plain data."""

import json
from collections.abc import Iterator

import pytest
import requests

from attacks import PATIENCE, Besieged, as_form, besieged, exchange, part, picture, wait_until
from lookalike.data.labels import as_label

TEXTS = {
    "script": "<script>alert(document.cookie)</script>",
    "attribute": '" onerror="alert(1)',
    "image": "<img src=x onerror=alert(1)>",
    "link": "javascript:alert(1)",
    "template": "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "format": "%s%n%x{0.__class__}",
    "entity": "&lt;b&gt;&amp;&#x3c;",
    "json": '"}],"error":{"code":"a',
    "sql": "'; DROP TABLE images; --",
    "shell": "$(touch /tmp/x); `id` | cat",
    "formula": "=HYPERLINK(A1)",
    "escape": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "c1": "\x9b31m\x85next",
    "backspace": "good\b\b\b\bevil",
    "return": "good\revil",
    "line": 'a\n2026-01-01T00:00:00+00:00 {"request": "forged"}',
    "separator": "a\u2028b\u2029c",
    "override": "photo\u202egpj.exe",
    "isolate": "\u2066\u2067\u2069a",
    "joiners": "a\u200b\u200d\u2060\ufeffb",
    "tags": "a\U000e0041\U000e007f",
    "accents": "a" + "\u0301" * 300,
    "wide": "Ａｐｐｌｅ",
    "emoji": "\U0001f95d\U0001f3fd\u200d\u2640\ufe0f",
    "arabic": "كيوي",
    "homograph": "Kiwі",
    "noncharacter": "a\ufffe\uffff",
    "tab": "a\tb\vc\fd",
    "path": "../../../../etc/passwd",
    "windows": "C:\\Windows\\win.ini",
    "share": "\\\\server\\share\\a",
    "device": "CON",
    "dots": "..",
    "slash": "/",
    "wildcard": "*",
    "percent": "%2e%2e%2f%00",
    "prototype": "__proto__",
    "unknown": "unknown",
    "null": "null",
    "number": "1e999",
    "long": "x" * 1000,
}
NO_LABELS = {"escape", "c1", "backspace", "return", "line", "separator", "tab", "unknown"}  # but notes and values


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("texts") / "shop") as service:
        yield service


def asked(service: Besieged, verb: str, target: str, **more: object) -> dict:
    answer = requests.request(verb, f"{service.address}v1/{target}", timeout=PATIENCE, **more)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.content.isascii()
    return answer.json()


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_comes_back_as_it_was_sent(shop: Besieged, name: str) -> None:
    """As a label, a note and the value of a column; the log tells of none of them."""
    text, seed = TEXTS[name], 1000 + list(TEXTS).index(name)
    columns = {"odd": text, f"c {name} {text}"[:60]: text}
    files = {"image": ("a.jpg", picture(seed), "image/jpeg")}
    data = {"label": text, "note": text, "columns": json.dumps(columns)}
    if name in NO_LABELS:
        refused = requests.post(f"{shop.address}v1/gallery/add", files=files, data=data, timeout=PATIENCE)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "gallery"), refused.text
        data["label"] = "plain"
    added = asked(shop, "POST", "gallery/add", files=files, data=data)
    stored = as_label(data["label"])
    try:
        labels = asked(shop, "GET", "labels")["labels"]
        assert [label["images"] for label in labels if label["label"] == stored] == [1]
        [image] = asked(shop, "GET", "gallery/images", params={"label": data["label"]})["items"]
        assert image["label"] == stored
        assert image["columns"]["odd"] == text
        where = json.dumps({"odd": text})
        predicted = asked(shop, "POST", "predict", files=files, data={"k": "1", "where": where})
        assert predicted["items"][0]["neighbours"][0]["label"] == stored
        change = asked(shop, "GET", "gallery/log", params={"most": 1})["changes"][0]
        assert change["note"].split() == text.split()
        assert change["text"].replace("\n", "").isprintable() or not text.isprintable()
    finally:
        asked(shop, "POST", "gallery/undo", json={"change": added["change"]})
    assert "forged" not in shop.log.getvalue()
    assert shop.lines()


NAMES = {
    **TEXTS,
    "nul": "a\0.jpg",
    "drive": "C:evil.jpg",
    "mixed": "..\\../..\\a.jpg",
    "stream": "a.jpg::$DATA",
    "tail": "a.jpg/",
    "blank": " ",
    "huge": "n" * 60_000 + ".jpg",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_file_is_text_of_one_line_without_folders(shop: Besieged, name: str) -> None:
    sent = NAMES[name].replace("\\", "\\\\").replace('"', '\\"').replace("\r", "%0D").replace("\n", "%0A")
    reply = exchange(shop.address, as_form("/v1/predict", part("image", picture(1), sent)))
    assert reply is not None
    if reply.status == 400:  # a name that no header can hold
        assert reply.json()["error"]["code"] == "form"
        return
    assert reply.status == 200, reply.body
    called = reply.json()["items"][0]["image"]
    assert called
    assert called.isprintable()
    assert len(called) <= 200
    assert "/" not in called
    assert "\\" not in called.replace("\\u", "")


def test_the_name_of_a_single_image_stands_in_the_address(shop: Besieged) -> None:
    for name in NAMES.values():
        answer = requests.post(
            f"{shop.address}v1/predict",
            params={"name": name[:3000]},
            data=picture(1),
            headers={"Content-Type": "image/jpeg"},
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text
        called = answer.json()["items"][0]["image"]
        assert called.isprintable()
        assert "/" not in called


def test_names_that_are_no_utf_8(shop: Besieged) -> None:
    for raw in (b"\xff\xfe.jpg", b"\xed\xa0\x80.jpg", b"K\xefwi.jpg", bytes(range(0x80, 0x100)) + b".jpg"):
        reply = exchange(shop.address, as_form("/v1/predict", part("image", picture(1), raw)))
        assert reply is not None
        assert reply.status == 200, reply.body
        assert reply.json()["items"][0]["image"].isprintable()


def test_a_log_line_is_one_line_whatever_was_asked_for(shop: Besieged) -> None:
    exchange(shop.address, b"GET /v1/labels HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    wait_until(lambda: shop.lines()[-1].get("path") == "/v1/labels", "the last line")
    before = len(shop.lines())
    targets = ("%0a2026-01-01T00:00:00 {}", "%1b[2J", "%e2%80%ae", "%00", "%ff%fe", "%e2%80%a8", "a" * 5000, "%22%7d")
    for target in targets:
        exchange(
            shop.address,
            f"GET /v1/{target.replace(' ', '%20')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
        )
    wait_until(lambda: len(shop.lines()) == before + len(targets), "a line of the log for each")
    lines = shop.lines()[before:]
    assert all(len(line["path"]) <= 200 for line in lines)
    assert shop.log.getvalue().replace("\n", "").isprintable()


def test_metrics_know_no_text_of_a_client(shop: Besieged) -> None:
    """Counters are kept for ever: no address, method or label that is made up makes a new one."""
    for number in range(20):
        exchange(
            shop.address, f"M{number} /v1/x{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
    text = requests.get(f"{shop.address}metrics", timeout=PATIENCE).text
    assert 'route="other"' in text
    assert "x19" not in text
    assert "M19" not in text
