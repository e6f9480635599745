"""The file of Oxford and Paris revisited that says which images are right for which query: pickle, MATLAB or JSON.

Radenović et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking", CVPR 2018, and the authors'
code (github.com/filipradenovic/revisitop): `imlist` and `qimlist` are names without `.jpg`; `gnd` has for each query
`bbx` (x1, y1, x2, y2) and the places in `imlist`, from 0 (in MATLAB from 1), that are `easy`, `hard` and `junk`. The
pickle is read opcode by opcode with stand-ins, so nothing in it is executed.
"""

import io
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.inert_pickle import Machine, Name, ordered_dict, run
from lookalike.data.layouts.matlab import read_records
from lookalike.data.table_file import decode, read_text_file
from lookalike.data.tables import ManifestError

_LISTS = ("easy", "hard", "junk")
_LARGEST = 1 << 28  # bytes of a pickle; that of Paris has less than one million
_KINDS = "iuf"  # of the numbers of an array


@dataclass(frozen=True)
class GroundTruth:
    """What the file says.

    Attributes:
        images: Names of the images that are searched, without `.jpg`.
        queries: Names of those that ask.
        boxes: x1, y1, x2, y2 of each query.
        places: For each query, the places of easy, hard and junk images among `images`.
    """

    images: list[str]
    queries: list[str]
    boxes: list[tuple[float, ...]]
    places: list[dict[str, list[int]]]


def read_ground_truth(file: Path) -> GroundTruth:
    """Reads and checks the file.

    Args:
        file: Its name ends in .pkl, .mat or .json.

    Raises:
        ManifestError: It cannot be read, or does not say what it should.
    """
    try:
        content, first = _content(file)
        images, queries = (_texts(content, name) for name in ("imlist", "qimlist"))
        gnd = content.get("gnd")
        if not isinstance(gnd, list) or len(gnd) != len(queries) or not all(isinstance(part, Mapping) for part in gnd):
            raise ValueError(f"expected gnd with a record for each of {len(queries)} queries")
        if gnd and "easy" not in gnd[0]:
            raise ValueError("no easy and hard images: the first annotation, not the revisited one (gnd_roxford5k.pkl)")
        places = [{name: _places(part, name, len(images), first) for name in _LISTS} for part in gnd]
        return GroundTruth(images, queries, [_box(part) for part in gnd], places)
    except (OSError, ValueError, TypeError, OverflowError, pickle.UnpicklingError, RecursionError) as error:
        raise ManifestError(f"{file}: cannot be read as ground truth ({error}): copy it again") from error


def _content(file: Path) -> tuple[Mapping[str, Any], int]:
    """What a file holds, and the number of its first image."""
    if file.suffix == ".mat":
        content = read_records(file)
        return {**content, "gnd": _records(content.get("gnd"))}, 1
    data = read_text_file(file)
    if len(data) > _LARGEST:
        raise ValueError(f"{len(data)} bytes, expected less than {_LARGEST}")
    made = json.loads(decode(data)[0]) if file.suffix == ".json" else _without_arrays(run(io.BytesIO(data), _Reader()))
    if not isinstance(made, Mapping):
        raise ValueError("expected gnd, imlist and qimlist")
    return made, 0


def _records(gnd: object) -> list[dict[str, Any]]:
    """Records of MATLAB as dicts."""
    records = np.atleast_1d(np.asarray([] if gnd is None else gnd))
    return [{name: record[name] for name in records.dtype.names or ()} for record in records]


def _texts(content: Mapping[str, Any], name: str) -> list[str]:
    values = content.get(name)
    texts = [str(text) for text in np.atleast_1d(values)] if isinstance(values, np.ndarray) else values
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"expected {name} with names of images")
    if len({*texts}) != len(texts):
        raise ValueError(f"{name} names an image twice")
    return list(texts)


def _places(part: Mapping[str, Any], name: str, images: int, first: int) -> list[int]:
    values = np.atleast_1d(np.asarray(part.get(name, []), dtype=object)).ravel().tolist()
    places = [int(value) - first for value in values]
    if any(not 0 <= place < images for place in places):
        raise ValueError(f"{name}: expected places of {images} images, from {first}")
    return places


def _box(part: Mapping[str, Any]) -> tuple[float, ...]:
    box = [float(value) for value in np.asarray(part.get("bbx", []), dtype=object).ravel().tolist()]
    if len(box) != 4 or not all(abs(value) < 2**53 for value in box):
        raise ValueError("expected bbx of four numbers for each query")
    return tuple(box)


class _Type:
    """The type of an array of numbers, until its state says in which order its bytes are."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = str(code), "="


class _Array:
    """An array of numbers, empty until its state says what is in it."""

    def __init__(self, *_: object) -> None:
        self.values: list[float] = []


def _scalar(kind: object, data: object) -> object:
    return _numbers(kind, data)[0]


def _bytes(text: object, *_: object) -> object:
    """What pickles of Python 3 in protocol 2 call for bytes."""
    return text.encode("latin-1") if isinstance(text, str) else b""


def _of_buffer(data: object, kind: object, *_: object) -> object:
    """What pickles of protocol 5 call for a whole array."""
    array = _Array()
    array.values = _numbers(kind, data)
    return array


def _numbers(kind: object, data: object) -> list[float]:
    """The numbers in some bytes."""
    if isinstance(data, str):
        data = data.encode("latin-1")  # of Python 2
    if not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray):
        raise ValueError("an array that is none")
    kinds = np.dtype(kind.order + kind.code if kind.order in "<>" else kind.code)
    if kinds.kind not in _KINDS:
        raise ValueError(f"an array of {kinds}, expected numbers")
    values: list[float] = np.frombuffer(data, kinds).tolist()
    return values


_ARRAYS: dict[Name, Callable[..., object]] = {
    Name(f"numpy.{core}.multiarray", name): made
    for core in ("core", "_core")
    for name, made in (("_reconstruct", _Array), ("scalar", _scalar))
}
_ARRAYS |= {Name(f"numpy.{core}.numeric", "_frombuffer"): _of_buffer for core in ("core", "_core")}
_ARRAYS |= {Name(module, "bytes"): lambda *_: b"" for module in ("builtins", "__builtin__")}  # protocols 0 to 2


class _Reader(Machine):
    """Refuses every call but those that make arrays of numbers."""

    def __init__(self) -> None:
        builders: dict[Name, Callable[..., object]] = {
            Name("collections", "OrderedDict"): ordered_dict,
            Name("_codecs", "encode"): _bytes,
        }
        super().__init__(True, {**builders, **_ARRAYS, Name("numpy", "dtype"): _Type})

    def built(self, value: object, state: object) -> object:
        if isinstance(value, _Type) and isinstance(state, tuple) and len(state) > 1:
            value.order = str(state[1])
        elif isinstance(value, _Array) and isinstance(state, tuple) and len(state) == 5:
            value.values = _numbers(state[2], state[4])
        return value


def _without_arrays(value: object) -> object:
    """The same with lists for arrays, three floors deep, which is all that is looked at."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {
            name: _without_arrays(part) if name in (*_LISTS, "bbx", "gnd") else part for name, part in value.items()
        }
    return (
        [_without_arrays(part) if isinstance(part, dict) else part for part in value]
        if isinstance(value, list)
        else value
    )
