"""What a service does with its gallery, as plain values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike import Gallery
from lookalike.data.images import ImageError
from lookalike.gallery.rows import ReplacedError
from lookalike.inference.references import GalleryError
from lookalike.serving import options as options_of
from lookalike.serving.figures import Figures
from lookalike.serving.service import Service
from lookalike.serving.uploads import Upload
from lookalike.serving.work import BusyError
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


def test_it_is_not_ready_before_it_is_warm(digit_gallery: Gallery) -> None:
    service = Service(digit_gallery, Figures())
    with pytest.raises(BusyError, match="it is being loaded: ask again in a second"):
        service.ready()
    service.warm_up()
    assert service.ready() == 50
    service.close()


def test_an_empty_gallery_becomes_warm(digit_gallery: Gallery, files: list[bytes]) -> None:
    for label in digit_gallery.labels:
        digit_gallery.remove(label=label)
    service = Service(digit_gallery, Figures())
    service.warm_up()
    assert service.ready() == 0
    assert service.labels() == {"labels": []}
    assert service.about()["images"] == 0
    with pytest.raises(GalleryError, match="is empty, so there is nothing to find: add images first"):
        service.predict(upload(files[0]), options_of.PredictOptions())
    with pytest.raises(GalleryError, match="is empty"):
        service.health()
    made = service.add(files[:1], ["a.png"], options_of.AddOptions(label="a"))
    assert (made["images"], service.predict(upload(files[0]), options_of.PredictOptions())["items"][0]["label"]) == (
        1,
        "a",
    )
    service.close()


def test_images_are_named_as_they_were_sent(service: Service, files: list[bytes]) -> None:
    made = service.predict(upload(files[0], b"none", files[1]), options_of.PredictOptions(k=2))
    assert [item["image"] for item in made["items"]] == ["0.png", "1.png", "2.png"]
    assert made["items"][1]["error"].startswith("1.png: not an image, whatever its name says")
    made = service.embed([files[0], b"none"], ["a.png", "b.png"], options_of.EmbedOptions())
    assert made["items"][1]["error"].startswith("b.png: not an image")
    made = service.add([files[0], b"none"], ["a.png", "a.png"], options_of.AddOptions(label="x"))
    assert made["numbers"] == [51, 0]
    assert [(error["place"], error["image"]) for error in made["errors"]] == [(1, "a.png")]


@pytest.mark.parametrize("count", [1, 3])
def test_none_that_can_be_used_is_an_error(count: int, service: Service) -> None:
    text = "^0.png: not an image" if count == 1 else "^none of 3 images can be used; first: 0.png: not an image"
    images = [b"none"] * count
    with pytest.raises(ImageError, match=text):
        service.predict(upload(*images), options_of.PredictOptions())
    with pytest.raises(ImageError, match=text):
        service.embed(images, upload(*images).names, options_of.EmbedOptions())
    with pytest.raises(ImageError, match=text):
        service.add(images, upload(*images).names, options_of.AddOptions(label="x"))
    assert service.about()["gallery_version"] == 1


def test_all_or_nothing(service: Service, files: list[bytes]) -> None:
    options = options_of.AddOptions(label="x", all_or_nothing=True)
    with pytest.raises(GalleryError, match=r"1 of 2 images cannot be used, so none was added:\n  b\.png: not an image"):
        service.add([files[0], b"none"], ["a.png", "b.png"], options)
    assert "x" not in service.gallery.labels


def test_a_page_of_images_reads_no_others(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = service.gallery._store
    read: list[int] = []
    facts = store.described
    monkeypatch.setattr(store, "described", lambda images: read.extend(images) or facts(images))
    made = service.images(options_of.ImagesOptions(label="digit 2", first=4, most=3))
    whole = service.gallery.images("digit 2")
    assert (made["total"], made["items"]) == (10, [vars(image) for image in whole[4:7]])
    assert read[:3] == [image.number for image in whole[4:7]]
    assert len(read) == 3 + 10
    assert service.images(options_of.ImagesOptions(label="digit 2", first=10)) == {"total": 10, "items": []}


def test_changes_have_numbers_and_nothing_has_none(service: Service) -> None:
    assert service.rename(options_of.RenameOptions(label="digit 1", to="one", note="x")) == {"change": 2, "images": 10}
    assert service.move(options_of.MoveOptions(image=[3, 4], to="two")) == {"change": 3, "images": 2}
    assert service.move(options_of.MoveOptions(image=[3, 4], to="two")) == {"change": None, "images": 0}
    assert service.merge(options_of.MergeOptions(labels=["two"], to="one")) == {"change": 4, "images": 2}
    assert service.remove(options_of.RemoveOptions(image=[5, 6])) == {"change": 5, "images": 2}
    assert service.undo(options_of.UndoOptions(change=5)) == {"change": 6, "images": 2}
    assert service.forget(options_of.RemoveOptions(label="one")) == {"change": 7, "images": 12}
    for options in (options_of.RemoveOptions(), options_of.RemoveOptions(label="digit 0", image=[1])):
        with pytest.raises(GalleryError, match="remove: expected one of label=, image= and source=: give exactly one"):
            service.remove(options)
    told = service.log(2)["changes"]
    assert [change["action"] for change in told] == ["forget", "undo"]
    assert told[1]["moves"] == [{"before": None, "after": "digit 0", "images": 2}]


def test_every_answer_is_plain(service: Service, files: list[bytes]) -> None:
    made = [
        service.about(),
        service.labels(),
        service.log(5),
        service.health(),
        service.predict(upload(files[0]), options_of.PredictOptions(false_accept_rate=0.1)),
    ]
    for values in made:
        assert json.loads(json.dumps(values, allow_nan=False)) == json.loads(json.dumps(values))
    assert not any("bundle" in name or name == "network" for name in made[0]["model"])


def test_unknown_images_are_counted_by_day_where_a_limit_was_given(service: Service, files: list[bytes]) -> None:
    service.predict(upload(*files[:3]), options_of.PredictOptions())
    assert service.health()["days"] == []
    service.predict(upload(*files[:3], b"none"), options_of.PredictOptions(threshold=1.0))
    service.predict(upload(files[0]), options_of.PredictOptions(threshold=-1.0))
    (day,) = service.health()["days"]
    assert (day["images"], day["unknown"]) == (4, 3)


def test_counts_stay_when_it_is_closed(digit_gallery: Gallery, files: list[bytes], tmp_path: Path) -> None:
    service = Service(digit_gallery, Figures())
    service.predict(upload(*files[:3]), options_of.PredictOptions(threshold=1.0))
    service.close()
    assert list(json.loads((tmp_path / "shop" / "days.json").read_text()).values()) == [[3, 3]]


def test_kept_unknown_images(service: Service, files: list[bytes]) -> None:
    options = options_of.PredictOptions(threshold=1.0, keep_unknown=True)
    made = service.predict(upload(*files[:3]), options)
    assert len(made["kept"]) == 3
    assert service.enrol_unknown(options_of.EnrolUnknownOptions(names=made["kept"][:2], label="new")) == {
        "change": 2,
        "images": 2,
    }
    assert service.discard_unknown(options_of.DiscardUnknownOptions(names=made["kept"][2:])) == {
        "change": None,
        "images": 1,
    }


def test_thumbnails(service: Service) -> None:
    assert service.thumbnail(1).startswith(b"\xff\xd8")
    assert service.thumbnail(10**9) == b""


def test_what_fails_at_the_end_and_is_asked_again_is_counted_once(
    service: Service, files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, cameras = [1], Gallery.cameras

    def replaced(gallery: Gallery, numbers: Any) -> Any:
        if failing:
            failing.pop()
            raise ReplacedError("another model")
        return cameras(gallery, numbers)

    monkeypatch.setattr(Gallery, "cameras", replaced)
    before = service.figures.text()
    service.kept.call(lambda: service.predict(upload(*files[:3]), options_of.PredictOptions(threshold=1.0)))
    (day,) = service.health()["days"]
    assert (failing, day["images"], day["unknown"]) == ([], 3, 3)
    assert (counted(service.figures.text()) - counted(before)) == 3


def counted(text: bytes) -> float:
    line = next(line for line in text.decode().splitlines() if line.startswith("lookalike_images_total"))
    return float(line.split()[1])


def test_images_that_cannot_be_used_are_not_counted(service: Service, files: list[bytes]) -> None:
    before = counted(service.figures.text())
    service.predict(upload(files[0], b"none"), options_of.PredictOptions())
    service.embed([files[0], b"none"], ["a.png", "b.png"], options_of.EmbedOptions())
    service.add([files[0], b"none"], ["a.png", "b.png"], options_of.AddOptions(label="x"))
    assert counted(service.figures.text()) - before == 3


def test_what_should_be_looked_at_is_found_once_for_each_state(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    health = Gallery.health
    monkeypatch.setattr(Gallery, "health", lambda gallery: asked.append(1) or health(gallery))
    assert service.health() == service.health()
    assert len(asked) == 1
    service.remove(options_of.RemoveOptions(image=[1]))
    assert service.health()["images"] == 49
    assert len(asked) == 2


def test_more_neighbours_than_an_answer_holds_are_refused(service: Service) -> None:
    rows = np.eye(16)[[0] * 101].tolist()
    with pytest.raises(
        GalleryError, match=r"at most 100000 neighbours in one answer, asked for 101 x k=1000: send at most 100 "
    ):
        service.search(options_of.SearchOptions(embeddings=rows, k=1000))
    assert len(service.search(options_of.SearchOptions(embeddings=rows[:100], k=1000))["items"]) == 100


def test_a_label_that_differs_in_case_is_told_with_what_was_enrolled(service: Service, digits: Path) -> None:
    first, second, *_ = sorted((digits / "test").rglob("*.png"))
    made = service.add([first.read_bytes()], ["a.png"], options_of.AddOptions(label="DIGIT 1"))
    [note] = made["notes"]
    assert "2 labels differ only in blanks, case, Unicode form" in note
    assert "DIGIT 1" in note
    assert service.add([second.read_bytes()], ["b.png"], options_of.AddOptions(label="digit 1"))["notes"] == [note]
    service.undo(options_of.UndoOptions(change=2))
    assert service.add([second.read_bytes()], ["b.png"], options_of.AddOptions(label="digit 1"))["notes"] == []


def test_a_gallery_that_was_removed_is_not_ready(service: Service) -> None:
    service.warm_up()
    assert service.ready() == 50
    assert isinstance(service.gallery.path, Path)
    for file in service.gallery.path.glob("gallery.sqlite*"):
        file.unlink()
    with pytest.raises(ReplacedError, match="was removed or replaced meanwhile"):
        service.ready()


def test_labels_are_called_right_until_they_are_others(service: Service) -> None:
    service.move(options_of.MoveOptions(image=1, to="digit 1"))
    doubted = [doubt["number"] for doubt in service.health()["doubts"]]
    assert doubted, "the network is not that good"
    made = service.confirm(options_of.ConfirmOptions(image=doubted))
    assert made == {"change": 3, "images": len(doubted)}
    assert service.health()["doubts"] == []
    assert service.confirm(options_of.ConfirmOptions(image=doubted[0])) == {"change": None, "images": 0}
    assert service.log(1)["changes"][0]["described"] == len(doubted)
    service.undo(options_of.UndoOptions(change=3))
    assert [doubt["number"] for doubt in service.health()["doubts"]] == doubted


def test_columns_of_an_image_that_is_there_are_told(service: Service, files: list[bytes]) -> None:
    service.add(files[:1], ["a.png"], options_of.AddOptions(label="new"))
    given = options_of.AddOptions(label="new", camera=3, columns={"shelf": "B3"})
    made = service.add(files[:1], ["a.png"], given)
    assert (made["images"], made["described"], made["change"]) == (0, 1, 3)
    made = service.add(files[:1], ["a.png"], given)
    assert (made["images"], made["described"], made["change"]) == (0, 0, None)
    (image,) = service.images(options_of.ImagesOptions(label="new"))["items"]
    assert (image["camera"], image["columns"]) == (3, {"shelf": "B3"})
