"""Checkpoints of ours: readable by torch, noticed when a bit of them is another, read without its unpickler."""

import io
import pickle
import random
import re
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from checkpoint_files import Pickle, opened
from lookalike.errors import CheckpointError
from lookalike.models.checkpoint_file import read_checkpoint, write_checkpoint, write_weights
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors
from lookalike.seals import is_whole
from runs import same

REFUSED = r"^[^\n]+: cannot be read \([^\n]+\): give resume=never to start over; the file is kept$"


def content() -> dict[str, Any]:
    torch.manual_seed(0)
    weight = torch.randn(40, 30)
    return {
        "epoch": 3,
        "state_dict": OrderedDict({"a": weight, "b": weight[1:, ::2], "c": torch.nn.Parameter(torch.ones(2))}),
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}, 1: {}}, "param_groups": [{"betas": (0.9, 1)}]}],
        "lookalike": {"history": [{"epoch": 1.0}], "random_state": torch.get_rng_state(), "cuda": []},
        "hyper_parameters": {"settings": {"model.mean": None, "x": True, "y": "text", "z": [1, "two"]}},
        "none": {None: 1, 2.5: 2},
        "dtype": torch.float16,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "last.ckpt", content())
    return tmp_path / "last.ckpt"


def test_torch_reads_it_too_and_finds_the_same(file: Path) -> None:
    plain = {name: value for name, value in content().items() if name != "none"}
    write_checkpoint(file, plain)
    for options in ({}, {"mmap": True}):
        assert same(torch.load(file, weights_only=True, **options), plain)
    assert same(read_checkpoint(file), plain)


def test_everything_comes_back(file: Path) -> None:
    state, expected = read_checkpoint(file), content()
    assert same(state, expected)
    assert list(state) == list(expected)
    assert (
        state["state_dict"]["a"].untyped_storage().data_ptr() == state["state_dict"]["b"].untyped_storage().data_ptr()
    )


def damages(size: int, seed: int, flips: int, zeroed: int) -> Iterator[tuple[int, int]]:
    """(place, bit) of flips, and (place, -1) of 4 kB that become zero."""
    chance = random.Random(seed)
    for place in [*range(8), *range(size - 110, size), *(chance.randrange(size) for _ in range(flips))]:
        yield place, chance.randrange(8)
    for place in [0, size - 4096, *(chance.randrange(size // 4096) * 4096 for _ in range(zeroed))]:
        yield place, -1


def damaged(whole: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(whole)
    if bit >= 0:
        changed[place] ^= 1 << bit
    else:
        changed[place : place + 4096] = bytes(len(changed[place : place + 4096]))
    return bytes(changed)


def test_no_damage_passes_unnoticed(bundle_path: Path, tmp_path: Path) -> None:
    """One bit, or 4 kB of zeros, anywhere in the state of a run."""
    whole = (bundle_path.parents[1] / "checkpoint/tiny/last.ckpt").read_bytes()
    file = tmp_path / "last.ckpt"
    for place, bit in damages(len(whole), 0, 150, 30):
        changed = damaged(whole, place, bit)
        if changed == whole:  # zeros before
            continue
        file.write_bytes(changed)
        with pytest.raises(CheckpointError, match=REFUSED):
            read_checkpoint(file)
    file.write_bytes(whole)
    assert read_checkpoint(file)["epoch"] == 1


def test_of_a_checkpoint_without_a_checksum_every_member_is_checked(file: Path) -> None:
    """As earlier versions and torch itself write it; what lies between the members is nobody's."""
    torch.save(content(), file)
    whole, expected, noticed = file.read_bytes(), content(), 0
    assert is_whole(file) is None
    for place, bit in damages(len(whole), 1, 200, 3):
        file.write_bytes(damaged(whole, place, bit))
        try:
            assert same(read_checkpoint(file), expected), (place, bit)
        except CheckpointError as error:
            assert re.match(REFUSED, str(error))  # noqa: PT017 - both outcomes are right
            noticed += 1
    assert noticed > 150


def test_weights_carry_their_checksum(tmp_path: Path) -> None:
    tensors, file = content()["state_dict"], tmp_path / "best.safetensors"
    write_weights(file, tensors)
    assert is_whole(file) is True
    assert same(load_file(file), dict(tensors))
    assert same(read_tensors(file), dict(tensors))
    whole = file.read_bytes()
    for place, bit in damages(len(whole), 2, 60, 1):
        file.write_bytes(damaged(whole, place, bit))
        if is_whole(file) is None:  # the mark itself
            continue
        with pytest.raises(
            TensorsError, match=r"^[^\n]+\.safetensors: not readable as plain tensors \(its checksum is"
        ):
            read_tensors(file)


def test_a_checksum_of_zeros_that_torch_was_told_to_write_is_none(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content(), tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert list(read_tensors(tmp_path / "w.pt")) == ["a", "b", "c"]


def shared(times: int) -> Any:
    value: Any = (1, 2)
    for _ in range(times):
        value = (value, value)
    return value


def deep(times: int) -> Any:
    value: Any = []
    for _ in range(times):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (shared(40), "it has more than 20000000 parts"),
        (deep(100), "containers nested more than 60 deep"),
        ({1, 2}, r"it calls __builtin__\.set"),
        (2**70, "a number beyond 64 bits"),
        (Path("x"), "it calls pathlib"),
        ({(1, 2): 3}, "a key is a tuple, expected text or a number"),
        (torch.ones(1).expand(10_000), "a tensor has more numbers than its storage"),
        (print, "it holds more than tensors and plain values"),
    ],
    ids=["shared", "deep", "set", "number", "path", "key", "expanded", "name"],
)
def test_what_is_no_plain_value_is_refused(value: Any, text: str, tmp_path: Path) -> None:
    torch.save({"a": value}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=REFUSED) as caught:
        read_checkpoint(tmp_path / "last.ckpt")
    assert caught.match(text)


def test_a_list_inside_itself_is_refused(tmp_path: Path) -> None:
    inside: list[Any] = []
    inside += [inside, inside]
    torch.save({"a": inside}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="containers nested more than 60 deep"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_no_pickle_is_executed(tmp_path: Path) -> None:
    target = tmp_path / "made"
    command = f"touch {target}".encode()
    Pickle(b"\x80\x02}X\x01\x00\x00\x00acos\nsystem\n(S'" + command + b"'\ntRs.").save(tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"it calls os\.system"):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not target.exists()


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (b"", "an empty file"),
        (b"<html>", "a web page saved under this name"),
        (None, "no such file"),
        (pickle.dumps([1]), r"cannot be read \(not written by torch\.save\)"),
    ],
)
def test_a_file_that_is_none_is_told(made: bytes | None, text: str, tmp_path: Path) -> None:
    if made is not None:
        (tmp_path / "last.ckpt").write_bytes(made)
    with pytest.raises(CheckpointError, match=REFUSED) as caught:
        read_checkpoint(tmp_path / "last.ckpt")
    assert caught.match(text)


def test_an_archive_that_torch_never_writes_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(archive.namelist()[0], b"N.")
    with pytest.raises(CheckpointError, match=r"checksum is|two members of one name"):
        read_checkpoint(file)
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(CheckpointError, match=r"cannot be read \(expected a dict\)"):
        read_checkpoint(tmp_path / "list.ckpt")


def test_a_list_of_members_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    """Each of its 46 bytes would take half a kilobyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("w/data.pkl", b"N.")
    whole = buffer.getvalue()
    end = bytearray(whole[-22:])
    place = len(whole) - 22
    entry = whole[int.from_bytes(end[16:20], "little") : place]
    many = entry * (20_000_000 // len(entry))
    end[12:16] = (len(entry) + len(many)).to_bytes(4, "little")
    (tmp_path / "w.pt").write_bytes(whole[:place] + many + bytes(end))
    with pytest.raises(TensorsError, match=r"its list of members takes \d+ bytes, expected 16777216 at most"):
        read_tensors(tmp_path / "w.pt")


def test_a_member_larger_than_its_numbers_is_not_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(4)}, tmp_path / "w.pt")
    opened(tmp_path / "w.pt", lambda name, data: bytes(4_000_000) if name.endswith("data/0") else data)
    with pytest.raises(TensorsError, match="its storage 0 has 4000000 bytes, expected 16"):
        read_tensors(tmp_path / "w.pt")


def test_a_copy_elsewhere_is_as_whole_as_the_file(file: Path, tmp_path: Path) -> None:
    shutil.copyfile(file, tmp_path / "other.ckpt")
    assert same(read_checkpoint(tmp_path / "other.ckpt"), read_checkpoint(file))
