"""Several services on one gallery of a PostgreSQL server: what one enrols the others find at the next question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lookalike import Gallery, Model
from postgres_server import Server
from services import running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server.make()
    yield made
    made.remove()


def test_what_one_service_changes_the_other_answers_with(bundle_path: Path, digits: Path, server: Server) -> None:
    model = Model.load(bundle_path)
    Gallery.create(server.url("shared"), model).close()
    files = {label: sorted((digits / "train" / f"digit {label}").iterdir()) for label in (0, 1)}
    opened = [Gallery.open(server.url("shared"), Model.load(bundle_path)) for _ in range(2)]
    with running(opened[0]) as one, running(opened[1]) as other:
        for label, images in files.items():
            parts = [("image", (file.name, file.read_bytes(), "image/png")) for file in images[:4]]
            address = one.address if label else other.address
            answer = requests.post(f"{address}v1/gallery/add", data={"label": str(label)}, files=parts, timeout=60)
            assert answer.json()["numbers"] == [4 * label + number for number in range(1, 5)]
        for service in (one, other):
            with files[1][0].open("rb") as image:
                made = requests.post(f"{service.address}v1/predict?k=1", files={"image": image}, timeout=60).json()
            near = made["items"][0]["neighbours"][0]
            assert (near["label"], near["number"], round(near["similarity"], 5)) == ("1", 5, 1.0)
        body = {"label": "0", "to": "zero"}
        renamed = requests.post(f"{one.address}v1/gallery/rename", json=body, timeout=60).json()
        assert renamed["images"] == 4
        labels = requests.get(f"{other.address}v1/labels", timeout=60).json()["labels"]
        assert [(label["label"], label["images"]) for label in labels] == [("1", 4), ("zero", 4)]
        body = {"change": renamed["change"]}
        assert requests.post(f"{other.address}v1/gallery/undo", json=body, timeout=60).json()["images"] == 4
        assert "password" not in requests.get(f"{one.address}v1/gallery", timeout=60).text
