"""Pickles that want to act, or to take all time and memory; those that act are shown to work on who executes them."""

import collections
import copyreg
import functools
import io
import json
import os
import pickle
import pickletools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoint_files import Pickle, read_or_refused, same, state, string, tensor_pickle
from lookalike.data import inert_pickle
from lookalike.models import tensor_pickle as torch_pickle
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors
from lookalike.models.tensor_pickle import unpickled


class Evil:
    """Runs a callable when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def attacks(target: Path) -> dict[str, Any]:
    command = f"touch '{target}'"
    code = f"open({str(target)!r}, 'w').close()"
    return {
        "os.system": Evil(os.system, command),
        "subprocess": Evil(subprocess.check_call, ["touch", str(target)]),
        "eval": Evil(eval, code),
        "exec": Evil(exec, code),
        "touch": Evil(Path.touch, target),
        "partial": Evil(functools.partial(os.system), command),
        "method": Evil(target.write_text, "x"),
    }


ATTACKS = ("os.system", "subprocess", "eval", "exec", "touch", "partial", "method")


PLACES: dict[str, Callable[[Any], Any]] = {
    "beside": lambda evil: {"state_dict": state(), "evil": evil},
    "hyper_parameters": lambda evil: {"state_dict": state(), "hyper_parameters": {"a": [1, (evil,)]}},
    "state_dict": lambda evil: {"state_dict": {**state(), "x": evil}},
    "plain": lambda evil: {**state(), "x": evil},
    "key": lambda evil: {"state_dict": state(), "keys": {evil: 1}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_pickle_does_nothing_and_its_tensors_are_read(attack: str, place: str, tmp_path: Path) -> None:
    target, file = tmp_path / "made", tmp_path / "w.ckpt"
    assert set(attacks(target)) == set(ATTACKS)
    torch.save(PLACES[place](attacks(target)[attack]), file)
    torch.load(file, weights_only=False)
    assert target.exists()  # the file does what it is meant to, for who runs it
    target.unlink()
    assert same(read_tensors(file), state())
    assert not target.exists()


def by_hand(command: str) -> dict[str, bytes]:
    """Opcodes that Python's own pickler no longer writes, or never in this way."""
    return {
        "protocol 0": b"cos\nsystem\n(S" + repr(command).encode() + b"\ntR.",
        "INST": b"(S" + repr(command).encode() + b"\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS" + repr(command).encode() + b"\no.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + string(command) + b"\x85R.",
        "eval": b"c__builtin__\neval\n(" + string(f"__import__('os').system({command!r})") + b"tR.",
        "builtins": b"cbuiltins\nexec\n(" + string(f"import os; os.system({command!r})") + b"tR.",
        "dotted": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x94" + string(command) + b"\x85R.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(" + string(command) + b"t\x81.",
        "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n(" + string(command) + b"t}" + string("shell") + b"\x88s\x92.",
        "BUILD": b"csubprocess\nPopen\n(" + string(command) + b"tR}" + string("shell") + b"\x88sb.",
        "map": b"cbuiltins\nlist\n(cbuiltins\nmap\n(cos\nsystem\n(" + string(command) + b"ltRtR.",
        "APPENDS": b"cos\nsystem\n(" + string(command) + b"e.",
        "rebuilt": b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n("
        + string(command)
        + b"tNtR.",
        "size": b"ctorch\nSize\n(cos\nsystem\n(" + string(command) + b"tRtR.",
        "persistent": b"(cos\nsystem\n" + string(command) + b"tQ.",
        "two pickles": b"N.cos\nsystem\n(" + string(command) + b"tR.",
    }


HAND = (
    "protocol 0",
    "INST",
    "OBJ",
    "STACK_GLOBAL",
    "eval",
    "builtins",
    "dotted",
    "NEWOBJ",
    "NEWOBJ_EX",
    "BUILD",
    "map",
    "APPENDS",
    "rebuilt",
    "size",
    "persistent",
    "two pickles",
)


RUNS_FOR_PYTHON = {"protocol 0", "INST", "OBJ", "STACK_GLOBAL", "eval", "builtins", "dotted", "map"}


@pytest.mark.parametrize("name", HAND)
def test_a_pickle_made_by_hand_does_nothing(name: str, tmp_path: Path) -> None:
    target, file = tmp_path / "made", tmp_path / "w.pt"
    assert set(by_hand("")) == set(HAND)
    content = by_hand(f"touch {target}")[name]
    if name in RUNS_FOR_PYTHON:
        pickle.loads(content)
        assert target.exists()
        target.unlink()
    Pickle(content).save(file)
    with pytest.raises(TensorsError, match=r"^[^\n]+$"):  # there is no tensor in it
        read_tensors(file)
    # Inside a checkpoint: {'a': tensor, 'b': <this>}
    inner = content.removeprefix(b"\x80\x04").removeprefix(b"\x80\x02")[:-1]
    Pickle(tensor_pickle(0, (4,), (1,))[:-2] + string("c") + inner + b"u.").save(file)
    assert "a" in (read_or_refused(file) or "a")
    file.write_bytes(content)  # and as a bare pickle
    with pytest.raises(TensorsError, match=r"^[^\n]+$"):
        read_tensors(file)
    assert not target.exists()


TARGETS = {
    "unknown": b"cthere\nis_none\n",
    "instance": b"cthere\nis_none\n)R",
    "class": b"ccollections\nOrderedDict\n",
    "dict": b"ccollections\nOrderedDict\n)R",
    "rebuild": b"ctorch._utils\n_rebuild_tensor_v2\n",
    "parameter": b"ctorch._utils\n_rebuild_parameter\n",
    "size": b"ctorch\nSize\n",
    "storage": b"ctorch\nFloatStorage\n",
    "dtype": b"ctorch\nfloat32\n",
    "module": b"clookalike.models.tensor_pickle\n_STORAGES\n",
    "unpickler": b"clookalike.data.inert_pickle\nMachine\n",
    "list": b"]",
    "tuple": b")",
    "sys": b"csys\nmodules\n",
}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_outside_the_result_can_be_changed(target: str, tmp_path: Path) -> None:
    made = TARGETS[target]
    evil = (
        b"}("
        + b"".join(
            string(name) + b"cos\nsystem\n"
            for name in (
                "__new__",
                "__call__",
                "__setstate__",
                "find_class",
                "append",
                "__class__",
                "__dict__",
                "items",
            )
        )
        + b"u"
    )
    classes = (inert_pickle.Inert, inert_pickle.Name, inert_pickle.Machine, torch_pickle._TorchMachine)
    classes += (torch_pickle.StorageDescription, torch_pickle.TensorDescription)
    before = {kind: dict(vars(kind)) for kind in classes}
    tables = {name: dict(getattr(torch_pickle, name)) for name in ("_STORAGES", "_DTYPES", "_BUILDERS")}
    modules = dict(sys.modules)
    ends = (
        b"b",
        b"",
        b"N" + evil + b"\x86b",  # BUILD with a state, with slots
    )
    contents = [
        made + evil + ends[0],
        made + ends[2],
        made + b"(" + evil + b"e",
        made + b"(" + evil + b"\x90",
        made + string("a") + evil + b"s",
        made + b"(" + evil + b"tR" + evil + b"b",
    ]
    for content in contents:
        Pickle(tensor_pickle(0, (4,), (1,))[:-2] + string("c") + content + b"u.").save(tmp_path / "w.pt")
        tensors = read_or_refused(tmp_path / "w.pt")
        assert tensors is None or tensors["a"].tolist() == [0, 0, 0, 0]
    assert {kind: dict(vars(kind)) for kind in classes} == before
    assert {name: dict(getattr(torch_pickle, name)) for name in tables} == tables
    assert all(sys.modules[name] is kept for name, kept in modules.items())


def content(*parts: bytes) -> Any:
    return unpickled(io.BytesIO(b"".join(parts))).content


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.load", "torch.Tensor", "copyreg._reconstructor"])
def test_a_name_is_only_a_name(name: str) -> None:
    module, _, function = name.rpartition(".")
    pickled = f"c{module}\n{function}\n".encode()
    assert content(pickled, b".") == inert_pickle.Name(module, function)
    assert content(pickled, b"(tR.") is inert_pickle.INERT
    assert content(pickled, b"(t\x81.") is inert_pickle.INERT
    assert not hasattr(inert_pickle.INERT, "__dict__")


def test_every_opcode_of_python_is_known() -> None:
    known = {name.upper().removeprefix("_") for name in vars(inert_pickle.Machine)} | {"STOP", "EXT1", "EXT2", "EXT4"}
    known |= inert_pickle._VALUES | inert_pickle._NO_EFFECT | {*inert_pickle._CONSTANTS, *inert_pickle._TUPLES}
    assert {opcode.name for opcode in pickletools.opcodes} <= known


PLAIN = (
    {"a": [1, 2.5, "x", None, True, (1, (2,)), {"b": -(2**70)}], "empty": [{}, [], ()], "text": "\u00e4\n"},
    [{"shared": (1, 2)}] * 3,
    collections.OrderedDict(a=1, b=collections.OrderedDict(c=2)),
    collections.defaultdict(list, {"a": [1]}),
)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values_come_back_in_every_protocol(value: Any, protocol: int) -> None:
    assert content(pickle.dumps(value, protocol)) in (value, json.loads(json.dumps(value, default=str)))


def nested(depth: int) -> bytes:
    """{((((...)))): 1}"""
    return b"\x80\x02})" + b"\x85" * depth + b"K\x01s."


def shared(doublings: int) -> bytes:
    """{((t, t), (t, t)): 1}, each tuple twice in the next: its hash visits 2 ** doublings."""
    steps = [b"q" + bytes([place]) + b"h" + bytes([place]) + b"\x86" for place in range(doublings)]
    return b"\x80\x02})" + b"".join(steps) + b"K\x01s."


HOSTILE = {
    "deep tuples as a key": nested(300_000),
    "deep tuples in a set": b"\x80\x04\x8f()" + b"\x85" * 300_000 + b"\x90.",
    "deep tuples in a frozenset": b"\x80\x04()" + b"\x85" * 300_000 + b"\x91.",
    "deep tuples as keys of an OrderedDict": b"ccollections\nOrderedDict\n(]])"[:-1]
    + b")"
    + b"\x85" * 300_000
    + b"aK\x01aatR.",
    "shared tuples as a key": shared(90),
    "a bytearray of 2e9": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x94\x35\x77\x85R.",
    "a bytearray that is not there": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
    "text that is not there": b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x.",
    "a number beyond its own length": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "deep lists": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "deep dicts": b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 100_000 + b"K\x01" + b"s" * 100_000 + b".",
    "a list inside itself": b"\x80\x02]q\x00h\x00a.",
}


def test_a_pickle_cannot_take_the_process_its_time_or_its_memory(tmp_path: Path) -> None:
    """In a process of its own, as some of them would end this one."""
    files = [tmp_path / f"{number}.pt" for number in range(len(HOSTILE))]
    for file, pickled in zip(files, HOSTILE.values(), strict=True):
        Pickle(pickled).save(file)
    code = (
        "import resource, sys; from lookalike.models import checkpoint_tensors as c; from pathlib import Path\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (120, 120)); before = peak()\n"
        "for file in sys.argv[1:]:\n"
        "    try: c.read_tensors(Path(file))\n"
        "    except c.TensorsError as error: print(error)\n"
        "print((peak() - before) >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True)
    *said, mebibytes = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(said)) == (0, "", len(HOSTILE))
    for line in said:
        assert re.match(r"[^\n]+\.pt: (expected a state dict|not readable as plain tensors)", line)
    assert int(mebibytes) < 400


def test_a_pickle_of_very_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert_pickle, "MAX_OPCODES", 100)
    with pytest.raises(pickle.UnpicklingError, match="it has more than 100 parts"):
        content(b"\x80\x02", b"]" * 200, b".")


STRICT = {
    "a key is a tuple, expected text or a number": pickle.dumps({(1, 2): 3}, 2),
    "it calls builtins.bytearray": HOSTILE["a bytearray of 2e9"],
    "it calls os.system": b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("text", STRICT)
def test_before_torch_reads_a_file_it_must_be_strict(text: str) -> None:
    unpickled(io.BytesIO(STRICT[text]))
    with pytest.raises(pickle.UnpicklingError, match=text):
        unpickled(io.BytesIO(STRICT[text]), strict=True)
    unpickled(io.BytesIO(pickle.dumps({1: {"a": (1, 2)}, None: 2, 2.5: True}, 2)), strict=True)


def test_a_warm_extension_registry_is_not_used(tmp_path: Path) -> None:
    """copyreg hands out what it looked up before without asking anybody."""
    target = tmp_path / "made"
    copyreg.add_extension("posix", "system", 0xF1)
    try:
        content = b"\x80\x02\x82\xf1" + string(f"touch {target}") + b"\x85R."
        pickle.loads(content)  # warms the registry, and shows that this pickle acts
        assert target.exists()
        target.unlink()
        Pickle(content).save(tmp_path / "w.pt")
        with pytest.raises(TensorsError, match="extension registry"):
            read_tensors(tmp_path / "w.pt")
        assert not target.exists()
    finally:
        copyreg.remove_extension("posix", "system", 0xF1)
        copyreg.clear_extension_cache()
