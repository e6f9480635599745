"""What a service answers: the same JSON as `lookalike predict`, and the gallery's verbs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pydantic import BaseModel

from lookalike import Gallery, Model
from lookalike.serving import answers
from services import Running, running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.pretrained("efficientnet_lite0")


@pytest.fixture
def shop(tmp_path: Path, model: Model, produce: Path) -> Iterator[Running]:
    gallery = Gallery.create(tmp_path / "shop", model)
    for label in ("Kiwi", "Leek", "Banana"):
        gallery.add(sorted((produce / "train" / label).iterdir())[:4], label)
    with running(gallery) as service:
        yield service


def images(produce: Path, label: str, first: int, last: int) -> list[tuple[str, tuple[str, bytes, str]]]:
    files = sorted((produce / "train" / label).iterdir())[first:last]
    return [("image", (file.name, file.read_bytes(), "image/jpeg")) for file in files]


def checked(kind: type[BaseModel], answer: requests.Response) -> dict:
    assert answer.status_code == 200, answer.text
    kind.model_validate(answer.json(), strict=True)
    return answer.json()


def test_an_image_is_named_as_the_gallery_names_it(shop: Running, produce: Path) -> None:
    file = sorted((produce / "train" / "Kiwi").iterdir())[5]
    answer = requests.post(f"{shop.address}v1/predict", params={"k": 3}, files={"image": file.open("rb")})
    made = checked(answers.PredictAnswer, answer)
    expected = shop.service.gallery.predict([file], 3).to_dict()
    assert made["items"][0]["image"] == file.name
    assert made["items"][0]["neighbours"] == expected["items"][0]["neighbours"]
    assert {name: made[name] for name in ("fingerprint", "k", "bundle")} == {
        name: expected[name] for name in ("fingerprint", "k", "bundle")
    }
