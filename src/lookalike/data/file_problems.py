"""Files of a data set that are not there, or that no image can be in: what a look at their size tells."""

import stat

from lookalike.data.manifest import Manifest
from lookalike.settings.paths import address_advice


def file_problems(manifest: Manifest) -> list[str]:
    """In words, one for each file; nothing is opened.

    Args:
        manifest: The data set.
    """
    problems = []
    for path in filter(str.strip, manifest.table["path"].unique()):  # empty ones are told with their rows
        try:
            status = manifest.file(path).stat()
        except OSError as error:
            closed = isinstance(error, PermissionError)
            way_out = "check the permissions of its folder" if closed else "restore the file or remove its row"
            problems.append(address_advice(path) or f"{path}: {error.strerror}: {way_out}")
            continue
        if stat.S_ISDIR(status.st_mode):
            problems.append(f"{path}: a folder, expected an image file: correct or remove its row")
        elif status.st_size == 0:
            problems.append(f"{path}: zero bytes: replace or remove the file")
    return problems
