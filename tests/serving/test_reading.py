"""What a client reads of a service, and what it does with kept unknown images."""

from pathlib import Path

from lookalike import Client
from services import Running


def test_kept_unknown_images_by_a_client(client: Client, served: Running, digits: Path) -> None:
    files = sorted((digits / "test").rglob("*.png"))[:4]
    client.predict(files, threshold=1.0, keep_unknown=True)
    names = client.unknown_files()
    assert len(names) == 4
    groups = client.suggest(least=2)
    assert sorted([*groups.alone, *(name for group in groups.groups for name in group.names)]) == names
    assert len(groups) == 4
    assert client.unknown_thumbnail(names[0]).startswith(b"\xff\xd8")
    assert client.unknown_thumbnail("none.png") == b""
    assert client.enrol_unknown(names[:2], "new", note="seen") == 2
    assert client.labels["new"] == 2
    assert client.undo(client.last_change or 0) == 2
    assert client.discard_unknown(names[0]) == 1
    assert client.unknown_files() == names[1:]
    kept = client.health().kept
    assert kept is not None
    assert (kept.images, kept.not_kept) == (3, 0)


def test_images_come_in_pages(client: Client, served: Running) -> None:
    whole = served.service.gallery.images("digit 2")
    assert client.images("digit 2") == whole
    assert client.images("digit 2", first=4, most=3) == whole[4:7]
    assert client.images("digit 2", first=99) == client.images("digit 2", most=0) == []
