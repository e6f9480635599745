"""Whoever is killed while a gallery changes: what was acknowledged is there, and nothing is half done."""

import json
import random
import subprocess
import sys
import threading
from pathlib import Path

from lookalike import Gallery

CHANGER = """
import json, random, sys
import numpy as np
from lookalike import Gallery
from lookalike.errors import LookalikeError

gallery, rng = Gallery.open(sys.argv[1]), random.Random(int(sys.argv[2]))
generator = np.random.default_rng(int(sys.argv[2]))
print("ready", flush=True)
while True:
    labels = list(gallery.labels)
    action = rng.choice(("add", "add", "add", "rename", "remove", "undo", "compact"))
    try:
        if action == "add" or len(labels) < 2:
            gallery.add_embeddings(generator.standard_normal((rng.choice((1, 7, 300)), 16)), f"l{rng.randrange(9)}")
        elif action == "rename":
            gallery.rename(rng.choice(labels), f"l{rng.randrange(9)}")
        elif action == "remove":
            gallery.remove(label=rng.choice(labels))
        elif action == "undo":
            gallery.undo(gallery.log(1)[0].number)
        else:
            gallery.compact()
    except LookalikeError:
        continue
    change = gallery.log(1)[0]
    moves = [(move.before, move.after, move.images) for move in change.moves]
    print(json.dumps([change.number, change.action, moves, gallery.labels]), flush=True)
"""


def killed_after(gallery: Path, seed: int) -> list[str]:
    """What a process acknowledged before it was killed, a moment after a random number of changes."""
    rng = random.Random(seed)
    command = [sys.executable, "-c", CHANGER, str(gallery), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        lines = [child.stdout.readline() for _ in range(rng.randint(1, 6))]
        timer = threading.Timer(rng.random() * 0.03, child.kill)
        timer.start()
        lines += child.stdout.readlines()
        timer.join()
        assert child.wait() == -9, child.stderr.read() if child.stderr else ""
    return [line for line in lines if line.endswith("\n")]


def check_after_kills(gallery: Gallery, kills: int) -> None:
    state: dict[str, int] = gallery.labels
    acknowledged: dict[int, tuple[str, list[list[object]]]] = {}
    path = gallery.path
    gallery.close()
    for seed in range(kills):
        for line in killed_after(path, seed):
            number, action, moves, state = json.loads(line)
            acknowledged[number] = action, moves
        last = max(acknowledged, default=0)
        with Gallery.open(path) as opened:
            log = {change.number: change for change in opened.log()}
            verification = opened.verify()
            assert verification, f"after kill {seed}: {verification}"
            assert opened.at(last).labels == state, f"after kill {seed}: what was acknowledged"
            assert set(log) >= set(acknowledged)
            assert max(log) <= last + 1, "at most the change that was not acknowledged yet"
            for number, (action, moves) in acknowledged.items():
                done = [[move.before, move.after, move.images] for move in log[number].moves]
                assert (log[number].action, done) == (action, moves)
            for change in log.values():
                added = sum(move.images for move in change.moves)
                assert change.action != "add" or added in (1, 7, 50, 300), "half of a change"
            state = opened.labels
            acknowledged |= {
                number: (change.action, [[move.before, move.after, move.images] for move in change.moves])
                for number, change in log.items()
            }


def test_thirty_kills_lose_nothing(gallery: Gallery) -> None:
    check_after_kills(gallery, 30)
