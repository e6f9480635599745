"""What every address of a service answers: its model in `answers`, or an error of one form; the document of them."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from threading import current_thread
from typing import Any, get_origin

import numpy as np
import pytest
import requests
from PIL import Image
from pydantic import BaseModel

from lookalike import Gallery
from lookalike.serving import answers
from lookalike.serving import app as app_module
from lookalike.serving.answers import ErrorAnswer
from lookalike.serving.log_lines import LOG
from lookalike.serving.service import Service
from services import Running, running

Request = dict[str, Any]


@pytest.fixture
def file(digits: Path) -> bytes:
    return sorted((digits / "test" / "digit 3").iterdir())[0].read_bytes()


def checked(kind: type[BaseModel], answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    kind.model_validate(answer.json(), strict=True)
    values: dict[str, Any] = answer.json()
    return values


def sent(*contents: bytes, name: str = "new.png", **fields: str) -> Request:
    return {"files": [("image", (name, content, "image/png")) for content in contents], "data": fields}


def requests_of(file: bytes, unknown: str) -> dict[tuple[str, str], tuple[type[BaseModel] | None, Request]]:
    """A right request for every operation."""
    embeddings = [[1.0] + [0.0] * 15]
    return {
        ("POST", "/v1/predict"): (answers.PredictAnswer, sent(file, k="3")),
        ("POST", "/v1/embed"): (answers.EmbedAnswer, sent(file, b"none")),
        ("POST", "/v1/explain"): (answers.ExplainAnswer, sent(file, number="1")),
        ("POST", "/v1/preview"): (None, sent(file)),
        ("POST", "/v1/search"): (answers.SearchAnswer, {"json": {"embeddings": embeddings, "k": 2}}),
        ("GET", "/v1/gallery"): (answers.GalleryAnswer, {}),
        ("GET", "/v1/labels"): (answers.LabelsAnswer, {}),
        ("GET", "/v1/gallery/images"): (answers.ImagesAnswer, {"params": {"label": "digit 2", "first": 8}}),
        ("GET", "/v1/gallery/log"): (answers.LogAnswer, {"params": {"most": 3}}),
        ("GET", "/v1/gallery/health"): (answers.HealthAnswer, {}),
        ("GET", "/v1/images/{number}/thumbnail"): (None, {}),
        ("POST", "/v1/gallery/add"): (answers.AddAnswer, sent(file, b"none", label="new")),
        ("POST", "/v1/gallery/rename"): (answers.ChangeAnswer, {"json": {"label": "digit 1", "to": "one"}}),
        ("POST", "/v1/gallery/merge"): (answers.ChangeAnswer, {"json": {"labels": ["one", "new"], "to": "digit 1"}}),
        ("POST", "/v1/gallery/move"): (answers.ChangeAnswer, {"json": {"image": [3], "to": "moved"}}),
        ("POST", "/v1/gallery/confirm"): (answers.ChangeAnswer, {"json": {"image": 4}}),
        ("POST", "/v1/gallery/remove"): (answers.ChangeAnswer, {"json": {"image": 3, "note": "bad"}}),
        ("POST", "/v1/gallery/undo"): (answers.ChangeAnswer, {"json": {"change": 7}}),
        ("POST", "/v1/gallery/forget"): (answers.ChangeAnswer, {"json": {"label": "moved"}}),
        ("GET", "/v1/unknown"): (answers.KeptImagesAnswer, {}),
        ("GET", "/v1/unknown/groups"): (answers.UnknownAnswer, {}),
        ("GET", "/v1/unknown/{name}/thumbnail"): (None, {}),
        ("POST", "/v1/unknown/enrol"): (answers.ChangeAnswer, {"json": {"names": [unknown], "label": "kept"}}),
        ("POST", "/v1/unknown/discard"): (answers.ChangeAnswer, {"json": {"names": []}}),
    }


def document(served: Running) -> dict[str, Any]:
    values: dict[str, Any] = requests.get(f"{served.address}v1/openapi.json", timeout=30).json()
    return values


def operations(served: Running) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, item in document(served)["paths"].items() for method in item]


def test_every_operation_answers_what_the_document_says(served: Running, digits: Path, file: bytes) -> None:
    kept = served.service.gallery.keep_unknown(
        served.service.gallery.predict(sorted((digits / "test" / "digit 4").iterdir())[:2], threshold=1.0)
    )
    given = requests_of(file, kept[0].name)
    assert sorted(given) == sorted(operations(served))
    for (method, path), (kind, options) in given.items():
        if path.endswith("discard"):
            options["json"]["names"] = [kept[1].name]
        address = served.address.rstrip("/") + path.format(number=1, name=kept[1].name)
        answer = requests.request(method, address, timeout=30, **options)
        if kind is None:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), path
            size = 480 if path.endswith("preview") else 160
            assert Image.open(io.BytesIO(answer.content)).size == (size, size)
        else:
            values = checked(kind, answer)
            assert json.dumps(values, allow_nan=False), path


def references_in(values: Any) -> Iterator[str]:
    if isinstance(values, dict):
        yield from [values["$ref"]] if "$ref" in values else []
        values = list(values.values())
    if isinstance(values, list):
        for part in values:
            yield from references_in(part)


def test_the_document_is_whole(served: Running) -> None:
    whole = document(served)
    assert whole["openapi"].startswith("3.1.")
    assert set(whole["info"]) >= {"title", "version"}
    for reference in references_in(whole):
        place: Any = whole
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
        assert place["type"] == "object", reference
    names = [operation["operationId"] for item in whole["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    for path, item in whole["paths"].items():
        for operation in item.values():
            assert {"200", "401", "422", "503"} <= set(operation["responses"]), path
            assert all("description" in response for response in operation["responses"].values())
            written = [name.strip("{}") for name in path.split("/") if name.startswith("{")]
            named = [(part["name"], part["in"]) for part in operation.get("parameters", [])]
            assert len(named) == len(set(named))
            assert written == [name for name, where in named if where == "path"], path


def test_the_document_shows_right_examples(served: Running) -> None:
    """Every example that is given for an answer has the type that it is an example of."""
    for name, schema in document(served)["components"]["schemas"].items():
        kind = getattr(answers, name, None)
        for field, about in schema["properties"].items() if kind else []:
            for example in about.get("examples", []):
                part = kind.model_fields[field if field in kind.model_fields else f"{field}_"]
                assert isinstance(
                    example, get_origin(part.annotation) or part.annotation
                ) or part.annotation is not type(example)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "text"),
    [
        ("GET", "/v2/labels", 404, "no_such_address", "GET /v2/labels: Not Found: see /v1/openapi.json"),
        ("GET", "/v1/labels/", 404, "no_such_address", "see /v1/openapi.json"),
        ("GET", "/static/none.js", 404, "no_such_address", "see /v1/openapi.json"),
        ("GET", "/docs", 404, "no_such_address", "see /v1/openapi.json"),
        ("DELETE", "/v1/gallery", 405, "method", "DELETE /v1/gallery: Method Not Allowed: see /v1/openapi.json"),
        ("GET", "/v1/predict", 405, "method", "Method Not Allowed"),
        ("POST", "/healthz", 405, "method", "Method Not Allowed"),
        ("GET", "/v1/images/9999/thumbnail", 404, "no_image", "image 9999: has no picture here"),
        ("GET", "/v1/images/-1/thumbnail", 404, "no_image", "image -1: has no picture here"),
        ("GET", f"/v1/images/{'9' * 30}/thumbnail", 404, "no_image", "has no picture here"),
        ("GET", "/v1/images/%D9%A3/thumbnail", 404, "no_image", "has no picture here"),
        ("GET", "/v1/unknown/none.png/thumbnail", 404, "no_image", "none.png: no kept image of this name"),
        ("GET", "/v1/gallery?x=1", 422, "options", "x: Extra inputs are not permitted"),
        ("GET", "/v1/gallery/images", 422, "options", "label: Field required"),
        ("GET", "/v1/gallery/images?label=none", 422, "gallery", "label='none': is not in the gallery"),
        ("GET", "/v1/gallery/log?most=0", 422, "options", "most: Input should be greater than or equal to 1"),
        ("POST", "/v1/gallery/rename", 415, "content_type", "Content-Type: expected application/json, got none"),
        ("POST", "/v1/predict", 415, "content_type", "expected multipart/form-data with files named image"),
    ],
)
def test_what_is_not_done_is_told_in_one_form(
    served: Running, method: str, path: str, status: int, code: str, text: str
) -> None:
    answer = requests.request(method, served.address.rstrip("/") + path, timeout=30)
    error = ErrorAnswer.model_validate(answer.json(), strict=True).error
    assert (answer.status_code, error.code) == (status, code)
    assert text in error.message
    assert "\n" not in error.message
    assert answer.headers["x-request-id"]


def test_undo_of_what_cannot_be_undone_is_a_conflict(served: Running) -> None:
    answer = requests.post(f"{served.address}v1/gallery/undo", json={"change": 99}, timeout=30)
    error = ErrorAnswer.model_validate(answer.json(), strict=True).error
    assert (answer.status_code, error.code) == (409, "history")
    assert error.message == "change 99: there is none of that number; they go from 1 to 1"


def test_no_answer_says_where_the_gallery_is(served: Running, file: bytes) -> None:
    place = str(served.service.gallery.path)
    asked = f"{served.address}v1/predict"
    made = requests.post(asked, data=file, headers={"Content-Type": "image/png"}, timeout=30)
    assert (made.json()["bundle"], place in made.text) == ("shop", False)
    for verb, values, text in (
        ("rename", {"label": "leek", "to": "x"}, "shop: has no label 'leek'"),
        ("remove", {"image": [999]}, "remove: image=999 is not in shop: gallery list label=<label> shows"),
    ):
        refused = requests.post(f"{served.address}v1/gallery/{verb}", json=values, timeout=30)
        assert refused.json()["error"]["message"].startswith(text)


def test_several_labels_are_taken_out_in_one_change(served: Running) -> None:
    for verb, number in (("remove", 2), ("forget", 3)):
        values = {"label": ["digit 1", "digit 2"]}
        done = requests.post(f"{served.address}v1/gallery/{verb}", json=values, timeout=30)
        assert done.json() == {"change": number, "images": 20}
    for label in ([], [""], 3, ["x"] * 10_001):
        wrong = requests.post(f"{served.address}v1/gallery/remove", json={"label": label}, timeout=30)
        assert wrong.json()["error"]["code"] == "options"


def test_the_log_is_read_part_by_part(served: Running) -> None:
    for number in range(4):
        served.service.gallery.rename("digit 1" if number == 0 else f"{number - 1}", f"{number}")
    address = f"{served.address}v1/gallery/log"
    parts = [
        [change["number"] for change in requests.get(f"{address}?{part}", timeout=30).json()["changes"]]
        for part in ("most=2", "most=2&before=4", "most=2&before=2", "most=2&before=1")
    ]
    assert parts == [[5, 4], [3, 2], [1], []]
    assert requests.get(f"{address}?before=0", timeout=30).status_code == 422
    whole = requests.get(address, timeout=30).json()["changes"]
    assert requests.get(f"{address}?before=5", timeout=30).json()["changes"] == whole[1:]


def lines_of(caplog: pytest.LogCaptureFixture) -> dict[str, dict[str, Any]]:
    return {line["path"]: line for line in (json.loads(record.getMessage()) for record in caplog.records)}


def test_the_log_says_why_and_has_no_probes(
    served: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(service: Service) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/shop/x")

    monkeypatch.setattr(LOG, "propagate", True)
    monkeypatch.setattr(Service, "labels", full)
    with caplog.at_level(logging.INFO, logger=LOG.name):
        for path in (
            "healthz",
            "readyz",
            "metrics",
            "v1/labels",
            "v1/gallery/images?label=x",
            "v1/no",
            "static/main.js",
        ):
            requests.get(f"{served.address}{path}", timeout=30)
        requests.post(f"{served.address}v1/gallery/undo", json={"change": 99}, timeout=30)
        figures = requests.get(f"{served.address}metrics", timeout=30).text
    lines = lines_of(caplog)
    assert set(lines) == {"/v1/labels", "/v1/gallery/images", "/v1/no", "/static/main.js", "/v1/gallery/undo"}
    assert [lines["/v1/labels"][name] for name in ("code", "system", "errno")] == ["store", "OSError", errno.ENOSPC]
    assert (lines["/v1/no"]["code"], lines["/v1/gallery/undo"]["code"]) == ("no_such_address", "history")
    assert "code" not in lines["/static/main.js"]
    for route, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/static", 200), ("other", 404)):
        assert f'requests_total{{method="GET",route="{route}",status="{status}"}} ' in figures


def test_a_fault_is_told_without_its_text(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("a secret of the programmer")

    monkeypatch.setattr(Gallery, "labels", property(lambda gallery: fails()))
    monkeypatch.setattr(type(served.service), "labels", lambda service: fails())
    answer = requests.get(f"{served.address}v1/labels", timeout=30)
    error = ErrorAnswer.model_validate(answer.json(), strict=True).error
    assert (answer.status_code, error.code) == (500, "fault")
    assert "secret" not in answer.text
    assert requests.get(f"{served.address}v1/gallery/log", timeout=30).status_code == 200


def test_files_of_the_page_are_sent_once(served: Running) -> None:
    whole = requests.get(served.address, timeout=30)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert whole.headers["cache-control"] == "no-cache"
    again = requests.get(served.address, headers={"If-None-Match": whole.headers["etag"]}, timeout=30)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", whole.headers["etag"])
    assert requests.get(served.address, headers={"If-None-Match": '"other"'}, timeout=30).content == whole.content
    assert requests.head(served.address, timeout=30).headers["etag"] == whole.headers["etag"]


def test_an_image_as_the_whole_body(served: Running, file: bytes) -> None:
    headers = {"Content-Type": "image/png"}
    address = f"{served.address}v1/predict?k=2&name=folder/new.png"
    made = checked(answers.PredictAnswer, requests.post(address, data=file, headers=headers, timeout=30))
    assert made["items"][0]["image"] == "new.png"
    form = requests.post(f"{served.address}v1/predict", **sent(file, k="2"), timeout=30)
    assert checked(answers.PredictAnswer, form)["items"] == made["items"]


def test_an_image_is_named_as_the_gallery_names_it(served: Running, digits: Path) -> None:
    file = sorted((digits / "test" / "digit 0").iterdir())[2]
    answer = requests.post(f"{served.address}v1/predict?k=3", files={"image": file.open("rb")}, timeout=30)
    made = checked(answers.PredictAnswer, answer)
    expected = served.service.gallery.predict([file], 3).to_dict()
    assert made["items"][0]["image"] == file.name
    for name in ("fingerprint", "k", "precision"):
        assert made[name] == expected[name]
    assert [(near["number"], near["similarity"]) for near in made["items"][0]["neighbours"]] == [
        (near["number"], near["similarity"]) for near in expected["items"][0]["neighbours"]
    ]


def test_limits_are_told(digit_gallery: Gallery) -> None:
    with running(digit_gallery, "max_images=5", "max_megabytes=2") as service:
        about = checked(answers.GalleryAnswer, requests.get(f"{service.address}v1/gallery", timeout=30))
    assert (about["schema"], about["max_images"], about["max_bytes"], about["right"]) == (1, 5, 2_000_000, "write")


def test_alive_ready_and_figures(served: Running) -> None:
    assert requests.get(f"{served.address}healthz", timeout=30).json() == {"status": "alive"}
    assert requests.get(f"{served.address}readyz", timeout=30).json() == {"status": "ready", "images": 50}
    assert "lookalike_gallery_images 50.0" in requests.get(f"{served.address}metrics", timeout=30).text


def test_every_address_is_counted_by_its_name(served: Running) -> None:
    for address in ("healthz", "readyz", "metrics", "", "static/colours.css"):
        assert requests.get(f"{served.address}{address}", timeout=30).status_code == 200
        assert requests.head(f"{served.address}{address}", timeout=30).status_code == 200
        text = requests.get(f"{served.address}metrics", timeout=30).text
        route = "/" + address.partition("/")[0]  # all files of the page are one
        assert f'lookalike_requests_total{{method="GET",route="{route}",status="200"}}' in text
    assert 'route="other"' not in text


def test_answers_are_encoded_beside_the_loop(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    encode = app_module._json
    monkeypatch.setattr(app_module, "_json", lambda values: threads.append(current_thread().name) or encode(values))
    embeddings = np.eye(served.service.encoder.size)[:2].tolist()
    requests.post(f"{served.address}v1/search", json={"embeddings": embeddings}, timeout=30).raise_for_status()
    requests.get(f"{served.address}v1/gallery/health", timeout=30).raise_for_status()
    requests.get(f"{served.address}v1/unknown/groups", timeout=30).raise_for_status()
    assert [name.partition("_")[0] for name in threads] == ["asking", "asking", "grouping"]
