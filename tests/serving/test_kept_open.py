"""A service goes on when another process gives its gallery another model."""

import gc
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import requests

from lookalike import Client, Gallery, Model, ServiceError
from lookalike.data.pixels import PixelSettings
from lookalike.gallery.rows import ReplacedError
from lookalike.inference.kept_network import keep_network
from lookalike.serving.guard import LOG
from lookalike.serving.kept_open import KeptOpen
from lookalike.serving.options import RenameOptions
from services import Running


class Another:
    """The same graph on images that are read otherwise: another model, which the gallery keeps in its folder."""

    def __init__(self, model: Model) -> None:
        assert model.bundle is not None
        self._graph = model.bundle.path
        pixels = PixelSettings(32, 32, "crop")
        self.encoder = replace(model.encoder, pixels=pixels, fingerprint="e" * 64, precision="float32")
        self.about = {"pretrained": "another", "precision": "float32"}

    def keep_network(self, folder: Path) -> None:
        assert keep_network(self.encoder, self._graph, folder)


def reembed(folder: Path, model: Model, another: Any) -> None:
    """As another process does it."""
    with Gallery.open(folder, model) as gallery:
        gallery.reembed(another, note="a better one")


@pytest.fixture
def another(digit_model: Model) -> Another:
    return Another(digit_model)


@pytest.fixture
def folder(digit_gallery: Gallery) -> Path:
    assert isinstance(digit_gallery.path, Path)
    return digit_gallery.path


def test_questions_and_changes_go_on(
    served: Running, client: Client, digit_model: Model, another: Another, folder: Path, digits: Path
) -> None:
    files = sorted((digits / "test").rglob("*.png"))
    before = client.predict(files)
    client.predict(files[0], false_accept_rate=0.2)
    reembed(folder, digit_model, another)
    after = client.predict(files)
    assert (before.fingerprint == digit_model.encoder.fingerprint, after.fingerprint) == (True, "e" * 64)
    with Gallery.open(folder) as own:
        assert [item.label for item in after] == [item.label for item in own.predict(files)]
    assert client.predict(files[0], false_accept_rate=0.2).label
    assert client.embed(files[:2]).shape == (2, 16)
    assert served.service.gallery.encoder.network.batch == 1


@pytest.mark.parametrize(
    "verb",
    [
        lambda client: client.rename("digit 1", "one"),
        lambda client: len(
            client.add(
                b"GIF89a\x08\x00\x08\x00\xf0\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x08"
                b"\x00\x08\x00\x00\x02\x07\x84\x8f\xa9\xcb\xed]\x00;",
                "gif",
            )
        ),
        lambda client: client.remove(image=3),
        lambda client: client.forget(image=3),
        lambda client: client.undo(1),
    ],
)
def test_a_change_is_made_once(verb: Any, client: Client, digit_model: Model, another: Another, folder: Path) -> None:
    client.labels  # noqa: B018 - asked before the gallery changes
    reembed(folder, digit_model, another)
    assert verb(client) >= 1
    assert [change.action for change in client.log()][1:] == ["reembed", "add"]
    assert client.last_change == 3


@pytest.mark.parametrize(
    "path", ["readyz", "metrics", "v1/labels", "v1/gallery/health", "v1/images/1/thumbnail", "v1/unknown"]
)
def test_every_address_goes_on(path: str, served: Running, digit_model: Model, another: Another, folder: Path) -> None:
    reembed(folder, digit_model, another)
    assert requests.get(served.address + path, timeout=30).status_code == 200


def test_many_clients_hear_nothing_of_it(
    served: Running, digit_model: Model, another: Another, folder: Path, digits: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = sorted((digits / "test").rglob("*.png"))
    failed: list[object] = []
    ended = threading.Event()

    def ask() -> None:
        client = Client(served.address)
        while not ended.is_set():
            try:
                assert client.predict(files[0], 3).label
                client.health()
            except Exception as error:
                failed.append(error)

    LOG.propagate = True
    with caplog.at_level(logging.INFO, logger=LOG.name):
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        reembed(folder, digit_model, another)
        assert Client(served.address).predict(files).fingerprint == "e" * 64
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    opened = [line for line in lines if "opened_again" in line]
    assert opened == [{"opened_again": "shop", "fingerprint": "e" * 64}], "once for all"


def test_a_gallery_that_cannot_be_opened_again_is_told(
    served: Running, client: Client, digit_model: Model, another: Another, folder: Path
) -> None:
    reembed(folder, digit_model, another)
    kept = next(folder.glob("model-*"))
    shutil.move(kept, folder / "elsewhere")
    answer = requests.get(f"{served.address}readyz", timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "store")
    assert "the gallery was replaced and cannot be opened again: " in error["message"]
    with pytest.raises(ServiceError, match="the gallery was replaced and cannot be opened again: "):
        client.rename("digit 1", "one")
    shutil.move(folder / "elsewhere", kept)
    assert client.rename("digit 1", "one") == 10, "it is tried again by the next request"


@pytest.fixture
def opened(digit_gallery: Gallery) -> Iterator[KeptOpen]:
    kept = KeptOpen(digit_gallery)
    yield kept
    kept.close()


def test_its_model_is_as_it_was_when_it_is_closed(digit_model: Model, digit_gallery: Gallery) -> None:
    network = digit_model.encoder.network
    assert network.batch == 2
    kept = KeptOpen(digit_gallery)
    assert kept.encoder.network.batch == digit_model.encoder.network.batch == 1
    kept.close()
    assert digit_model.encoder.network is network
    assert repr(digit_gallery).endswith(": closed)")


def test_other_errors_pass(opened: KeptOpen) -> None:
    def fails() -> None:
        raise KeyError("x")

    used = opened.gallery
    with pytest.raises(KeyError, match="x"):
        opened.call(fails)
    assert opened.gallery is used


def test_a_gallery_that_is_always_another_is_not_opened_for_ever(opened: KeptOpen) -> None:
    asked: list[int] = []

    def fails() -> None:
        asked.append(1)
        raise ReplacedError("again")

    with pytest.raises(ReplacedError, match="again"):
        opened.call(fails)
    assert len(asked) == 2


def test_a_gallery_on_a_server_without_its_model_is_closed(digit_gallery: Gallery, tmp_path: Path) -> None:
    digit_gallery.close()
    with Gallery.open(tmp_path / "shop") as gallery:
        gallery._store.about["model"] = "{}"
        with pytest.raises(ValueError, match="does not say which model made it: give bundle="):
            KeptOpen(gallery)
        assert repr(gallery).endswith(": closed)")


def test_the_number_of_a_change_is_told_when_another_thread_opens_the_gallery_again(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, kept = Gallery.rename, served.service.kept

    def renamed(gallery: Gallery, *given: Any, **options: Any) -> int:
        images = rename(gallery, *given, **options)
        thread = threading.Thread(target=kept._open_again)
        thread.start()
        thread.join()
        return images

    monkeypatch.setattr(Gallery, "rename", renamed)
    before = served.service.gallery
    assert Client(served.address).rename("digit 1", "one") == 10
    assert served.service.gallery is not before
    options = RenameOptions(label="one", to="two")
    assert kept.call(lambda: served.service.rename(options)) == {"change": 3, "images": 10}
    assert served.service.rename(RenameOptions(label="two", to="three"))["change"] == 4


def test_a_former_gallery_is_closed_when_its_last_call_ends(
    opened: KeptOpen,
    digit_gallery: Gallery,
    digit_model: Model,
    another: Another,
    folder: Path,
    digits: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside, go = threading.Event(), threading.Event()
    seen: list[Gallery] = []
    closed: list[Gallery] = []
    close = Gallery.close

    def slow() -> None:
        inside.set()
        assert go.wait(30)
        seen.extend([opened.gallery, *closed])

    thread = threading.Thread(target=opened.call, args=[slow])
    thread.start()
    assert inside.wait(30)
    reembed(folder, digit_model, another)
    monkeypatch.setattr(Gallery, "close", lambda gallery: closed.append(gallery) or close(gallery))
    file = next((digits / "test").rglob("*.png"))
    assert opened.call(lambda: opened.gallery.predict(file)).label
    assert opened.gallery is not digit_gallery
    go.set()
    thread.join()
    assert seen == [digit_gallery], "one gallery from the beginning to the end"
    assert closed == [digit_gallery]
    assert repr(digit_gallery).endswith(": closed)")
    assert opened.call(lambda: opened.gallery.predict(file)).label


def test_a_network_that_the_next_gallery_uses_is_not_closed(
    digit_gallery: Gallery, digit_model: Model, digits: Path
) -> None:
    given = digit_model.encoder
    kept = KeptOpen(digit_gallery)
    encoder = kept.encoder
    kept._open_again()
    assert repr(digit_gallery).endswith(": closed)")
    assert kept.encoder is encoder is digit_model.encoder
    assert kept.gallery.predict(next((digits / "test").rglob("*.png"))).label
    kept.close()
    assert digit_model.encoder is given


def test_nothing_holds_a_former_gallery(
    served: Running, client: Client, digit_model: Model, another: Another, folder: Path, digits: Path
) -> None:
    client.predict(next((digits / "test").rglob("*.png")))
    client.health()
    former = ref(served.service.gallery.references)
    reembed(folder, digit_model, another)
    client.health()
    client.predict(next((digits / "test").rglob("*.png")))
    served.service.kept.call(gc.collect)
    assert former() is None
