"""MATLAB's files before version 7.3, read by scipy."""

from pathlib import Path
from typing import Any

from lookalike.data.tables import ManifestError
from lookalike.errors import needing, one_line
from lookalike.special_files import is_special


def matlab_file(file: Path) -> dict[str, Any]:
    """Name -> value of what a MATLAB file holds, axes of length 1 left out; records are records of numpy.

    Args:
        file: Such as `cars_annos.mat`.

    Raises:
        ManifestError: It cannot be read.
        LookalikeError: scipy is not there.
    """
    with needing("audit", f"{file.name}: a MATLAB file, and reading it"):
        from scipy.io import loadmat
    if is_special(file):
        raise ManifestError(f"{file}: a pipe or a device, expected a MATLAB file")
    try:
        content = loadmat(file, squeeze_me=True)
    except Exception as error:  # of damaged files its readers raise anything
        raise ManifestError(
            f"{file}: cannot be read as a MATLAB file ({one_line(error, 120)}): copy it again"
        ) from error
    return {name: value for name, value in content.items() if not name.startswith("__")}
