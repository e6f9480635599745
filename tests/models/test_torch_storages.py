"""Tensors of every type of number, and tensors that reach too far."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checkpoint_files import UNREADABLE, Pickle, opened, same, string, tensor_pickle
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


def test_a_storage_has_one_type(tmp_path: Path) -> None:
    """Read under every type it would take the memory of all of them."""
    first = tensor_pickle(0, (4,), (1,))[2:-2]
    second = tensor_pickle(0, (2,), (1,))[3:].replace(b"FloatStorage", b"DoubleStorage")
    inner = second[second.index(b"ctorch._utils") : second.index(b"X\x01\x00\x00\x00bcunknown")]
    Pickle(b"\x80\x02" + first + string("c") + inner + b"u.").save(tmp_path / "w.pt", bytes(32))
    with pytest.raises(TensorsError, match="its storage 0 has two types, which torch never writes"):
        read_tensors(tmp_path / "w.pt")


def test_an_old_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(100)}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[:-4])
    with pytest.raises(TensorsError, match="ends behind the file: it is cut off"):
        read_tensors(tmp_path / "w.pt")
