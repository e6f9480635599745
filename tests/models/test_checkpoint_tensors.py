"""Files of other projects, honest and damaged."""

import argparse
import functools
import pathlib
import sys
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from checkpoint_files import UNREADABLE, Pickle, opened, read_or_refused, same, state, tensor_pickle
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors


def extras(project: Any) -> dict[str, Any]:
    bag, row, items = project.Bag(), project.Row(), project.Items()
    bag.add(1)
    row.extend([1, 2])
    items.update({"a": 1, "b": 2})
    config = project.Config(lr=0.1, inner=project.Config())
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
        "types": [
            project.Config,
            project.function,
            nn.Linear,
            int,
            torch.float16,
            torch.device("cpu"),
            torch.Size([2]),
        ],
        "objects": [
            config,
            project.Slots(3),
            row,
            bag,
            items,
            project.WithNew(1, b=2),
            project.Colour.RED,
            1j,
            range(3),
        ],
        "keys": {project.Colour.RED: 1, project.Config: 2, pathlib.PurePosixPath("x"): 3, (1, project.Colour.RED): 4},
        "slice": slice(1, 2),
    }


EXTRAS = (
    "omegaconf",
    "partial",
    "namespace",
    "array",
    "scalar",
    "path",
    "set",
    "frozenset",
    "defaultdict",
    "types",
    "objects",
    "keys",
    "slice",
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", [*EXTRAS, "all"])
def test_a_checkpoint_with_objects_of_another_project_gives_its_tensors(
    name: str, protocol: int, project: Any, tmp_path: Path
) -> None:
    values = extras(project)
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


def test_archives_that_torch_never_writes_are_refused(project: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(10**6), "b": project.Config()}, file)
    whole = file.read_bytes()
    for change, compression, text in (
        (lambda _, content: content, zipfile.ZIP_DEFLATED, "is compressed, which torch never does"),
        (lambda name, content: None if name.endswith("data.pkl") else content, zipfile.ZIP_STORED, "not written by"),
        (lambda name, content: None if name.endswith("data/0") else content, zipfile.ZIP_STORED, "no item named"),
        (lambda name, content: content[:-4] if name.endswith("data/0") else content, zipfile.ZIP_STORED, "reaches bey"),
    ):
        file.write_bytes(whole)
        opened(file, change, compression)
        with pytest.raises(TensorsError, match=UNREADABLE) as caught:
            read_tensors(file)
        assert text in str(caught.value)
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


@pytest.mark.parametrize("what", ["config", "old config", "plain", "safetensors"])
def test_truncated_files_give_the_clean_error(what: str, project: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    content = {"state_dict": state(), "config": project.Config()} if "config" in what else state()
    if what == "safetensors":
        save_file(content, file)
    else:
        torch.save(content, file, _use_new_zipfile_serialization="old" not in what)
    whole = file.read_bytes()
    for cut in {*range(0, 40), *range(40, len(whole) - 1, max(1, len(whole) // 120)), len(whole) - 1}:
        file.write_bytes(whole[:cut])
        with pytest.raises(TensorsError, match=UNREADABLE):
            read_tensors(file)


def test_damaged_pickles_give_the_clean_error_or_the_tensors(project: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "config": project.Config()}, tmp_path / "w.pt")
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
)
@pytest.mark.parametrize("name", ["w.ckpt", "w.safetensors"])
def test_what_is_no_checkpoint_is_told(content: bytes, text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TensorsError, match=text) as caught:
        read_tensors(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(TensorsError, match=r"none\.pth: no such file: give the path of a \.safetensors, \.pth"):
        read_tensors(tmp_path / "none.pth")
    with pytest.raises(TensorsError, match=r"expected a file of tensors, found a folder: give the file in it"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("content", [[1], 7, {}, {"state_dict": 3}, {1: torch.ones(1)}, torch.ones(2)], ids=str)
def test_a_file_without_named_tensors_is_refused(content: Any, project: Any, tmp_path: Path) -> None:
    for value in (content, [content, project.Config()]):
        torch.save(value, tmp_path / "w.pt")
        with pytest.raises(TensorsError, match="expected a state dict, found no named tensors in it: save a"):
            read_tensors(tmp_path / "w.pt")


OLD = {
    "number": lambda project: {"state_dict": state(), "best": np.float64(0.5)},
    "array": lambda project: {"state_dict": state(), "curve": np.arange(3.0)},
    "object": lambda project: {"state_dict": state(), "config": project.Config(lr=0.1)},
    "plain": lambda project: state(),
    "views": lambda project: {"state_dict": {**state(), "part": torch.arange(24.0).view(4, 6)[1:3, ::2]}},
}


@pytest.mark.parametrize("what", OLD)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_from_before_torch_1_6_is_read_whatever_it_holds(
    what: str, protocol: int, project: Any, tmp_path: Path
) -> None:
    content = OLD[what](project)
    torch.save(content, tmp_path / "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    assert same(read_tensors(tmp_path / "w.pt"), content.get("state_dict", content))


def test_views_of_a_storage_as_torch_wrote_them_before_0_4(tmp_path: Path) -> None:
    """The storage of a tensor is said to be a part of another one."""
    torch.save({"a": torch.arange(6.0)}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "w.pt").read_bytes()
    place = whole.index(b"N", whole.index(b"cpu"))
    key = whole[whole.index(b"FloatStorage\n") + 13 :].split(b"X", 1)[1]
    key = key[4 : 4 + int.from_bytes(key[:4], "little")]
    view = b"(X" + len(b"v").to_bytes(4, "little") + b"vK\x02K\x03t"
    numbers = whole[place + 1 :].replace(b"K\x00K\x06\x85", b"K\x00K\x03\x85", 1)
    (tmp_path / "w.pt").write_bytes(whole[:place] + view + numbers)
    assert key.isdigit()
    assert read_tensors(tmp_path / "w.pt")["a"].tolist() == [2, 3, 4]
