"""Pickles that want to act, and tensors that reach too far. Every hostile file is shown to work on who executes it."""

import copyreg
import functools
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checkpoint_files import UNREADABLE, Pickle, opened, read_or_refused, same, state, string, tensor_pickle
from lookalike.models import inert_pickle
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors

DTYPES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "uint16",
    "float8_e4m3fn",
)


@pytest.mark.parametrize("dtype", [getattr(torch, name) for name in DTYPES], ids=str)
def test_every_type_of_number(dtype: torch.dtype, unsafe: Callable[[Any], dict[str, Tensor]]) -> None:
    values = torch.tensor([0, 1, 3, 7]).to(dtype)
    tensors = unsafe({"a": values, "b": nn.Parameter(values, requires_grad=False)})
    assert all(tensors[name].dtype == dtype and torch.equal(tensors[name].float(), values.float()) for name in "ab")


def test_views_parameters_and_shared_storages(unsafe: Callable[[Any], dict[str, Tensor]]) -> None:
    base = torch.arange(24.0).view(4, 6)
    marked = nn.Parameter(base.clone())
    marked.note = "state of a parameter"
    content = {
        "whole": base,
        "transposed": base.T,
        "slice": base[1:3, ::2],
        "scalar": base[2, 3],
        "row": base[3],
        "expanded": torch.ones(1).expand(5),
        "empty": torch.zeros(0, 3),
        "parameter": nn.Parameter(base * 2),
        "marked": marked,
        "buffer": nn.Buffer(base + 1),
    }
    assert same(unsafe(content), content)
    assert not any(tensor.requires_grad for tensor in unsafe(content).values())


def test_tensors_that_are_not_plain_are_left_out(unsafe: Callable[[Any], dict[str, Tensor]], tmp_path: Path) -> None:
    content = {"a": torch.ones(2), "sparse": torch.eye(3).to_sparse(), "c": torch.ones(2, dtype=torch.complex64).conj()}
    assert list(unsafe(content)) == ["a"]
    torch.save({"a": torch.ones(2), "sparse": torch.eye(3).to_sparse()}, tmp_path / "w.pt")
    assert list(read_tensors(tmp_path / "w.pt")) == ["a"]


def test_the_byte_order_of_the_writer(project: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    for dtype in (torch.float32, torch.float64, torch.int16, torch.bfloat16):
        values = torch.arange(6).to(dtype).view(2, 3)
        torch.save({"a": values, "b": project.Config()}, file)

        def swap(name: str, content: bytes, width: int = dtype.itemsize) -> bytes:
            if name.endswith("/byteorder"):
                return b"big"
            if "/data/" not in name:
                return content
            return b"".join(content[i : i + width][::-1] for i in range(0, len(content), width))

        opened(file, swap)
        assert torch.equal(read_tensors(file)["a"], values)
    opened(file, lambda name, content: b"mixed" if name.endswith("/byteorder") else content)
    with pytest.raises(TensorsError, match=UNREADABLE) as caught:
        read_tensors(file)
    assert "unknown byte order b'mixed'" in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "count", "text"),
    [
        (0, (5,), (1,), 4, "reaches beyond its storage 0"),
        (1, (4,), (1,), 4, "reaches beyond its storage 0"),
        (0, (2, 2), (3, 1), 4, "reaches beyond its storage 0"),
        (0, (4,), (1,), 3, "reaches beyond its storage 0"),
        (0, (5,), (1,), 400, "reaches beyond its storage 0"),  # says more than the archive holds
        (0, (2**62, 2**62), (2**62, 1), 2**62, "reaches beyond its storage 0"),
        (2**70, (1,), (1,), 4, "reaches beyond its storage 0"),
        (-1, (4,), (1,), 4, "an impossible shape"),
        (0, (4,), (-1,), 4, "an impossible shape"),
        (0, (-4,), (1,), 4, "an impossible shape"),
        (0, (2, 2), (1,), 4, "an impossible shape"),
        (0, ("x",), (1,), 4, "an impossible shape"),
        (0, (True,), (1,), 4, "an impossible shape"),
        (0, (0, 2**62, 2**62), (1, 1, 1), 4, r"\S"),
    ],
)
def test_a_tensor_must_lie_inside_its_storage(
    offset: int, size: tuple[Any, ...], stride: tuple[int, ...], count: int, text: str, tmp_path: Path
) -> None:
    Pickle(tensor_pickle(0, (2, 2), (2, 1))).save(tmp_path / "w.pt", np.arange(4, dtype=np.float32).tobytes())
    assert read_tensors(tmp_path / "w.pt")["a"].tolist() == [[0, 1], [2, 3]]
    Pickle(tensor_pickle(offset, size, stride, count)).save(tmp_path / "w.pt")
    with pytest.raises(TensorsError, match=UNREADABLE) as caught:
        read_tensors(tmp_path / "w.pt")
    assert caught.match(text)


def test_an_expanded_tensor_takes_no_memory(tmp_path: Path) -> None:
    Pickle(tensor_pickle(0, (10**12,), (0,))).save(tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt")["a"].untyped_storage().nbytes() == 16


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


STAND_INS = (
    "_Inert",
    "_Dict",
    "_Values",
    "_Dtype",
    "_Storage",
    "TensorDescription",
    "_RebuildTensor",
    "_RebuildTyped",
    "_RebuildParameter",
    "_RebuildFromType",
    "_Size",
)


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
    "module": b"clookalike.models.inert_pickle\n_STORAGES\n",
    "unpickler": b"clookalike.models.inert_pickle\n_Unpickler\n",
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
    before = {name: dict(vars(getattr(inert_pickle, name))) for name in STAND_INS}
    tables = {name: dict(getattr(inert_pickle, name)) for name in ("_STORAGES", "_DTYPES", "_STAND_INS")}
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
    assert {name: dict(vars(getattr(inert_pickle, name))) for name in STAND_INS} == before
    assert {name: dict(getattr(inert_pickle, name)) for name in tables} == tables
    assert all(sys.modules[name] is kept for name, kept in modules.items())


def test_the_stand_ins_are_frozen_and_hold_nothing() -> None:
    for name in STAND_INS:
        kind = getattr(inert_pickle, name)
        with pytest.raises(pickle.UnpicklingError, match="sets evil on a class"):
            kind.evil = 1
        with pytest.raises(pickle.UnpicklingError, match="deletes __module__ of a class"):
            del kind.__module__
    for thing in (
        inert_pickle._Inert(),
        inert_pickle._Dict(),
        inert_pickle._Dtype((torch.int8,)),
        inert_pickle.TensorDescription(()),
    ):
        assert not hasattr(thing, "__dict__")
        with pytest.raises(AttributeError, match="evil"):
            thing.evil = 1


def test_the_unpickler_gives_nothing_that_can_be_imported() -> None:
    unpickler = inert_pickle._Unpickler(io.BytesIO(b""))
    for where, name in (
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("collections", "OrderedDict"),
        ("torch", "int8"),
        ("lookalike.models.checkpoint_tensors", "read_tensors"),
        ("torch", "Tensor"),
        ("copyreg", "_reconstructor"),
        ("builtins", "dict.fromkeys"),
        ("torch.storage", "UntypedStorage"),
    ):
        given = unpickler.find_class(where, name)
        assert type(given).__module__ == inert_pickle.__name__
        assert given.__module__ == inert_pickle.__name__


def test_a_pickle_cannot_ask_for_memory_it_does_not_fill(tmp_path: Path) -> None:
    Pickle(b"\x80\x02Nr\xff\xff\xff\x7f0" + tensor_pickle(0, (4,), (1,))[2:]).save(tmp_path / "w.pt")
    with pytest.raises(TensorsError, match="numbers an object beyond its own length"):
        read_tensors(tmp_path / "w.pt")


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
