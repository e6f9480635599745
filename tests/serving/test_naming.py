"""What a service is asked about images, as plain values."""

from pathlib import Path

import pytest

from lookalike import Gallery
from lookalike.inference.references import GalleryError
from lookalike.serving import options as options_of
from lookalike.serving.figures import Figures
from lookalike.serving.kept_figures import KeepLimits
from lookalike.serving.service import Service
from lookalike.serving.uploads import Upload
from services import Running


@pytest.fixture
def service(served: Running) -> Service:
    return served.service


@pytest.fixture
def files(digits: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((digits / "test").rglob("*.png"))]


def upload(*images: bytes, folders: list[str] | None = None) -> Upload:
    names = [f"{place}.png" for place in range(len(images))]
    return Upload(list(images), names, folders or [""] * len(images), {})


def test_boxes_are_one_for_each_image(service: Service, files: list[bytes]) -> None:
    whole = service.embed(files[:1], ["a.png"], options_of.EmbedOptions())["items"][0]["embedding"]
    part = service.embed(files[:1], ["a.png"], options_of.EmbedOptions(boxes=[[0, 0, 4, 4]]))["items"][0]["embedding"]
    assert part != whole
    with pytest.raises(GalleryError, match="boxes: expected one for each of 1 images, got 2: null for a whole image"):
        service.predict(upload(files[0]), options_of.PredictOptions(boxes=[None, None]))


def test_what_there_is_no_room_for_is_not_kept(digit_gallery: Gallery, files: list[bytes]) -> None:
    service = Service(digit_gallery, Figures(), None, KeepLimits(2, 10**9))
    service.warm_up()
    options = options_of.PredictOptions(threshold=1.0, keep_unknown=True)
    made = service.predict(upload(*files[:3]), options)
    assert (len(made["kept"]), made["not_kept"]) == (2, 1)
    again = service.predict(upload(*files[:3]), options)
    assert (again["kept"], again["not_kept"]) == (made["kept"], 1), "those that are kept take no more room"
    figures = service.health()["kept"]
    assert (figures["images"], figures["most_images"], figures["not_kept"]) == (2, 2, 2)
    service.ready()
    text = service.figures.text().decode()
    assert "lookalike_unknown_kept_images 2.0" in text
    assert "lookalike_unknown_not_kept_total 2.0" in text
    service.enrol_unknown(options_of.EnrolUnknownOptions(names=made["kept"][:1], label="new"))
    assert service.predict(upload(files[2]), options)["not_kept"] == 0, "what is enrolled is not counted"
    service.close()


def test_a_folder_that_is_a_label_is_the_truth(service: Service, files: list[bytes]) -> None:
    folders = ["digit 0", " digit 0 ", "elsewhere", "", "digit 0"]
    made = service.predict(upload(*files[:4], b"none", folders=folders), options_of.PredictOptions())
    assert [item["truth"] for item in made["items"]] == ["digit 0", "digit 0", None, None, None]


def test_searching(service: Service) -> None:
    rows = service.gallery.references.embeddings[:2].tolist()
    made = service.search(options_of.SearchOptions(embeddings=rows, k=2))
    assert [item["neighbours"][0]["number"] for item in made["items"]] == [1, 2]
    with pytest.raises(GalleryError, match=r"embeddings: expected rows of one length, got \[2, 3\]: send whole ones"):
        service.search(options_of.SearchOptions(embeddings=[[1.0, 0.0], [1.0, 0.0, 0.0]]))
    with pytest.raises(GalleryError, match=r"expected finite values \[Q, 16\]"):
        service.search(options_of.SearchOptions(embeddings=[[1.0, 0.0]]))
    with pytest.raises(GalleryError, match=r"expected finite values \[Q, 16\]"):
        service.search(options_of.SearchOptions(embeddings=[[1e300] * 16]))


def test_a_preview_is_a_jpeg(service: Service, files: list[bytes]) -> None:
    assert service.preview(files[0], "a.png").startswith(b"\xff\xd8")
