"""A service that is killed or ended while many write: what was answered is there, and nothing is half done."""

import os
import random
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import requests
from PIL import Image

from attacks import LABELS, PATIENCE, logged_lines, make_gallery, picture, usual_model
from lookalike import Gallery
from service_processes import Served, served

KILLS = int(os.environ.get("LOOKALIKE_KILLS", "4"))  # more of them: LOOKALIKE_KILLS=20
WRITERS = 4
SIZES = (1, 4)  # images of an `add`, by which half of one would be seen
_SEEDS = count(1000)


class Writer:
    """A client that changes a gallery until it gets no answer; keeps what was answered.

    Args:
        address: Of the service.
        seed: Of what it does.
    """

    def __init__(self, address: str, seed: int) -> None:
        self._address, self._random, self._label = address, random.Random(seed), f"w{seed}"
        self.changes: dict[int, tuple[str, int | None]] = {}
        self.kept: list[str] = []
        self.statuses: list[int] = []
        self._mine: list[int] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        """Until the service is gone."""
        while not self.stopped.is_set():
            try:
                self._step(self._random.choice(("add", "add", "move", "undo", "remove", "forget", "keep", "predict")))
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return

    def _step(self, action: str) -> None:
        if action in ("keep", "predict"):
            options = {"threshold": "1", "keep_unknown": "true"} if action == "keep" else {}
            answer = self._send("predict", data=options, files=self._images(1))
            self.kept += answer.get("kept") or []
        elif action == "forget":
            self._forget()
        elif action == "add" or not self._mine:
            files = self._images(self._random.choice(SIZES))
            answer = self._send("gallery/add", data={"label": self._label}, files=files)
            self._mine += answer.get("numbers", [])
            self._note(answer, "add")
        elif action == "move":
            wanted = {"images": [self._random.choice(self._mine)], "to": f"{self._label} {self._random.randrange(3)}"}
            self._note(self._send("gallery/move", json=wanted), "rename")
        elif action == "undo":
            self._note(self._send("gallery/undo", json={"change": max(self.changes)}), "undo")
            self._mine = []
        else:
            self._note(self._send("gallery/remove", json={"image": [self._mine.pop()]}), "remove")

    def _forget(self) -> None:
        """A label of its own, of which no change tells any more then."""
        label = f"{self._label} gone"
        added = self._send("gallery/add", data={"label": label}, files=self._images(SIZES[-1]))
        if added.get("change") is not None:
            self.changes[added["change"]] = ("add", None)
        self._note(self._send("gallery/forget", json={"label": label}), "forget")

    def _images(self, number: int) -> list[tuple[str, tuple[str, bytes, str]]]:
        return [
            ("image", (f"{seed}.jpg", picture(seed), "image/jpeg")) for seed in (next(_SEEDS) for _ in range(number))
        ]

    def _send(self, verb: str, **more: object) -> dict:
        answer = requests.post(f"{self._address}v1/{verb}", timeout=PATIENCE, headers={"Connection": "close"}, **more)  # type: ignore[arg-type]
        self.statuses.append(answer.status_code)
        assert answer.status_code in (200, 409, 422), answer.text  # such as of what was undone
        return answer.json()

    def _note(self, answer: dict, action: str) -> None:
        if answer.get("change") is not None:
            self.changes[answer["change"]] = (action, answer["images"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_gallery(tmp_path / "shop", usual_model()).close()
    return tmp_path / "shop"


def check_gallery(folder: Path, writers: list[Writer], unanswered: int) -> None:
    """What was answered is there, and at most so many changes that were not."""
    with Gallery.open(folder, usual_model()) as gallery:
        verification = gallery.verify()
        assert verification, verification
        log = {change.number: change for change in gallery.log()}
        answered = {number: change for writer in writers for number, change in writer.changes.items()}
        assert set(log) >= set(answered)
        assert len(log) - len(LABELS) - len(answered) <= unanswered
        for number, (action, images) in answered.items():
            moved = sum(move.images for move in log[number].moves)
            assert moved == images or images is None or action == "forget", (action, images, log[number])
        for change in log.values():
            added = sum(move.images for move in change.moves)
            assert change.action != "add" or added in (0, 3, *SIZES), f"half of a change: {change}"
        for number in range(1, max(log) + 1):
            assert gallery.at(number).labels is not None
    there = {file.name for file in (folder / "unknown").iterdir()} if (folder / "unknown").is_dir() else set()
    assert there >= {name for writer in writers for name in writer.kept}
    for name in there:
        if not name.startswith("."):
            with Image.open(folder / "unknown" / name) as opened:
                opened.load()


def have_changed(writers: list[Writer], number: int) -> bool:
    return sum(len(writer.changes) for writer in writers) >= number


def wait_for(state: Callable[[], bool], running: list[Future[None]]) -> None:
    """Waits for writers, none of whom may end before."""
    while not state():
        for future in running:
            if future.done():
                future.result()
                raise AssertionError("a writer ended before the service did")
        threading.Event().wait(0.002)


@pytest.mark.slow
def test_what_was_answered_outlives_a_kill(folder: Path) -> None:
    writers: list[Writer] = []
    answered = 0
    for number in range(KILLS):
        chance = random.Random(number)
        with served(folder) as service, ThreadPoolExecutor(WRITERS) as threads:
            mine = [Writer(service.address, WRITERS * number + place) for place in range(WRITERS)]
            writers += mine
            running = [threads.submit(writer.run) for writer in mine]
            wait_for(partial(have_changed, mine, chance.randint(3, 30)), running)
            threading.Event().wait(chance.random() * 0.1)
            service.kill()
        statuses = [status for writer in mine for status in writer.statuses]
        answered += len(statuses)
        check_gallery(folder, writers, WRITERS * (number + 1))
    print(f"{KILLS} kills, {answered} requests, {sum(len(writer.changes) for writer in writers)} changes")


def load_until_ended(service: Served, enough: int) -> tuple[list[Writer], int]:
    """Ends a service in the middle of the work of many; their answers, and its exit code."""
    writers = [Writer(service.address, place) for place in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as threads:
        running = [threads.submit(writer.run) for writer in writers]
        wait_for(lambda: sum(len(writer.statuses) for writer in writers) >= enough, running)
        code = service.end(signal.SIGTERM)
    return writers, code


def test_a_service_that_is_ended_answers_what_it_began(folder: Path) -> None:
    with served(folder) as service:
        writers, code = load_until_ended(service, 30)
    assert code == 0, service.log
    with socket.create_server(("127.0.0.1", service.port)):
        pass  # free at once
    answered = [status for writer in writers for status in writer.statuses]
    lines = [line for line in logged_lines(service.log) if line.get("method") == "POST"]
    assert sorted(line["status"] for line in lines) == sorted(answered), "each that was begun was answered"
    assert answered.count(200) > 20
    check_gallery(folder, writers, unanswered=0)
    assert not [file for file in folder.rglob("*") if file.name.endswith((".tmp", "-wal", "-shm"))]


def test_a_second_signal_ends_it_no_less_well(folder: Path) -> None:
    with served(folder) as service:
        requests.get(f"{service.address}v1/labels", timeout=PATIENCE)
        service.process.send_signal(signal.SIGINT)
        assert service.end(signal.SIGTERM) == 0
    with Gallery.open(folder, usual_model()) as gallery:
        assert gallery.verify()
