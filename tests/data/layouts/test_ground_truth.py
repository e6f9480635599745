"""The file of the revisited benchmarks in every form it is about in; a pickle that wants to act does not."""

import copy
import json
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.data.layouts.ground_truth import read_ground_truth
from lookalike.data.tables import ManifestError
from made_retrieval import LANDMARKS, Photographs, revisited


def with_arrays(kind: type) -> dict[str, Any]:
    """As some tools write it: arrays of numpy for lists."""
    made: dict[str, Any] = copy.deepcopy(LANDMARKS)
    for part in made["gnd"]:
        for name in ("easy", "hard", "junk"):
            part[name] = np.array(part[name], kind)
        part["bbx"] = np.array(part["bbx"])
    return made


def check(file: Path) -> None:
    truth = read_ground_truth(file)
    assert truth.images == LANDMARKS["imlist"]
    assert truth.queries == LANDMARKS["qimlist"]
    assert truth.boxes == [tuple(part["bbx"]) for part in LANDMARKS["gnd"]]
    assert truth.places == [{name: part[name] for name in ("easy", "hard", "junk")} for part in LANDMARKS["gnd"]]


@pytest.mark.parametrize("suffix", [".pkl", ".mat", ".json"])
def test_every_form_says_the_same(tmp_path: Path, photographs: Photographs, suffix: str) -> None:
    check(revisited(tmp_path, photographs, suffix) / f"gnd_roxford5k{suffix}")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.dtype(">i4"), np.float64])
def test_arrays_of_numpy_are_read_whatever_wrote_them(tmp_path: Path, protocol: int, kind: type) -> None:
    file = tmp_path / "gnd_roxford5k.pkl"
    file.write_bytes(pickle.dumps(with_arrays(kind), protocol))
    check(file)


def test_names_of_numpy_before_version_2_are_known(tmp_path: Path) -> None:
    file = tmp_path / "gnd_roxford5k.pkl"
    data = pickle.dumps(with_arrays(np.int64), 2)
    assert b"numpy._core.multiarray" in data
    file.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    check(file)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.mkdir, (self.folder,))


def test_a_pickle_that_wants_to_act_is_refused_and_does_not(tmp_path: Path) -> None:
    file, target = tmp_path / "gnd_roxford5k.pkl", tmp_path / "made"
    file.write_bytes(pickle.dumps({**LANDMARKS, "more": Evil(target)}))
    with pytest.raises(ManifestError, match=r"gnd_roxford5k\.pkl: cannot be read as ground truth \(it calls "):
        read_ground_truth(file)
    assert not target.exists()
    pickle.loads(file.read_bytes())
    assert target.is_dir()  # so it would have acted


def changed(**parts: object) -> dict[str, Any]:
    return {**LANDMARKS, **parts}


def first_query(**parts: object) -> dict[str, Any]:
    gnd = copy.deepcopy(LANDMARKS["gnd"])
    gnd[0].update(parts)
    return changed(gnd=gnd)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1], "expected gnd, imlist and qimlist"),
        (changed(imlist=["a", 7]), "expected imlist with names of images"),
        (changed(imlist=["a", "a"]), "imlist names an image twice"),
        (changed(gnd=LANDMARKS["gnd"][:2]), "expected gnd with a record for each of 4 queries"),
        (
            changed(gnd=[{"ok": [1], "junk": []}] * 4),
            "no easy and hard images: the first annotation, not the revisited",
        ),
        (first_query(hard=[7]), "hard: expected places of 7 images, from 0"),
        (first_query(easy=[-1]), "easy: expected places of 7 images, from 0"),
        (first_query(easy=["x"]), "invalid literal for int"),
        (first_query(easy=[float("inf")]), "cannot convert float infinity to integer"),
        (first_query(bbx=[1, 2, 3]), "expected bbx of four numbers for each query"),
        (first_query(bbx=None), "float"),
    ],
)
def test_what_does_not_say_what_it_should_is_refused(tmp_path: Path, content: object, expected: str) -> None:
    for suffix, data in ((".json", json.dumps(content).encode()), (".pkl", pickle.dumps(content))):
        file = tmp_path / f"gnd_roxford5k{suffix}"
        file.write_bytes(data)
        with pytest.raises(ManifestError, match=f"cannot be read as ground truth .*{expected}.*: copy it again"):
            read_ground_truth(file)


@pytest.mark.parametrize("suffix", [".pkl", ".json", ".mat"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, photographs: Photographs, suffix: str) -> None:
    file = revisited(tmp_path, photographs, suffix) / f"gnd_roxford5k{suffix}"
    whole = file.read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"\x80\x02" + b"]" * 100, pickletools.optimize(pickle.dumps(1))):
        file.write_bytes(data)
        with pytest.raises(ManifestError, match=r"^[^\n]*gnd_roxford5k[^\n]*(copy it again|restore it)[^\n]*$"):
            read_ground_truth(file)
