"""What a notebook shows of every object: its figures and pictures, with every name as text."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from browser import Elements, needs_browser, opened, stands_alone
from lookalike import Assessment, Dataset, Gallery, Model, audit

Objects = dict[str, object]


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> Model:
    return Model.load(bundle_path, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def objects(model: Model, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    files = sorted((digits / "test").rglob("*.png"))[:12]
    gallery = Gallery.create(tmp_path_factory.mktemp("notebook") / "gallery", model)
    gallery.add(files)
    predictions = gallery.predict(files, k=3)
    assessment = model.evaluate(digits)
    return {
        "model": model,
        "dataset": Dataset(digits),
        "gallery": gallery,
        "predictions": predictions,
        "prediction": predictions[0],
        "assessment": assessment,
        "identification": assessment.identification,
        "result": assessment.identification.result,
        "audit": audit(digits),
    }


def pictures_of(snippet: str) -> list[np.ndarray]:
    encoded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', snippet)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR) for jpeg in encoded]


@pytest.mark.parametrize(
    ("name", "text", "pictures"),
    [
        ("model", "knows 50 images of 5 labels", 0),
        ("dataset", "(50 train, 20 validation, 20 test), 5 labels", 5),
        ("gallery", "12 images of 3 labels", 3),
        ("predictions", "12 images by", 10 * 4),
        ("prediction", "similarity", 4),
        ("assessment", "on validation, 20 queries", 3 * 7),
        ("identification", "20 queries, 50 references", 0),
        ("result", "20 queries, 50 references", 0),
        ("audit", "90 images", None),
    ],
)
def test_an_object_shows_its_figures_and_pictures(objects: Objects, name: str, text: str, pictures: int | None) -> None:
    short, snippet = repr(objects[name]), objects[name]._repr_html_()  # type: ignore[attr-defined]
    assert "\n" not in short
    assert len(short) < 300
    assert text in snippet
    assert stands_alone(snippet)
    assert not {"script", "body", "html"} & set(Elements(snippet).tags)
    shown = pictures_of(snippet)
    assert all(picture is not None for picture in shown)
    assert pictures is None or len(shown) == pictures


def test_figures_are_those_of_the_result(objects: Objects) -> None:
    assessment = objects["assessment"]
    assert isinstance(assessment, Assessment)
    rows = Elements(assessment._repr_html_()).tables[0]
    assert rows[0] == ["metric", "value", "95 % interval"]
    assert {name: value for name, value, _ in rows[1:]} == {
        name: f"{value:.4f}" for name, value in assessment.metrics.items()
    }


def test_more_than_a_notebook_can_show_is_counted(objects: Objects, model: Model, digits: Path) -> None:
    assert "the first 10" in objects["predictions"]._repr_html_()  # type: ignore[attr-defined]
    few = model.predict(sorted((digits / "test").rglob("*.png"))[:2], k=2)
    assert "the first" not in few._repr_html_()


def test_names_are_text_and_what_cannot_be_read_leaves_a_gap(model: Model, digits: Path, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    with Gallery.create(tmp_path / "gallery", model) as gallery:
        gallery.add(next((digits / "test").rglob("*.png")), labels=hostile)
        broken = tmp_path / "broken <b>.jpg"
        broken.write_bytes(b"no image")
        predictions = gallery.predict([broken, next((digits / "test").rglob("*.png"))], k=1)
        for snippet in (gallery._repr_html_(), predictions._repr_html_()):
            assert hostile not in snippet
            assert "&lt;img src=x onerror=alert(1)&gt;" in snippet
        assert "no picture" in predictions._repr_html_()
        assert "<b>.jpg" not in predictions._repr_html_()


def test_an_empty_gallery_shows_that_it_is(model: Model, tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "gallery", model) as gallery:
        assert "0 images of 0 labels" in gallery._repr_html_()


def test_a_box_is_shown_alone(model: Model, tmp_path: Path) -> None:
    """Of a table with boxes only the part that was embedded is shown, here and in the picture of the worst queries."""
    sheet = np.zeros((40, 80, 3), np.uint8)
    sheet[:, :40], sheet[:, 40:] = (250, 0, 0), (0, 0, 250)
    lines = ["path,label,split,x1,y1,x2,y2"]
    for split in ("train", "validation"):
        Image.fromarray(sheet + (split == "train")).save(tmp_path / f"{split}.png")  # no copy of the other
        lines += [f"{split}.png,{label},{split},{left},0,{left + 40},40" for label, left in (("a", 0), ("b", 40))]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    data = Dataset(tmp_path / "rows.csv")
    for picture in pictures_of(data._repr_html_()):
        blue, green, red = picture.reshape(-1, 3).mean(0)
        assert max(blue, red) > 200
        assert min(blue, red) < 40
        assert green < 40
    assessment = model.evaluate(data)
    _, _, file = assessment.write(tmp_path / "report.json", worst=2)
    drawn = np.asarray(Image.open(file).convert("RGB"), int)
    halves = [(abs(drawn - color).max(2) < 60).sum() for color in ((250, 0, 0), (0, 0, 250))]
    assert min(halves) > 10_000
    for picture in pictures_of(assessment._repr_html_()):
        assert picture.reshape(-1, 3).mean(0).max() > 200


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_snippets_open_in_a_browser(objects: Objects, tmp_path: Path, dark: bool) -> None:
    page = tmp_path / "notebook.html"
    snippets = [shown._repr_html_() for shown in objects.values()]  # type: ignore[attr-defined]
    page.write_text("<!doctype html><meta charset=utf-8><body>" + "".join(snippets) + "</body>")
    assert opened(page, tmp_path, dark=dark).count('<div class="lookalike">') == len(objects)
