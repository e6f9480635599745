"""Kept unknown images: listed in groups, shown, enrolled, thrown away; by the names that are listed, and no others."""

import io
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import requests
from PIL import Image

from lookalike import Client, Gallery
from lookalike.inference.encoder import Encoder
from lookalike.inference.predict import Predictions
from lookalike.inference.references import GalleryError
from lookalike.parallel import cores
from lookalike.serving import unknowns as unknowns_module
from lookalike.serving.kept_figures import KeepLimits
from lookalike.serving.options import DiscardUnknownOptions, EnrolUnknownOptions
from lookalike.serving.refusals import RefusalError
from lookalike.serving.unknowns import Unknowns
from lookalike.serving.work import BusyError
from services import Running


@pytest.fixture
def unknowns(served: Running, client: Client, digits: Path) -> Unknowns:
    """Eight digits that are called unknown."""
    for label in ("digit 3", "digit 4"):
        client.predict(digits / "test" / label, threshold=1.0, keep_unknown=True)
    return served.service.unknowns


def names(unknowns: Unknowns) -> list[str]:
    made = unknowns.groups(2)
    return sorted([*made["alone"], *(name for group in made["groups"] for name in group["names"])])


def test_nothing_is_kept(served: Running) -> None:
    assert served.service.unknowns.groups(2) == {"total": 0, "groups": [], "alone": []}


def test_they_are_listed_in_groups(unknowns: Unknowns, served: Running) -> None:
    made = unknowns.groups(2)
    assert made["total"] == 8 == len(names(unknowns))
    for group in made["groups"]:
        assert len(group["names"]) >= 2
        assert group["nearest"] in served.service.gallery.labels
        assert -1 <= group["similarity"] <= 1
    assert unknowns.groups(8)["total"] == 8
    assert unknowns.groups(2) is unknowns.groups(2), "not made anew"


def test_their_pictures(unknowns: Unknowns) -> None:
    assert Image.open(io.BytesIO(unknowns.picture(names(unknowns)[0]))).size == (160, 160)


def test_some_are_enrolled(unknowns: Unknowns, served: Running) -> None:
    first, second, *others = names(unknowns)
    numbers = unknowns.enrol(
        served.service.gallery, EnrolUnknownOptions(names=[first, second, first], label="digit 5", note="new")
    )
    assert numbers == [51, 52]
    assert served.service.gallery.labels["digit 5"] == 2
    assert names(unknowns) == others
    served.service.gallery.remove(label="digit 5")
    assert served.service.gallery.log(2)[1].note == "new"


def test_some_are_thrown_away(unknowns: Unknowns, served: Running) -> None:
    first, second, *others = names(unknowns)
    folder = Path(served.service.gallery.path, "unknown")
    assert unknowns.discard(DiscardUnknownOptions(names=[first, second])) == 2
    assert names(unknowns) == others == sorted(file.name for file in folder.iterdir())


def test_one_that_is_gone_is_no_error_for_the_others(unknowns: Unknowns, served: Running) -> None:
    first, *others = names(unknowns)
    Path(served.service.gallery.path, "unknown", first).unlink()
    assert names(unknowns) == others
    with pytest.raises(RefusalError, match="no kept image of this name: see /v1/unknown"):
        unknowns.picture(first)


@pytest.mark.parametrize(
    "name",
    [
        "../gallery.sqlite",
        "..",
        ".",
        "",
        "/etc/passwd",
        "unknown/../../gallery.sqlite",
        "none.png",
        "..\\gallery.sqlite",
    ],
)
def test_no_name_leads_elsewhere(name: str, unknowns: Unknowns, served: Running) -> None:
    kept = names(unknowns)
    with pytest.raises(RefusalError, match="no kept image of this name") as raised:
        unknowns.discard(DiscardUnknownOptions.model_construct(names=[kept[0], name]))
    assert raised.value.status == 404
    with pytest.raises(RefusalError, match="no kept image of this name"):
        unknowns.enrol(served.service.gallery, EnrolUnknownOptions.model_construct(names=[name], label="x", note=""))
    with pytest.raises(RefusalError, match="no kept image of this name"):
        unknowns.picture(name)
    for written in (quote(name, safe=""), quote(name)):
        address = f"{served.address}v1/unknown/{written}/thumbnail"
        prepared = requests.Request("GET", address).prepare()
        prepared.url = address  # as it is
        assert requests.Session().send(prepared, timeout=30).status_code in (404, 405)
    assert names(unknowns) == kept, "nothing was thrown away"
    assert Path(served.service.gallery.path, "gallery.sqlite").is_file()


def keep(folder: Path, count: int) -> list[str]:
    """Small images of one colour each, the newest last; their names."""
    folder.mkdir(exist_ok=True)
    kept = []
    for number in range(count):
        file = folder / f"2026-05-04-{number:012x}.png"
        Image.new("RGB", (8, 8), (number * 20, 90, 200 - number * 20)).save(file)
        os.utime(file, (1e9 + number, 1e9 + number))
        kept.append(file.name)
    return kept


def test_an_image_is_embedded_once_whatever_is_enrolled(
    unknowns: Unknowns, served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, embedded = names(unknowns), list[str]()
    embed = Encoder.embed

    def counted(encoder: Encoder, images: Any, **options: Any) -> Any:
        embedded.extend(Path(image).name for image in images)
        return embed(encoder, images, **options)

    monkeypatch.setattr(Encoder, "embed", counted)
    served.service.gallery.rename("digit 1", "one")
    assert names(unknowns) == kept
    (new,) = keep(Path(served.service.gallery.path, "unknown"), 1)
    assert names(unknowns) == sorted([*kept, new])
    assert embedded == [new]


def test_groups_that_take_long_hold_up_no_other_request(
    unknowns: Unknowns, served: Running, client: Client, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun, made = threading.Event(), threading.Event(), unknowns_module.suggest

    def slow(*values: Any, **options: Any) -> Any:
        begun.set()
        assert go.wait(30)
        return made(*values, **options)

    monkeypatch.setattr(unknowns_module, "suggest", slow)
    count = 2 * cores() + 2
    with ThreadPoolExecutor(count) as askers:
        asked = [askers.submit(requests.get, f"{served.address}v1/unknown/groups", timeout=60) for _ in range(count)]
        try:
            assert begun.wait(30)
            sleep(0.3)  # until all of them wait
            assert client.predict(next((digits / "test").rglob("*.png"))).label
        finally:
            go.set()
        answers = [answer.result().json() for answer in asked]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["total"] == 8


def test_of_more_than_can_be_compared_the_newest_are_in_groups_and_all_can_be_thrown_away(
    unknowns: Unknowns, served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = keep(Path(served.service.gallery.path, "unknown"), 5)
    monkeypatch.setattr(unknowns_module, "MOST", 9)
    answer = requests.get(f"{served.address}v1/unknown/groups", timeout=30)
    assert answer.status_code == 200
    assert answer.json()["total"] == 13 == len(names(unknowns))
    assert answer.json()["alone"][-4:] == older[:4]
    assert unknowns.discard(DiscardUnknownOptions(names=older)) == 5
    assert not set(older) & set(names(unknowns))


def test_one_that_cannot_be_used_can_be_thrown_away(unknowns: Unknowns, served: Running) -> None:
    kept = names(unknowns)
    Path(served.service.gallery.path, "unknown", "2026-05-04-0123456789ab.png").write_bytes(b"none")
    assert unknowns.groups(2)["alone"][-1] == "2026-05-04-0123456789ab.png"
    unknowns.discard(DiscardUnknownOptions(names=["2026-05-04-0123456789ab.png"]))
    assert names(unknowns) == kept


def test_a_folder_is_looked_through_when_it_changed(
    unknowns: Unknowns, served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    listing = Gallery.unknown_files
    monkeypatch.setattr(Gallery, "unknown_files", lambda *given: looked.append(1) or listing(*given))
    folder = Path(served.service.gallery.path, "unknown")
    (folder / "later").mkdir()
    sleep(0.1)  # a time of the folder that is over
    first, *others = names(unknowns)
    looked.clear()
    for _ in range(3):
        unknowns.picture(first)
        assert served.service.about()["unknown"] == 8
    assert looked == []
    unknowns.discard(DiscardUnknownOptions(names=[first]))
    assert looked == []
    assert unknowns.count() == 7
    shutil.copy(folder / others[0], folder / "later" / "below.png")
    assert unknowns.count() == 8
    assert unknowns.picture("below.png")
    served.service.gallery.add(folder / others[0], "new")
    assert unknowns.count() == 7
    with pytest.raises(RefusalError, match="no kept image of this name"):
        unknowns.picture(others[0])


def test_a_service_that_ends_embeds_no_more(unknowns: Unknowns) -> None:
    unknowns.stop()
    with pytest.raises(BusyError, match="the service ends"):
        unknowns.groups(2)


def test_nothing_is_kept_of_an_enrolled_one(unknowns: Unknowns, served: Running) -> None:
    first, *_ = names(unknowns)
    unknowns.enrol(served.service.gallery, EnrolUnknownOptions(names=[first], label="new"))
    with pytest.raises(RefusalError, match="no kept image of this name"):
        unknowns.discard(DiscardUnknownOptions(names=[first]))


def unknown_images(gallery: Gallery, first: int, count: int) -> Predictions:
    pictures = np.random.default_rng(first).integers(0, 256, (count, 16, 16, 3), np.uint8)
    return gallery.predict_images(list(pictures), 1, threshold=1.0)


def test_however_many_keep_at_once_no_more_are_kept_than_may_be(digit_gallery: Gallery) -> None:
    unknowns = Unknowns(lambda: digit_gallery, None, KeepLimits(5, 10**9))
    asked = [unknown_images(digit_gallery, first, 2) for first in range(6)]
    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(lambda made: unknowns.keep(digit_gallery, made), asked))
    files = {file for part, _ in kept for file in part}
    assert files == set(digit_gallery.unknown_files())
    assert len(files) == 5
    assert sum(lost for _, lost in kept) == unknowns.figures(digit_gallery).not_kept == 7


def test_what_there_was_no_room_for_is_counted_where_another_image_fails(
    digit_gallery: Gallery, tmp_path: Path
) -> None:
    unknowns = Unknowns(lambda: digit_gallery, None, KeepLimits(1, 10**9))
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        Image.new("RGB", (16, 16), (number, 9, 9)).save(file)
    made = digit_gallery.predict_images(files, 1, threshold=1.0)
    files[2].unlink()
    with pytest.raises(GalleryError, match="1 unknown images cannot be kept, expected readable images"):
        unknowns.keep(digit_gallery, made)
    figures = unknowns.figures(digit_gallery)
    assert (figures.images, figures.not_kept) == (1, 1)
