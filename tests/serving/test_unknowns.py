"""Kept unknown images: listed in groups, shown, enrolled, thrown away; by the names that are listed, and no others."""

import io
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from PIL import Image

from lookalike import Client
from lookalike.serving.answers import DiscardUnknownOptions, EnrolUnknownOptions
from lookalike.serving.refusals import RefusalError
from lookalike.serving.unknowns import Unknowns
from services import Running


@pytest.fixture
def unknowns(served: Running, client: Client, digits: Path) -> Unknowns:
    """Eight digits that are called unknown."""
    for label in ("digit 3", "digit 4"):
        client.predict(digits / "test" / label, threshold=1.0, keep_unknown=True)
    return served.service.unknowns


def names(unknowns: Unknowns) -> list[str]:
    made = unknowns.groups(2)
    return sorted([*made["alone"], *(name for group in made["groups"] for name in group["images"])])


def test_nothing_is_kept(served: Running) -> None:
    assert served.service.unknowns.groups(2) == {"total": 0, "groups": [], "alone": []}


def test_they_are_listed_in_groups(unknowns: Unknowns, served: Running) -> None:
    made = unknowns.groups(2)
    assert made["total"] == 8 == len(names(unknowns))
    for group in made["groups"]:
        assert len(group["images"]) >= 2
        assert group["nearest"] in served.service.gallery.labels
        assert -1 <= group["similarity"] <= 1
    assert unknowns.groups(8)["total"] == 8
    assert unknowns.groups(2) is unknowns.groups(2), "not made anew"


def test_their_pictures(unknowns: Unknowns) -> None:
    assert Image.open(io.BytesIO(unknowns.picture(names(unknowns)[0]))).size == (160, 160)


def test_some_are_enrolled(unknowns: Unknowns, served: Running) -> None:
    first, second, *others = names(unknowns)
    numbers = unknowns.enrol(EnrolUnknownOptions(names=[first, second, first], label="digit 5", note="new"))
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
        unknowns.enrol(EnrolUnknownOptions.model_construct(names=[name], label="x", note=""))
    with pytest.raises(RefusalError, match="no kept image of this name"):
        unknowns.picture(name)
    for written in (quote(name, safe=""), quote(name)):
        address = f"{served.address}v1/unknown/{written}/thumbnail"
        prepared = requests.Request("GET", address).prepare()
        prepared.url = address  # as it is
        assert requests.Session().send(prepared, timeout=30).status_code in (404, 405)
    assert names(unknowns) == kept, "nothing was thrown away"
    assert Path(served.service.gallery.path, "gallery.sqlite").is_file()
