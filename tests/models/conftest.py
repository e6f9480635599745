"""A project that is gone when its checkpoint is read."""

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import devices
from lookalike.models.checkpoint_tensors import read_tensors


@pytest.fixture
def project() -> Iterator[Any]:
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


@pytest.fixture
def unsafe(project: Any, tmp_path: Path) -> Callable[[Any], dict[str, Tensor]]:
    """Saves a content beside an object, so that torch's own safe reader cannot read it, and reads it."""

    def roundtrip(content: Any) -> dict[str, Tensor]:
        torch.save({**content, "zz_object": project.Config()}, tmp_path / "w.pt")
        with pytest.raises(pickle.UnpicklingError, match="their_project"):
            torch.load(tmp_path / "w.pt", weights_only=True)
        return read_tensors(tmp_path / "w.pt")

    return roundtrip


@pytest.fixture(scope="session")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes computed, by rank: one launch for all tests that ask."""
    folder = tmp_path_factory.mktemp("two")
    file = str(Path(__file__).parents[1] / "two_processes.py")
    code = f"import runpy\nrunpy.run_path({file!r}, run_name='__main__')"
    for done in devices.together(code, str(folder), cwd=folder):
        assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
