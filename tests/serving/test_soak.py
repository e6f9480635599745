"""Many clients for a while, who read, write, err and hang up: no error but wanted ones, and nothing stays behind."""

import random
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from attacks import PATIENCE, Besieged, besieged, connected, need_as_before, open_files, picture, request, usual_model

CLIENTS, STEPS = 4, 150
WIDTH = 1280


class Client:
    """Does what clients do, in an order of its own.

    Args:
        service: That it asks.
        seed: Of the order, and of its name.
    """

    def __init__(self, service: Besieged, seed: int) -> None:
        self._address, self._random, self._label = service.address, random.Random(seed), f"client {seed}"
        self._session, self._seed = requests.Session(), 10_000 * (seed + 1)
        self.answers: Counter[tuple[str, int]] = Counter()

    def run(self) -> None:
        steps = [self.ask, self.embed, self.search, self.read, self.change, self.keep, self.err, self.hang_up]
        with self._session:
            for _ in range(STEPS):
                self._random.choice(steps)()

    def ask(self) -> None:
        self._post("predict", params={"k": "3"}, files=self._images(self._random.choice((1, 1, 3))))

    def embed(self) -> None:
        self._post("embed", data=picture(), headers={"Content-Type": "image/jpeg"})

    def search(self) -> None:
        self._post("search", json={"embeddings": [[self._random.random() for _ in range(WIDTH)]], "k": 2})

    def read(self) -> None:
        place = self._random.choice(
            ("labels", "gallery", "gallery/images?label=Kiwi", "gallery/log", "gallery/health", "images/1/thumbnail")
        )
        self._get(place)

    def change(self) -> None:
        """Comes, changes its name, is taken out, comes back, and is forgotten."""
        name = f"{self._label} once more"
        self._post("gallery/add", data={"label": self._label}, files=self._images(2))
        self._post("gallery/rename", json={"label": self._label, "to": name})
        removed = self._post("gallery/remove", json={"label": name})
        self._post("gallery/undo", json={"change": removed["change"]})
        self._post("gallery/forget", json={"label": name})

    def keep(self) -> None:
        """An unknown image is kept, looked at, and thrown away."""
        data = {"threshold": "1", "keep_unknown": "true"}
        [name] = self._post("predict", data=data, files=self._images(1))["kept"]
        self._get(f"unknown/{name}/thumbnail")
        self._get("unknown")
        self._post("unknown/discard", json={"names": [name]})

    def err(self) -> None:
        self._post("predict", wanted=422, params={"k": "0"}, files=self._images(1))
        self._post("gallery/rename", wanted=422, json={"label": "nobody", "to": "x"})
        self._post("search", wanted=400, data=b"{", headers={"Content-Type": "application/json"})
        self._get("nothing", wanted=404)

    def hang_up(self) -> None:
        sent = request("POST", "/v1/predict", picture(), {"Content-Type": "image/jpeg"})
        with connected(self._address) as connection:
            connection.sendall(sent[: self._random.randrange(len(sent) + 1)])

    def _images(self, number: int) -> list[tuple[str, tuple[str, bytes, str]]]:
        self._seed += number
        return [("image", (f"{n}.jpg", picture(self._seed - n), "image/jpeg")) for n in range(number)]

    def _post(self, place: str, wanted: int = 200, **more: object) -> dict:
        answer = self._session.post(f"{self._address}v1/{place}", timeout=PATIENCE, **more)  # type: ignore[arg-type]
        self.answers[place, answer.status_code] += 1
        assert answer.status_code == wanted, (place, answer.text)
        return answer.json()

    def _get(self, place: str, wanted: int = 200) -> None:
        answer = self._session.get(f"{self._address}v1/{place}", timeout=PATIENCE)
        self.answers[place, answer.status_code] += 1
        assert answer.status_code == wanted, (place, answer.text)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of this process would be."""
    usual_model()  # which leaves some of its own
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.slow
def test_hundreds_of_requests_of_several_clients_leave_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    folder = tmp_path / "shop"
    with besieged(folder, "seconds=60") as service:
        for client in (Client(service, 90), Client(service, 91)):
            with client._session:
                for step in (client.ask, client.search, client.read, client.change, client.keep, client.err):
                    step()
        before = (set(threading.enumerate()), open_files())
        clients = [Client(service, seed) for seed in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            for future in [pool.submit(client.run) for client in clients]:
                future.result()
        answers = sum((client.answers for client in clients), Counter())
        assert answers.total() > CLIENTS * STEPS
        assert {status for _, status in answers} == {200, 400, 404, 422}
        need_as_before(*before)
        gallery = service.service.service.gallery
        assert gallery.labels == {"Kiwi": 3, "Leek": 3, "Banana": 3}
        assert not gallery.unknown_files()
        assert not list(temporary.iterdir())
        assert not [file for file in folder.rglob("*") if file.name.endswith(".tmp")]
        statuses = {line["status"] for line in service.lines() if "status" in line}
        assert statuses <= {200, 400, 404, 422}, statuses
    assert not list(temporary.iterdir())
