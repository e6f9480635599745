"""How much memory a service needs after tens of thousands of requests. Writes SOAK.md and docs/performance/soak.png.

python benchmarks/soak.py [--requests 50000] [--seconds 900] [--clients 4]

A process of its own serves a gallery of drawn pictures. Clients ask, search, read, enrol, rename, undo, forget, keep
unknown images and throw them away, err, and hang up in the middle of a request. What they enrol they forget again: the
gallery stays as large as it was while its history grows. Every thousand requests the memory of the process is noted.
"""

import argparse
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import requests
from harness import HERE, machine
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from lookalike import Gallery, Model

PAGE, PICTURE = HERE / "SOAK.md", HERE.parent / "docs" / "performance" / "soak.png"
EVERY, LABELS, PER_LABEL, SIDE = 1000, 20, 10, 96
JSON = {"Content-Type": "application/json"}


def picture(seed: int) -> bytes:
    """The bytes of a small JPEG."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


class Load:
    """Clients of a service, and what they were answered.

    Args:
        address: Of the service.
        most: Requests.
        seconds: After which no more are sent.
    """

    def __init__(self, address: str, most: int, seconds: float) -> None:
        self.address, self.most, self.until = address, most, time.monotonic() + seconds
        self.done, self.wrong, self.answers = 0, 0, Counter[str]()
        self._lock = threading.Lock()

    def run(self, seed: int) -> None:
        """One client, until enough is sent."""
        chance, label = random.Random(seed), f"client {seed}"
        with requests.Session() as session:
            while self.done < self.most and time.monotonic() < self.until:
                step = chance.choices(
                    ("ask", "search", "read", "change", "keep", "err", "hang up"), (8, 4, 6, 1, 1, 1, 1)
                )
                self._step(step[0], session, chance, label)

    def _step(self, step: str, session: requests.Session, chance: random.Random, label: str) -> None:
        files = [("image", ("a.jpg", picture(chance.randrange(10**9)), "image/jpeg"))]
        if step == "ask":
            self._ask(session, "predict", files=files, params={"k": 3})
        elif step == "search":
            vector = np.random.default_rng(chance.randrange(10**9)).standard_normal(1280)
            self._ask(session, "search", json={"embeddings": [vector.tolist()]})
        elif step == "read":
            places = (
                "labels",
                "gallery",
                "gallery/log",
                "gallery/images?label=label%201",
                "images/1/thumbnail",
                "unknown",
            )
            self._ask(session, chance.choice(places), method="GET")
        elif step == "change":
            self._ask(session, "gallery/add", files=files, data={"label": label})
            self._ask(session, "gallery/rename", json={"label": label, "to": f"{label} again"})
            removed = self._ask(session, "gallery/remove", json={"label": f"{label} again"})
            self._ask(session, "gallery/undo", json={"change": removed.json()["change"]})
            self._ask(session, "gallery/forget", json={"label": f"{label} again"})
        elif step == "keep":
            kept = self._ask(session, "predict", files=files, data={"threshold": 1, "keep_unknown": "true"})
            self._ask(session, "unknown/discard", json={"names": kept.json()["kept"]})
        elif step == "err":
            self._ask(session, f"nothing/{chance.random()}", method="GET", wanted=404)
            self._ask(session, "search", data=b"{", headers=JSON, wanted=400)
            self._ask(session, "predict", files=[("image", ("a.jpg", b"no image", "image/jpeg"))], wanted=422)
        else:
            self._hang_up(chance)

    def _ask(
        self, session: requests.Session, place: str, method: str = "POST", wanted: int = 200, **more: Any
    ) -> requests.Response:
        answer = session.request(method, f"{self.address}v1/{place}", timeout=120, **more)
        with self._lock:
            self.done += 1
            self.answers[f"{place.partition('?')[0].partition('/0.')[0]} {answer.status_code}"] += 1
            if answer.status_code != wanted:
                self.wrong += 1
                print(place, answer.status_code, answer.text[:300], file=sys.stderr)
        return answer

    def _hang_up(self, chance: random.Random) -> None:
        host, _, port = self.address.removeprefix("http://").rstrip("/").rpartition(":")
        head = f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nContent-Length: 9000\r\n\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode()[: chance.randrange(len(head))] if chance.random() < 0.5 else head.encode())
        with self._lock:
            self.done += 1
            self.answers["hung up"] += 1


def state_of(process: int) -> dict[str, int]:
    """Resident memory in MB, threads and open files of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    memory, threads = re.search(r"VmRSS:\s+(\d+)", status), re.search(r"Threads:\s+(\d+)", status)
    assert memory is not None
    assert threads is not None
    files = len(list(Path(f"/proc/{process}/fd").iterdir()))
    return {"megabytes": int(memory[1]) // 1024, "threads": int(threads[1]), "files": files}


def measure(folder: Path, most: int, seconds: float, clients: int) -> tuple[Load, list[dict[str, Any]]]:
    """The states of a process under load, one per thousand requests."""
    command = [sys.executable, "-m", "lookalike", "serve", f"gallery={folder}", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[2] for line in process.stdout if line.startswith("serving at"))
        while requests.get(f"{address}readyz", timeout=60).status_code != 200:
            time.sleep(0.2)
        load, states, began = Load(address, most, seconds), [], time.monotonic()
        threads = [threading.Thread(target=load.run, args=(seed,), daemon=True) for seed in range(clients)]
        for thread in threads:
            thread.start()
        states.append({"requests": 0, "seconds": 0.0, **state_of(process.pid)})
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            if load.done >= EVERY * len(states):
                states.append({"requests": load.done, "seconds": time.monotonic() - began, **state_of(process.pid)})
                print(json.dumps(states[-1]), flush=True)
        states.append({"requests": load.done, "seconds": time.monotonic() - began, **state_of(process.pid)})
        process.terminate()
        assert process.wait(60) == 0, "it ends in order"
    return load, states


def draw(states: list[dict[str, Any]]) -> None:
    """Memory over requests."""
    figure, axes = plt.subplots(figsize=(8, 3.5))
    axes.plot([state["requests"] for state in states], [state["megabytes"] for state in states])
    axes.set(xlabel="requests", ylabel="resident memory, MB", ylim=(0, None), title="One service under mixed load")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


def page(load: Load, states: list[dict[str, Any]], clients: int) -> str:
    """The table."""
    last, kinds = states[-1], ", ".join(f"{kind}: {count}" for kind, count in sorted(load.answers.items()))
    shown = [states[0], *states[1:-1][:: max(1, len(states) // 25)], last]
    rows = "\n".join(
        f"| {row['requests']:,} | {row['seconds']:.0f} | {row['megabytes']} | {row['threads']} | {row['files']} |"
        for row in shown
    )
    late = [state for state in states if state["requests"] >= last["requests"] // 5]
    growth = float(np.polyfit([s["requests"] for s in late], [s["megabytes"] for s in late], 1)[0]) * 10_000
    return (
        f"# A service under load\n\nWritten by `python benchmarks/soak.py` on {machine()}.\n\n"
        f"{last['requests']:,} requests of {clients} clients in {last['seconds']:.0f} s, {load.wrong} answers other "
        f"than wanted. Memory after the first fifth grows by {growth:.1f} MB per 10,000 requests; at most "
        f"{max(state['megabytes'] for state in states)} MB.\n\n![memory](../docs/performance/soak.png)\n\n"
        f"| requests | seconds | resident MB | threads | open files |\n|---|---|---|---|---|\n{rows}\n\n{kinds}\n"
    )


def main() -> None:
    """Measures, draws, writes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        with Gallery.create(folder, Model.pretrained("efficientnet_lite0")) as gallery:
            for label in range(LABELS):
                gallery.add([picture(1000 * label + number) for number in range(PER_LABEL)], f"label {label}")
        load, states = measure(folder, given.requests, given.seconds, given.clients)
    draw(states)
    PAGE.write_text(page(load, states, given.clients), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
