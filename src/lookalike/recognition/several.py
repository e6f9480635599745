"""The checkpoints among several files and folders."""

import re
from pathlib import Path

from lookalike.errors import CheckpointError
from lookalike.recognition.graphs import is_graph
from lookalike.special_files import is_special

_ENDINGS = re.compile(r"\.(pth?|ckpt|safetensors|tar|bin|pkl|weights)(-\d+)?$", re.IGNORECASE)


def checkpoints_in(places: list[Path]) -> list[Path]:
    """Files as they are given, and what in folders is one by the end of its name, in the order of their names.

    Args:
        places: Files and folders.

    Raises:
        CheckpointError: A folder has none.
    """
    files: list[Path] = []
    for place in places:
        if not place.is_dir():
            files.append(place)
            continue
        inside = [file for file in sorted(place.rglob("*")) if _is_checkpoint(file)]
        if not inside:
            raise CheckpointError(f"{place}: no checkpoint in this folder: give a file, such as one that ends in .pth")
        files += inside
    return files


def _is_checkpoint(file: Path) -> bool:
    """Weights beside a graph (`model.bin` of `model.xml`) are part of it."""
    if not file.is_file() or is_special(file) or any(part.startswith(".") for part in file.parts[-2:]):
        return False
    named = bool(_ENDINGS.search(file.name)) or is_graph(file)
    return named and not (file.suffix == ".bin" and file.with_suffix(".xml").is_file())
