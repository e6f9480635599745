"""Checkpoints that are damaged, hostile or of nobody: each gives a good network, or is refused in one line.

Some seconds of seeded changes; LOOKALIKE_FUZZ_MINUTES=60 goes on with further seeds for an hour.
"""

import copy
import os
import pickle
import pickletools
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoint_files import Pickle, opened, string, tensor_pickle
from conftest import TINY
from embedders import pictures
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.errors import LookalikeError
from lookalike.models.checkpoint_file import read_checkpoint, write_checkpoint
from lookalike.recognition.restore import restore
from lookalike.training.callbacks import Abandoned
from lookalike.training.checkpoint import earlier_state
from lookalike.training.run import train

SECONDS = 60 * float(os.environ.get("LOOKALIKE_FUZZ_MINUTES", "0"))
GIVEN = {"backbone": "test_resnet", "embedding_size": 16}
SIZE = {"height": 32, "width": 32}


class Payload:
    """Leaves a file behind when a pickle of it is executed."""

    target = ""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {Payload.target}",)


def odd() -> list[Any]:
    shared: Any = (1, 2)
    deep: Any = []
    for _ in range(90):
        shared, deep = (shared, shared), [deep]
    return [
        *(None, True, 0, -1, 1.5, 1e308, float("nan"), 2**31, 2**70, "", "x", "../../x", "a\nb", "\x1b[2J"),
        *([], [[]], {}, {"": None}, (), "9" * 5000, "test_vit", "vit_giant_patch14_224", "hf-hub:a/b"),
        *({"a": {"b": 1}}, torch.ones(3), torch.ones(0), torch.tensor(2), torch.ones(1).expand(10**6)),
        *(Payload(), {1: 2, None: 3}, shared, deep, print, torch.float16, b"x", {1}),
    ]


@pytest.fixture(scope="module")
def begun(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was ended after the first of its two epochs."""
    home = tmp_path_factory.mktemp("begun")
    with pytest.raises(Abandoned):
        train(read_settings("train", _run(digits, home)), watch=lambda history: True)
    return home


def _run(digits: Path, home: Path) -> list[str]:
    folders = (f"models_dir={home / 'models'}", f"checkpoint_dir={home / 'checkpoint'}")
    return [f"data.root={digits}", "run=r", *folders, *TINY, "trainer.precision=32-true"]


@pytest.fixture(scope="module")
def state(begun: Path) -> dict[str, Any]:
    return read_checkpoint(begun / "checkpoint/r/last.ckpt")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    Payload.target = str(tmp_path / "made")
    yield tmp_path / "last.ckpt"
    assert not (tmp_path / "made").exists(), "a payload was executed"


def limited(cases: list[Any], count: int) -> Iterator[Any]:
    """Seeded cases: some of them, or as many as there is time for."""
    random.Random(0).shuffle(cases)
    end = time.monotonic() + SECONDS / 6
    for number, case in enumerate(cases):
        if number >= count and time.monotonic() > end:
            return
        yield case


def use(file: Path) -> list[str]:
    """Everything that reads a checkpoint but a run; returns what it was refused with."""
    refused = []
    for read in (
        lambda: _embeds(restore(file, {}, {})[0]),
        lambda: _embeds(restore(file, GIVEN, SIZE, allow_partial=True)[0]),
        lambda: earlier_state(file),
    ):
        try:
            read()
        except LookalikeError as error:
            refused.append(str(error))
            assert len(refused[-1].splitlines()) == 1, refused
            assert refused[-1].isprintable(), refused
            assert len(refused[-1]) < 3000, refused
    return refused


def _embeds(network: torch.nn.Module) -> None:
    with torch.no_grad():
        embedding = network.eval().embed(pictures(1))
    assert torch.isfinite(embedding).all()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a state; of tensors, lists and optimisers' parameters a few of each kind stand for all."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in list(inside)[:12]:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of nested containers with another value at a place; without it where the new one is `...`."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        items = {name: changed(part, tuple(rest), new) if name == key else part for name, part in value.items()}
        return {name: part for name, part in items.items() if part is not ...}
    parts = [changed(part, tuple(rest), new) if place == key else part for place, part in enumerate(value)]
    return type(value)(part for part in parts if part is not ...)


def test_the_checkpoint_itself_is_used(state: dict[str, Any], file: Path) -> None:
    write_checkpoint(file, state)
    assert use(file) == []
    torch.save(state, file)
    assert use(file) == []


def test_own_settings_of_any_kind_are_used_or_refused(state: dict[str, Any], file: Path) -> None:
    settings = state["hyper_parameters"]["settings"]
    keys = [("hyper_parameters",), ("hyper_parameters", "settings"), ("lookalike",)]
    keys += [("hyper_parameters", "settings", name) for name in settings if name.startswith(("model.", "pixels."))]
    for path, value in limited([(path, value) for path in keys for value in [*odd(), ...]], 12):
        torch.save(changed(state, path, value), file)
        use(file)


def test_states_of_any_kind_are_used_or_refused(state: dict[str, Any], file: Path) -> None:
    for path, value in limited([(path, value) for path in places(state) for value in [*odd(), ...]], 12):
        torch.save(changed(state, path, value), file)
        use(file)


def _opcodes(content: bytes) -> list[bytes]:
    """A pickle cut between its opcodes."""
    starts = [position for _, _, position in pickletools.genops(content) if position is not None]
    return [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]


ANY_OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One to three seeded changes: opcodes left out, doubled, moved or made others; bytes; an end that is missing."""
    parts = _opcodes(content)
    for _ in range(chance.randrange(1, 4)):
        place, other, kind = chance.randrange(len(parts)), chance.randrange(len(parts)), chance.randrange(6)
        if kind == 0:
            del parts[place : place + chance.randrange(1, 4)]
            parts = parts or [b"."]
        elif kind == 1:
            parts.insert(place, parts[other])
        elif kind == 2:
            parts[place], parts[other] = parts[other], parts[place]
        elif kind == 3:
            parts[place] = chance.choice(ANY_OPCODES) + parts[place][1:]
        elif kind == 4:
            part = bytearray(parts[place])
            part[chance.randrange(len(part))] ^= 1 << chance.randrange(8)
            parts[place] = bytes(part)
        else:
            parts[place:place] = [b"\x85"] * chance.randrange(2000)
    return b"".join(parts)


def test_pickles_that_were_changed_anywhere_are_used_or_refused(state: dict[str, Any], file: Path) -> None:
    """Their archive is whole, and so are its checksums."""
    small = {key: part for key, part in state.items() if key not in ("optimizer_states", "loops")}
    torch.save(small, file)
    whole = file.read_bytes()
    for seed in limited(list(range(100_000)), 12):
        file.write_bytes(whole)
        chance = random.Random(seed)
        opened(file, lambda name, data, chance=chance: mutated(data, chance) if name.endswith("data.pkl") else data)
        use(file)


def test_archives_that_were_changed_anywhere_are_used_or_refused(state: dict[str, Any], file: Path) -> None:
    torch.save(state, file)
    whole = file.read_bytes()
    for seed in limited(list(range(100_000)), 8):
        chance, content = random.Random(f"archive {seed}"), bytearray(whole)
        near_end = chance.random() < 0.5  # where the list of members stands
        for _ in range(chance.randrange(1, 4)):
            place = len(content) - chance.randrange(1, 20_000) if near_end else chance.randrange(len(content))
            kind, length = chance.randrange(4), chance.randrange(1, 4096)
            if kind == 0:
                content[place] ^= 1 << chance.randrange(8)
            elif kind == 1:
                content[place : place + length] = bytes(len(content[place : place + length]))
            elif kind == 2:
                del content[place : place + length]
            else:
                content[place : place + 4] = chance.choice([b"\xff" * 4, bytes(4), b"PK\x05\x06", b"PK\x01\x02"])
        file.write_bytes(content)
        use(file)


def test_members_that_are_missing_or_others_are_told(state: dict[str, Any], file: Path) -> None:
    torch.save({**state, "optimizer_states": []}, file)
    whole = file.read_bytes()
    for seed in limited(list(range(100_000)), 8):
        chance = random.Random(f"member {seed}")
        kind, share = chance.randrange(4), chance.random()

        def change(name: str, data: bytes, chance=chance, kind=kind, share=share) -> bytes | None:  # type: ignore[no-untyped-def]
            if chance.random() > share * 0.1:
                return data
            return [None, b"", data[: len(data) // 2], data + data][kind]

        file.write_bytes(whole)
        opened(file, change)
        use(file)


def test_bits_of_a_sealed_checkpoint_never_pass(state: dict[str, Any], file: Path) -> None:
    write_checkpoint(file, state)
    whole = file.read_bytes()
    for seed in limited(list(range(1_000_000)), 60):
        chance, content = random.Random(f"bit {seed}"), bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        with pytest.raises(LookalikeError, match=r"^[^\n]+give resume=never to start over; the file is kept$"):
            read_checkpoint(file)


RESUMED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "moments of another shape": lambda state: changed(
        state, ("optimizer_states", 0, "state", 0, "exp_avg"), torch.ones(3)
    ),
    "loops that stand at no number": lambda state: changed(
        state, ("loops", "fit_loop", "epoch_progress", "current", "processed"), float("nan")
    ),
    "no schedule": lambda state: {**state, "lr_schedulers": [{}]},
    "a random state that is none": lambda state: changed(state, ("lookalike", "random_state"), torch.ones(3)),
    "a class weight that is missing": lambda state: changed(state, ("state_dict", "loss.loss.W"), ...),
    "settings that print for ever": lambda state: changed(
        state, ("hyper_parameters", "settings", "seed"), "a\nb\x1b[2J" + "x" * 100_000
    ),
}


def resume(
    digits: Path, begun: Path, home: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Lets a run go on from a state; returns the exit code and the last line it said."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(begun, home)
    write_checkpoint(home / "checkpoint/r/last.ckpt", content)
    capsys.readouterr()
    code = main(["train", *_run(digits, home)])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said.strip().splitlines()[-1]


@pytest.mark.parametrize("kind", RESUMED)
def test_states_that_make_no_run_are_told_before_a_step(
    kind: str, state: dict[str, Any], digits: Path, begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = RESUMED[kind](copy.deepcopy(state))
    code, line = resume(digits, begun, tmp_path / "home", content, capsys)
    assert code == 2
    assert "resume=never to start over" in line
    assert len(line) < 3000


def test_states_of_any_kind_go_on_or_are_told(
    state: dict[str, Any],
    digits: Path,
    begun: Path,
    tmp_path: Path,
    file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_a_run = [path for path in places(state) if path[0] not in ("state_dict", "hyper_parameters")]
    for path, value in limited([(path, value) for path in of_a_run for value in [*odd(), ...]], 2):
        code, line = resume(digits, begun, tmp_path / "home", changed(state, path, value), capsys)
        assert code in (0, 2), line


DEEP = b")" + b"\x85" * 100_000
SHARED = b")" + b"".join(b"q" + bytes([place]) + b"h" + bytes([place]) + b"\x86" for place in range(90))
MANY = b"]q\x00(" + b"]" * 200_000 + b"e"  # a list of lists, in the memo
AGAIN = b"ccollections\nOrderedDict\nh\x00\x85R0" * 100_000
HOSTILE = {
    "deep tuples as a key": b"\x80\x02}" + DEEP + b"K\x01s.",
    "deep tuples as a key of the state": b"\x80\x02}" + string("state_dict") + b"}" + DEEP + b"K\x01ss.",
    "deep tuples as what is called": b"\x80\x02" + DEEP + b")R.",
    "deep tuples as a place in the file": b"\x80\x02("
    + string("storage")
    + b"ctorch\nFloatStorage\n"
    + DEEP
    + b"NNtQ.",
    "shared tuples as a key": b"\x80\x02}" + SHARED + b"K\x01s.",
    "shared tuples as what is called": b"\x80\x02" + SHARED + b")R.",
    "shared tuples as own settings": b"\x80\x02}("
    + string("lookalike")
    + b"N"
    + string("hyper_parameters")
    + b"}"
    + string("settings")
    + b"}"
    + string("model.backbone")
    + SHARED
    + b"ssu.",
    "shared tuples as a value": b"\x80\x02}" + string("a") + SHARED + b"s.",
    "shared tuples as a shape": tensor_pickle(0, (1,), (1,)).replace(
        pickle.dumps((1,), 2)[2:-1] * 2, SHARED + pickle.dumps((1,), 2)[2:-1], 1
    ),
    "a bytearray of 2e9": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x94\x35\x77\x85R.",
    "bytes that are not there": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
    "a list copied again and again": b"\x80\x02" + MANY + AGAIN + b".",
    "sizes copied again and again": b"\x80\x02" + MANY + b"ctorch\nSize\nh\x00\x85R0" * 100_000 + b".",
    "numbers of one hash in the memo": b"N" + b"".join(b"p%d\n" % (n * (2**61 - 1)) for n in range(60_000)) + b".",
    "numbers of one hash as keys": b"\x80\x02}("
    + b"".join(pickle.dumps(n * (2**61 - 1), 2)[2:-1] + b"N" for n in range(60_000))
    + b"u.",
    "a tensor of more numbers than bytes": tensor_pickle(0, (2**40,), (0,)),
    "dicts that stand in many places": b"\x80\x02}q\x00"
    + b"".join(
        b"}q%c(" % (level + 1)
        + b"".join(
            string(name) + b"h%c" % level
            for name in ("state_dict", "model", "net", "params", "ema", *map(str, range(300)))
        )
        + b"u"
        for level in range(8)
    )
    + b".",
}


def test_named_files_take_neither_the_process_nor_its_memory_nor_its_time(
    state: dict[str, Any], tmp_path: Path
) -> None:
    """In a process of its own, as some of them would end this one."""
    files = []
    for number, pickled in enumerate(HOSTILE.values()):
        files.append(tmp_path / f"{number}.ckpt")
        Pickle(pickled).save(files[-1])
    big = changed(state, ("hyper_parameters", "settings", "model.backbone"), "vit_giant_patch14_224")
    files.append(tmp_path / "giant.ckpt")
    torch.save(big, files[-1])
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from lookalike.recognition.restore import restore; from lookalike.training.checkpoint import earlier_state\n"
        "from lookalike.errors import LookalikeError; import torch\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "from lookalike.models.checkpoint_tensors import read_tensors\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (240, 240)); before = peak()\n"
        "for file in map(Path, sys.argv[1:]):\n"
        "    for read in (lambda file: restore(file, {}, {}), read_tensors, earlier_state):\n"
        "        try: read(file)\n"
        "        except LookalikeError as error: print(error)\n"
        "        else: print('read', file.stem)\n"
        "    print(file, peak() - before, file=sys.stderr)\n"
        "print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True)
    *said, mebibytes = done.stdout.splitlines()
    assert (done.returncode, len(said)) == (0, 3 * len(files)), done.stderr[-2000:]
    harmless = {str(list(HOSTILE).index("a tensor of more numbers than bytes")), "giant"}
    assert {line.partition(" ")[2] for line in said if line.startswith("read ")} <= harmless
    assert all(line.startswith("read ") or line.startswith(str(tmp_path)) for line in said), said
    assert int(mebibytes) < 600, done.stderr
