"""Images that ask and, byte for byte, also answer: a query would find itself, whatever its file is called."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.files import sha256_of

Box = tuple[float, float, float, float]


def without_copies(
    protocol: Protocol,
    file: Callable[[str], Path],
    boxes: tuple[Sequence[Box | None], Sequence[Box | None]],
    keep: bool = False,
) -> Protocol:
    """The protocol in which no query finds a copy of its own image under its own label.

    Of references with the same bytes, box and label as a query the first stays and is the query's own row; further
    ones answer nobody. A copy under another label stays: it shows that labels disagree.

    Args:
        protocol: Who asks and who answers.
        file: Where the image of a path lies.
        boxes: Of queries and of references.
        keep: Count the copies, and let them answer.
    """
    queries, references = protocol.queries, protocol.references
    content = _contents([*queries["path"], *references["path"]], file)
    if not content:
        return protocol
    first: dict[tuple[str, Box | None, str], int] = {}
    sides = zip(references["path"], boxes[1], references["label"], strict=True)
    keys = [(content.get(path, path), box, label) for path, box, label in sides]
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    own_row, asked, copied = protocol.own_row.copy(), set(), 0
    sides = zip(queries["path"], boxes[0], queries["label"], strict=True)
    several = {key for row, key in enumerate(keys) if first[key] != row}
    for place, (path, box, label) in enumerate(sides):
        key = (content.get(path, path), box, label)
        if key in first and (own_row[place] != first[key] or key in several):
            own_row[place] = first[key]
            asked.add(key)
            copied += 1
    if keep or not copied:
        return replace(protocol, copies=copied, copies_kept=keep)
    surplus = np.array([first[key] != row and key in asked for row, key in enumerate(keys)], bool)
    references = references.assign(ignore=references["ignore"].to_numpy(bool) | surplus)
    return replace(protocol, references=references, own_row=own_row, copies=copied)


def _contents(paths: list[str], file: Callable[[str], Path]) -> dict[str, str]:
    """SHA-256 of each file that has the size of another one; none where all sizes differ."""
    sizes: dict[int, set[str]] = {}
    for path in set(paths):
        if file(path).is_file():
            sizes.setdefault(file(path).stat().st_size, set()).add(path)
    return {path: sha256_of(file(path)) for alike in sizes.values() if len(alike) > 1 for path in alike}
