"""The button that shows why a photograph is like an enrolled one, and the address behind it."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, expect

from browser import needs_browser
from lookalike import Client, Gallery, Model
from lookalike.serving import answers
from lookalike.serving.connection import ServiceError
from opened_page import one_browser, opened, shop_of
from services import Running, running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, produce: Path) -> Iterator[Running]:
    model = Model.pretrained("efficientnet_lite0")
    place = shop_of(produce, model, tmp_path_factory.mktemp("why") / "shop", ("Leek", "Kiwi"))
    with running(Gallery.open(place, model)) as service:
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with one_browser() as made:
        yield made


@pytest.fixture(scope="module")
def photograph(produce: Path) -> Path:
    return sorted((produce / "train" / "Kiwi").iterdir())[6]


def test_the_service_explains_a_similarity_by_regions(shop: Running, photograph: Path) -> None:
    with Client(shop.address) as client:
        near = client.predict(photograph, 1).neighbours[0]
        assert near.number is not None
        made = client.explain(photograph, near.number)
        with pytest.raises(ServiceError, match="has no image 99: predictions and gallery list tell the numbers"):
            client.explain(photograph, 99)
        part = client.explain(photograph, near.number, box=(0, 0, 90, 90))
    assert (made.method, made.image, made.other) == ("exact", str(photograph), near.source)
    assert made.similarity == pytest.approx(near.similarity, abs=1e-5)
    for regions in made.regions:
        assert float(regions.sum()) + made.constant == pytest.approx(made.similarity, abs=1e-3)
    assert part.similarity != pytest.approx(made.similarity, abs=1e-3)
    fields = {"data": {"number": str(near.number)}, "files": {"image": photograph.open("rb")}}
    answer = requests.post(f"{shop.address}v1/explain", timeout=30, **fields).json()
    answers.ExplainAnswer.model_validate(answer, strict=True)
    first, second = (np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg)))) for jpeg in answer["pictures"])
    assert first.shape == second.shape == (224, 224, 3)


@needs_browser
@pytest.mark.parametrize(
    ("language", "button", "said"), [("en-GB", "Why?", "Similarity"), ("ru-RU", "Почему?", "Сходство")]
)
def test_the_page_shows_why(
    browser: Browser, shop: Running, photograph: Path, language: str, button: str, said: str
) -> None:
    with opened(browser, shop.address, language=language, phone=language == "ru-RU") as page:
        card = page.ask(photograph)
        why = card.locator(".neighbours .why")
        expect(why.first).to_have_text(button)
        why.first.click()
        dialog = page.page.locator("#dialog")
        expect(dialog).to_be_visible()
        expect(dialog).to_contain_text(said)
        expect(dialog.locator(".pair img")).to_have_count(2)
        sizes = dialog.locator(".pair img").evaluate_all("images => images.map((image) => image.naturalWidth)")
        assert sizes == [224, 224]
        assert page.width_beyond() <= 0
        page.page.keyboard.press("Escape")
        expect(dialog).not_to_be_visible()
        expect(why.first).to_be_focused()
