"""Files of other projects, honest, damaged and hostile. Every hostile one is shown to work on who executes it."""

import argparse
import functools
import io
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from lookalike.models import checkpoint_tensors as module
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors

UNREADABLE = r"^[^\n]+: not readable as plain tensors \([^\n]+\): [^\n]*save a state dict or \.safetensors[^\n]*$"


def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"conv.weight": torch.randn(4, 3, 3, 3), "fc.weight": torch.randn(2, 4), "count": torch.tensor(7)}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in expected.items()
    )


def read_or_refused(file: Path) -> dict[str, Tensor] | None:
    """The tensors, or None after a clean error; any other exception comes through."""
    try:
        return read_tensors(file)
    except TensorsError as error:
        if "\n" in str(error):
            raise
        return None


@pytest.fixture
def theirs() -> Iterator[Any]:
    """A module of another project; gone when the file is read."""
    project = types.ModuleType("their_project")
    code = """
import enum
class Config:
    def __init__(self, **values): self.__dict__.update(values)
class Slots:
    __slots__ = ("value",)
    def __init__(self, value): self.value = value
class Items(dict): pass
class Row(list): pass
class Bag(set): pass
class WithNew:
    def __new__(cls, a, *, b): return object.__new__(cls)
    def __getnewargs_ex__(self): return (1,), {"b": 2}
class Colour(enum.Enum): RED = 1
def function(): pass
"""
    sys.modules["their_project"] = project
    exec(code, project.__dict__)
    yield project
    sys.modules.pop("their_project", None)


def extras(theirs: Any) -> dict[str, Any]:
    bag, row, items = theirs.Bag(), theirs.Row(), theirs.Items()
    bag.add(1)
    row.extend([1, 2])
    items.update({"a": 1, "b": 2})
    config = theirs.Config(lr=0.1, inner=theirs.Config())
    return {
        "omegaconf": OmegaConf.create({"model": {"name": "resnet18", "sizes": [1, 2]}, "lr": 0.1}),
        "partial": functools.partial(torch.optim.AdamW, lr=1e-3),
        "namespace": argparse.Namespace(lr=0.1, data="x"),
        "array": np.arange(5.0),
        "scalar": np.float64(0.5),
        "path": pathlib.Path("a/b"),
        "set": {1, "two"},
        "frozenset": frozenset({1}),
        "defaultdict": defaultdict(list, {"a": [1]}),
        "types": [theirs.Config, theirs.function, nn.Linear, int, torch.float16, torch.device("cpu"), torch.Size([2])],
        "objects": [config, theirs.Slots(3), row, bag, items, theirs.WithNew(1, b=2), theirs.Colour.RED, 1j, range(3)],
        "keys": {theirs.Colour.RED: 1, theirs.Config: 2, pathlib.PurePosixPath("x"): 3, (1, theirs.Colour.RED): 4},
        "slice": slice(1, 2),
    }


EXTRAS = ("omegaconf", "partial", "namespace", "array", "scalar", "path", "set", "frozenset", "defaultdict", "types",
          "objects", "keys", "slice")  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", [*EXTRAS, "all"])
def test_a_checkpoint_with_objects_of_another_project_gives_its_tensors(
    name: str, protocol: int, theirs: Any, tmp_path: Path
) -> None:
    values = extras(theirs)
    assert set(values) == set(EXTRAS)
    content = {
        "epoch": 3,
        "state_dict": OrderedDict(state()),
        "hyper_parameters": values if name == "all" else {name: values[name]},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    }
    torch.save(content, tmp_path / "w.ckpt", pickle_protocol=protocol)
    del sys.modules["their_project"]
    if name in ("all", "objects", "omegaconf"):
        with pytest.raises(Exception, match=r"\S"):  # the reason for all this
            torch.load(tmp_path / "w.ckpt", weights_only=True)
    assert same(read_tensors(tmp_path / "w.ckpt"), state())


@pytest.fixture
def unsafe(theirs: Any, tmp_path: Path) -> Callable[[Any], dict[str, Tensor]]:
    """Saves a content beside an object, so that torch's own safe reader cannot read it, and reads it."""

    def roundtrip(content: Any) -> dict[str, Tensor]:
        torch.save({**content, "zz_object": theirs.Config()}, tmp_path / "w.pt")
        with pytest.raises(pickle.UnpicklingError, match="their_project"):
            torch.load(tmp_path / "w.pt", weights_only=True)
        return read_tensors(tmp_path / "w.pt")

    return roundtrip


DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16",
          "float8_e4m3fn")  # fmt: skip


@pytest.mark.parametrize("dtype", [getattr(torch, name) for name in DTYPES], ids=str)
def test_every_type_of_number(dtype: torch.dtype, unsafe: Callable[[Any], dict[str, Tensor]]) -> None:
    values = torch.tensor([0, 1, 3, 7]).to(dtype)
    found = unsafe({"a": values, "b": nn.Parameter(values, requires_grad=False)})
    assert all(found[name].dtype == dtype and torch.equal(found[name].float(), values.float()) for name in "ab")


def test_views_parameters_and_shared_storages(unsafe: Callable[[Any], dict[str, Tensor]]) -> None:
    base = torch.arange(24.0).view(4, 6)
    marked = nn.Parameter(base.clone())
    marked.note = "state of a parameter"
    content = {
        "whole": base, "transposed": base.T, "slice": base[1:3, ::2], "scalar": base[2, 3], "row": base[3],
        "expanded": torch.ones(1).expand(5), "empty": torch.zeros(0, 3), "parameter": nn.Parameter(base * 2),
        "marked": marked, "buffer": nn.Buffer(base + 1),
    }  # fmt: skip
    assert same(unsafe(content), content)
    assert not any(tensor.requires_grad for tensor in unsafe(content).values())


def test_tensors_that_are_not_plain_are_left_out(unsafe: Callable[[Any], dict[str, Tensor]], tmp_path: Path) -> None:
    content = {"a": torch.ones(2), "sparse": torch.eye(3).to_sparse(), "c": torch.ones(2, dtype=torch.complex64).conj()}
    assert list(unsafe(content)) == ["a"]
    torch.save({"a": torch.ones(2), "sparse": torch.eye(3).to_sparse()}, tmp_path / "w.pt")
    assert list(read_tensors(tmp_path / "w.pt")) == ["a"]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"state_dict": {"a": 1}, "model": {"b": 1}}, ["a"]),
        ({"epoch": 2, "model": {"a": 1}, "optimizer": {"x": 1}}, ["a"]),
        ({"model_state_dict": {"a": 1}, "ema": {"b": 1}}, ["a"]),
        ({"net": {"a": 1}}, ["a"]),
        ({"network": {"a": 1}}, ["a"]),
        ({"params": {"a": 1}}, ["a"]),
        ({"teacher": {"b": 1}, "student": {"a": 1}}, ["a"]),
        ({"teacher": {"a": 1}}, ["a"]),
        ({"ema": {"a": 1}, "epoch": 1}, ["a"]),
        ({"model": {"state_dict": {"a": 1}}}, ["a"]),
        ({"model": {"a": 1}, "head": {"weight": 1}, "loss": {"W": 1}}, ["head.weight", "a"]),
        ({"backbone": {"conv": {"weight": 1}}, "head": {"weight": 1}}, ["backbone.conv.weight", "head.weight"]),
        ({"a": 1, "optimizer_state": {"x": 1}, "note": "text", 3: 1}, ["a"]),
        ({"state_dict": {}, "other": {"a": 1}}, ["other.a"]),
        ({"evil\nname": 1, "a": 1}, ["a"]),
    ],
)
def test_where_the_network_is_found(
    content: Any, names: list[str], plain: bool, unsafe: Callable[[Any], dict[str, Tensor]], tmp_path: Path
) -> None:
    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: value if key == "epoch" else filled(value) for key, value in part.items()}
        return torch.ones(2) if part == 1 else part

    if plain:
        torch.save(filled(content), tmp_path / "w.pt")
        assert list(read_tensors(tmp_path / "w.pt")) == names
    else:
        assert list(unsafe(filled(content))) == names


def test_a_dict_inside_itself_ends(unsafe: Callable[[Any], dict[str, Tensor]]) -> None:
    content: dict[str, Any] = {"a": torch.ones(2)}
    content["again"] = content["model"] = content
    assert "a" in unsafe(content)
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {f"k{i}": deep for i in range(20)}
    assert list(unsafe({"a": torch.ones(2), "deep": deep, "state_dict": deep})) == ["a"]


@pytest.mark.parametrize("name", ["w.safetensors", "w.ckpt", "w"])
def test_the_content_tells_the_format_not_the_name(name: str, tmp_path: Path) -> None:
    save_file(state(), tmp_path / name)
    assert same(dict(sorted(read_tensors(tmp_path / name).items())), dict(sorted(state().items())))
    torch.save(state(), tmp_path / name)
    assert same(read_tensors(tmp_path / name), state())
    torch.save(state(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(read_tensors(tmp_path / "old.pt"), state())


def opened(file: Path, change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes a zip archive anew, member by member."""
    with zipfile.ZipFile(file) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            if (changed := change(name, content)) is not None:
                archive.writestr(name, changed)


def test_the_byte_order_of_the_writer(theirs: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    for dtype in (torch.float32, torch.float64, torch.int16, torch.bfloat16):
        values = torch.arange(6).to(dtype).view(2, 3)
        torch.save({"a": values, "b": theirs.Config()}, file)

        def swap(name: str, content: bytes, width: int = dtype.itemsize) -> bytes:
            if name.endswith("/byteorder"):
                return b"big"
            if "/data/" not in name:
                return content
            return b"".join(content[i : i + width][::-1] for i in range(0, len(content), width))

        opened(file, swap)
        assert torch.equal(read_tensors(file)["a"], values)
    opened(file, lambda name, content: b"mixed" if name.endswith("/byteorder") else content)
    with pytest.raises(TensorsError, match=UNREADABLE) as told:
        read_tensors(file)
    assert "unknown byte order b'mixed'" in str(told.value)


class Pickle:
    """A pickle by hand: the names a file asks for, without this process having them."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def save(self, file: Path, storage: bytes = bytes(16)) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("w/data.pkl", b"".join(self.parts))
            archive.writestr("w/data/0", storage)


def tensor_pickle(offset: int, size: tuple[Any, ...], stride: tuple[int, ...], count: int = 4) -> bytes:
    """{'a': tensor, 'b': unknown.Thing} with any numbers in it."""
    return b"".join(
        (
            b"\x80\x02}(X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage",
            b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
            pickle.dumps(count, 2)[2:-1], b"tQ", pickle.dumps(offset, 2)[2:-1], pickle.dumps(size, 2)[2:-1],
            pickle.dumps(stride, 2)[2:-1], b"\x89ccollections\nOrderedDict\n)RtR",
            b"X\x01\x00\x00\x00bcunknown\nThing\n)Ru.",
        )
    )  # fmt: skip


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
    with pytest.raises(TensorsError, match=UNREADABLE) as told:
        read_tensors(tmp_path / "w.pt")
    assert told.match(text)


def test_an_expanded_tensor_takes_no_memory(tmp_path: Path) -> None:
    Pickle(tensor_pickle(0, (10**12,), (0,))).save(tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt")["a"].untyped_storage().nbytes() == 16


def test_archives_that_torch_never_writes_are_refused(theirs: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(10**6), "b": theirs.Config()}, file)
    whole = file.read_bytes()
    for change, compression, text in (
        (lambda _, content: content, zipfile.ZIP_DEFLATED, "is compressed, which torch never does"),
        (lambda name, content: None if name.endswith("data.pkl") else content, zipfile.ZIP_STORED, "not written by"),
        (lambda name, content: None if name.endswith("data/0") else content, zipfile.ZIP_STORED, "no item named"),
        (lambda name, content: content[:-4] if name.endswith("data/0") else content, zipfile.ZIP_STORED, "reaches bey"),
    ):
        file.write_bytes(whole)
        opened(file, change, compression)
        with pytest.raises(TensorsError, match=UNREADABLE) as told:
            read_tensors(file)
        assert text in str(told.value)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in the middle of the zeros
    file.write_bytes(flipped)
    with pytest.raises(TensorsError, match=r"not readable .*Bad CRC-32"):
        read_tensors(file)
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    with pytest.raises(TensorsError, match=r"not readable as plain tensors \(a TorchScript program\): save a state"):
        read_tensors(file)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    Pickle(tensor_pickle(0, (2, 2), (2, 1))).save(file, bytes(10**5))
    with zipfile.ZipFile(file, "a") as archive:
        for name in range(1, 4):
            twin = zipfile.ZipInfo(f"w/data/{name}")
            first = archive.getinfo("w/data/0")
            twin.file_size, twin.compress_size, twin.CRC = first.file_size, first.compress_size, first.CRC
            twin.header_offset = first.header_offset
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    with pytest.raises(TensorsError, match="its members overlap, which torch never does"):
        read_tensors(file)


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


def string(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


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
        + string(command) + b"tNtR.",
        "size": b"ctorch\nSize\n(cos\nsystem\n(" + string(command) + b"tRtR.",
        "persistent": b"(cos\nsystem\n" + string(command) + b"tQ.",
        "two pickles": b"N.cos\nsystem\n(" + string(command) + b"tR.",
    }  # fmt: skip


HAND = ("protocol 0", "INST", "OBJ", "STACK_GLOBAL", "eval", "builtins", "dotted", "NEWOBJ", "NEWOBJ_EX", "BUILD",
        "map", "APPENDS", "rebuilt", "size", "persistent", "two pickles")  # fmt: skip
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


STAND_INS = ("_Inert", "_Dict", "_Values", "_Dtype", "_Storage", "_Lazy", "_RebuildTensor", "_RebuildTyped",
             "_RebuildParameter", "_RebuildFromType", "_Size")  # fmt: skip
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
    "module": b"clookalike.tensors\n_STORAGES\n",
    "unpickler": b"clookalike.tensors\n_Unpickler\n",
    "list": b"]",
    "tuple": b")",
    "sys": b"csys\nmodules\n",
}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_outside_the_result_can_be_changed(target: str, tmp_path: Path) -> None:
    made = TARGETS[target]
    evil = b"}(" + b"".join(
        string(name) + b"cos\nsystem\n"
        for name in ("__new__", "__call__", "__setstate__", "find_class", "append", "__class__", "__dict__", "items")
    ) + b"u"  # fmt: skip
    before = {name: dict(vars(getattr(module, name))) for name in STAND_INS}
    tables = {name: dict(getattr(module, name)) for name in ("_STORAGES", "_DTYPES", "_KNOWN")}
    modules = dict(sys.modules)
    ends = (
        b"b", b"", b"N" + evil + b"\x86b",  # BUILD with a state, with slots
    )  # fmt: skip
    contents = [made + evil + ends[0], made + ends[2], made + b"(" + evil + b"e", made + b"(" + evil + b"\x90",
                made + string("a") + evil + b"s", made + b"(" + evil + b"tR" + evil + b"b"]  # fmt: skip
    for content in contents:
        Pickle(tensor_pickle(0, (4,), (1,))[:-2] + string("c") + content + b"u.").save(tmp_path / "w.pt")
        found = read_or_refused(tmp_path / "w.pt")
        assert found is None or found["a"].tolist() == [0, 0, 0, 0]
    assert {name: dict(vars(getattr(module, name))) for name in STAND_INS} == before
    assert {name: dict(getattr(module, name)) for name in tables} == tables
    assert all(sys.modules[name] is kept for name, kept in modules.items())


def test_the_stand_ins_are_frozen_and_hold_nothing() -> None:
    for name in STAND_INS:
        kind = getattr(module, name)
        with pytest.raises(pickle.UnpicklingError, match="sets evil on a class"):
            kind.evil = 1
        with pytest.raises(pickle.UnpicklingError, match="deletes __module__ of a class"):
            del kind.__module__
    for thing in (module._Inert(), module._Dict(), module._Dtype((torch.int8,)), module._Lazy(())):
        assert not hasattr(thing, "__dict__")
        with pytest.raises(AttributeError, match="evil"):
            thing.evil = 1


def test_the_unpickler_gives_nothing_that_can_be_imported() -> None:
    unpickler = module._Unpickler(io.BytesIO(b""))
    for where, name in (("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("torch", "load"),
                        ("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict"), ("torch", "int8"),
                        ("lookalike.models.checkpoint_tensors", "read_tensors"), ("torch", "Tensor"),
                        ("copyreg", "_reconstructor"),
                        ("builtins", "dict.fromkeys"), ("torch.storage", "UntypedStorage")):  # fmt: skip
        given = unpickler.find_class(where, name)
        assert type(given).__module__ == module.__name__
        assert given.__module__ == module.__name__


def test_a_pickle_cannot_ask_for_memory_it_does_not_fill(tmp_path: Path) -> None:
    Pickle(b"\x80\x02Nr\xff\xff\xff\x7f0" + tensor_pickle(0, (4,), (1,))[2:]).save(tmp_path / "w.pt")
    with pytest.raises(TensorsError, match="numbers an object beyond its own length"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize("what", ["config", "old config", "plain", "safetensors"])
def test_truncated_files_give_the_clean_error(what: str, theirs: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    content = {"state_dict": state(), "config": theirs.Config()} if "config" in what else state()
    if what == "safetensors":
        save_file(content, file)
    else:
        torch.save(content, file, _use_new_zipfile_serialization="old" not in what)
    whole = file.read_bytes()
    for cut in {*range(0, 40), *range(40, len(whole) - 1, max(1, len(whole) // 120)), len(whole) - 1}:
        file.write_bytes(whole[:cut])
        with pytest.raises(TensorsError, match=UNREADABLE):
            read_tensors(file)


def test_damaged_pickles_give_the_clean_error_or_the_tensors(theirs: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "config": theirs.Config()}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as archive:
        content = archive.read("w/data.pkl")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        Pickle(bytes(damaged)).save(tmp_path / "d.pt", bytes(500))
        refused += read_or_refused(tmp_path / "d.pt") is None
    assert refused > 100


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_give_the_clean_error(seed: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(seed).bytes(3000)
    for start in (b"", b"PK\x03\x04", b"\x80\x02", b"\x10\x00\x00\x00\x00\x00\x00\x00{"):
        (tmp_path / "w.pt").write_bytes(start + noise)
        with pytest.raises(TensorsError, match=UNREADABLE):
            read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", r"not readable as plain tensors \(an empty file\): copy or download the file itself again"),
        (b"<!DOCTYPE html><html>", r"\(a web page saved under this name\): copy or download the file itself again"),
        (b"\n  <html>", r"\(a web page saved under this name\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", r"found a git-lfs pointer to them: run git"),
        (b"{}", r"not readable as plain tensors \(.+\): save a state dict or \.safetensors, or copy"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["w.ckpt", "w.safetensors"])
def test_what_is_no_checkpoint_is_told(content: bytes, text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TensorsError, match=text) as told:
        read_tensors(tmp_path / name)
    assert str(told.value).startswith(str(tmp_path / name))
    assert "\n" not in str(told.value)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(TensorsError, match=r"none\.pth: no such file: give the path of a \.safetensors, \.pth"):
        read_tensors(tmp_path / "none.pth")
    with pytest.raises(TensorsError, match=r"expected a file of tensors, found a folder: give the file in it"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("content", [[1], 7, {}, {"state_dict": 3}, {1: torch.ones(1)}, torch.ones(2)], ids=str)
def test_a_file_without_named_tensors_is_refused(content: Any, theirs: Any, tmp_path: Path) -> None:
    for value in (content, [content, theirs.Config()]):
        torch.save(value, tmp_path / "w.pt")
        with pytest.raises(TensorsError, match="expected a state dict, found no named tensors in it: save a"):
            read_tensors(tmp_path / "w.pt")


def test_an_old_file_that_needs_its_pickle_is_refused(theirs: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "c": theirs.Config()}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(TensorsError, match=UNREADABLE) as told:
        read_tensors(tmp_path / "w.pt")
    assert "their_project.Config" in str(told.value)
    assert "weights_only" not in str(told.value)  # torch's message advises to switch the protection off


def test_a_warm_extension_registry_is_not_used(tmp_path: Path) -> None:
    """copyreg hands out what it looked up before without asking anybody."""
    import copyreg

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
