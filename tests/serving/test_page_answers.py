"""What the page asks of a service besides `lookalike predict`, and the files that it is made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lookalike import Gallery, Model
from lookalike.serving import answers
from opened_page import shop_of
from services import Running, running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, produce: Path) -> Iterator[Running]:
    model = Model.pretrained("efficientnet_lite0")
    place = shop_of(produce, model, tmp_path_factory.mktemp("closed") / "shop", ("Leek", "Kiwi"))
    gallery = Gallery.open(place, model)
    gallery.add(sorted((produce / "train" / "Banana").iterdir())[:2], "Banana", camera=3)
    gallery.rename("Leek", "Porree")
    (place / "unknown").mkdir()
    file = sorted((produce / "train" / "Watermelon").iterdir())[0]
    (place / "unknown" / file.name).write_bytes(file.read_bytes())
    with running(gallery) as service:
        yield service


def test_neighbours_tell_their_camera_where_it_is_known(shop: Running, produce: Path) -> None:
    file = sorted((produce / "train" / "Banana").iterdir())[5]
    made = requests.post(f"{shop.address}v1/predict", params={"k": 10}, files={"image": file.open("rb")}).json()
    answers.PredictAnswer.model_validate(made, strict=True)
    cameras = {(near["label"], near.get("camera", "none")) for near in made["items"][0]["neighbours"]}
    assert cameras == {("Banana", 3), ("Kiwi", "none"), ("Porree", "none")}
    embedded = requests.post(f"{shop.address}v1/embed", files={"image": file.open("rb")}).json()["items"][0]
    found = requests.post(f"{shop.address}v1/search", json={"embeddings": [embedded["embedding"]]}).json()
    answers.SearchAnswer.model_validate(found, strict=True)
    assert [near.get("camera") for near in found["items"][0]["neighbours"]][:2] == [3, 3]


def test_every_label_has_a_picture_and_every_change_its_moves(shop: Running) -> None:
    labels = requests.get(f"{shop.address}v1/labels").json()
    answers.LabelsAnswer.model_validate(labels, strict=True)
    assert labels["labels"] == [
        {"label": "Banana", "images": 2, "number": 9},
        {"label": "Kiwi", "images": 4, "number": 5},
        {"label": "Porree", "images": 4, "number": 1},
    ]
    health = requests.get(f"{shop.address}v1/gallery/health").json()
    answers.HealthAnswer.model_validate(health, strict=True)
    assert health["few"] == labels["labels"][:1]
    log = requests.get(f"{shop.address}v1/gallery/log").json()
    answers.LogAnswer.model_validate(log, strict=True)
    assert log["changes"][0]["moves"] == [{"before": "Leek", "after": "Porree", "images": 4}]
    assert log["changes"][1]["moves"] == [{"before": None, "after": "Banana", "images": 2}]
    about = requests.get(f"{shop.address}v1/gallery").json()
    answers.GalleryAnswer.model_validate(about, strict=True)
    assert about["unknown"] == 1


def test_an_empty_gallery_has_no_labels(tmp_path: Path) -> None:
    with running(Gallery.create(tmp_path / "shop", Model.pretrained("efficientnet_lite0"))) as service:
        assert requests.get(f"{service.address}v1/labels").json() == {"labels": []}


def test_the_files_of_the_page_are_asked_for_once(shop: Running) -> None:
    for name, kind in {
        "": "text/html",
        "static/main.js": "text/javascript",
        "static/colours.css": "text/css",
        "static/texts.ru.json": "application/json",
        "static/icon.svg": "image/svg+xml",
    }.items():
        answer = requests.get(shop.address + name)
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
        again = requests.get(shop.address + name, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert requests.get(f"{shop.address}static/../service.py").status_code == 404
