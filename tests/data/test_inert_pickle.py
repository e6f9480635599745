"""The reader of pickles without torch; what else is tried on it stands in `models/test_tensor_pickle.py`."""

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from lookalike.data.inert_pickle import INERT, Machine, Name, ordered_dict, run

BUILDERS = {Name("collections", "OrderedDict"): ordered_dict}


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def read(data: bytes, strict: bool = False) -> object:
    return run(io.BytesIO(data), Machine(strict, BUILDERS))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read_as_they_are(protocol: int) -> None:
    value = {"gnd": [{"bbx": [1.5, 2], "easy": [0, 3], "ok": ()}], "names": ["all_souls", "Musée"], "n": None}
    assert read(pickle.dumps(value, protocol)) == value


def test_what_would_act_is_inert(tmp_path: Path) -> None:
    target = tmp_path / "made"
    data = pickle.dumps({"a": Evil(target), "b": 1})
    assert read(data) == {"a": INERT, "b": 1}
    assert not target.exists()
    pickle.loads(data)
    assert target.is_dir()  # so it would have acted


def test_strict_refuses_calls_and_keys(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"it calls posix\.mkdir"):
        read(pickle.dumps(Evil(tmp_path / "made")), strict=True)
    with pytest.raises(pickle.UnpicklingError, match="a key is a tuple, expected text or a number"):
        read(pickle.dumps({(1,): 2}), strict=True)
    assert read(pickle.dumps(OrderedDict(a=1)), strict=True) == {"a": 1}


def test_a_subclass_says_what_names_and_states_mean() -> None:
    class Mine(Machine):
        def named(self, module: str, name: str) -> object:
            return f"{module}:{name}"

        def built(self, value: object, state: object) -> object:
            return (value, state)

        def persistent(self, pid: object) -> object:
            return ("outside", pid)

    def content(data: bytes) -> object:
        return run(io.BytesIO(data), Mine(False, {}))

    assert content(b"cnumpy\ndtype\n.") == "numpy:dtype"
    assert content(b"I1\nI2\nb.") == (1, 2)
    assert content(b"I7\nQ.") == ("outside", 7)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"R.", "it takes from an empty stack"), (b"\x82\x01.", "extension registry"), (b"h\x07.", "put")],
)
def test_damage_is_an_error(data: bytes, text: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match=text):
        read(data)
