"""Files of MATLAB: numbers and names out of them, and what cannot be read is said."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lookalike.data.layouts.matlab import read_matlab, whole_numbers
from lookalike.data.tables import ManifestError


def test_variables_are_read(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"numbers": np.array([[1.0, 2.0]]), "names": np.array(["x.png", "y.png"], object)})
    names, numbers = read_matlab(tmp_path / "a.mat", "names", "numbers")
    assert whole_numbers(numbers, tmp_path).tolist() == [[1, 2]]
    assert [str(name.item()) for name in names.ravel()] == ["x.png", "y.png"]


@pytest.mark.parametrize("start", [b"MATLAB 7.3 MAT-file, Platform: PCWIN64", b"\x89HDF\r\n\x1a\n"])
def test_version_7_3_is_refused_with_the_way_out(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(start.ljust(600, b"\0"))
    with pytest.raises(ManifestError, match=r"a\.mat: of MATLAB 7\.3 \(HDF5\), expected .* save\(\.\.\., '-v7'\)"):
        read_matlab(tmp_path / "a.mat", "x")


@pytest.mark.parametrize("content", [b"", b"no file of MATLAB", bytes(range(256)) * 3])
def test_what_is_no_file_of_matlab_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ManifestError, match=r"a\.mat: no file of MATLAB, or damaged .*: restore it|x is missing"):
        read_matlab(tmp_path / "a.mat", "x")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.arange(500)}, do_compression=True)
    whole = (tmp_path / "a.mat").read_bytes()
    for length in range(0, len(whole) - 1, 37):
        (tmp_path / "a.mat").write_bytes(whole[:length])
        with pytest.raises(ManifestError, match=r"a\.mat: (no file of MATLAB|expected the variables)"):
            read_matlab(tmp_path / "a.mat", "x")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savemat(tmp_path / "a.mat", {"y": np.arange(5)})
    with pytest.raises(ManifestError, match=r"expected the variables x, found .*; x is missing"):
        read_matlab(tmp_path / "a.mat", "x")
    with pytest.raises(ManifestError, match=r"b\.mat: No such file"):
        read_matlab(tmp_path / "b.mat", "x")
    with pytest.raises(ManifestError, match=r"expected whole numbers, found float64"):
        whole_numbers(np.array([1.5]), tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ManifestError, match=r"read with scipy: pip install .*\[audit\]"):
        read_matlab(tmp_path / "a.mat", "y")


def two_cells() -> np.ndarray:
    cells = np.empty(2, object)
    cells[0], cells[1] = np.zeros((1500, 3000)), np.zeros((1500, 3000))
    return cells


@pytest.mark.parametrize("value", [np.zeros((3000, 3000)), two_cells()])
def test_what_unpacks_to_more_than_any_such_file_has_is_refused_before_it_takes_memory(
    tmp_path: Path, value: np.ndarray
) -> None:
    """72 million bytes of zeros, of a file of 72 thousand; in one variable, and in two cells of it."""
    savemat(tmp_path / "a.mat", {"x": value}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 1 << 18
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError, match=r"a\.mat: more than 67108864 bytes when it is unpacked, .*: restore"):
            read_matlab(tmp_path / "a.mat", "x")
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()


def test_variables_of_too_many_numbers_and_large_files_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros((4096, 4097), np.uint8)}, do_compression=True)
    with pytest.raises(ManifestError, match=r"a\.mat: x of 4096 x 4097, expected at most 16777216 numbers: restore it"):
        read_matlab(tmp_path / "a.mat", "x")
    savemat(tmp_path / "b.mat", {"x": np.zeros(2)})
    with (tmp_path / "b.mat").open("r+b") as file:
        file.truncate((1 << 26) + 1)
    with pytest.raises(ManifestError, match=r"b\.mat: 67108865 bytes, expected at most 67108864: restore it"):
        read_matlab(tmp_path / "b.mat", "x")
