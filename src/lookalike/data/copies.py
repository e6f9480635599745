"""Images that ask and, byte for byte, also answer: a query would find itself, whatever its file is called."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.files import sha256_of

Box = tuple[float, float, float, float]
_Image = tuple[str, Box | None]  # content or path, and the part of it


def without_copies(
    protocol: Protocol,
    file: Callable[[str], Path],
    boxes: tuple[Sequence[Box | None], Sequence[Box | None]],
    keep: bool = False,
) -> Protocol:
    """The protocol in which no query finds a copy of its own image, whatever the label of the copy is.

    Of the references with the same bytes and box as a query one stays and is the query's own row: the first of the
    query's label, else the first; the others answer nobody. A copy under another label is an error of labels, which
    an audit finds; ranked, it would answer with a similarity of 1 and hide what the model knows.

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
    ignored = references["ignore"].to_numpy(bool)
    keys = [(content.get(path, path), box) for path, box in zip(references["path"], boxes[1], strict=True)]
    of_label: dict[tuple[_Image, str], int] = {}
    first: dict[_Image, int] = {}
    several: set[_Image] = set()
    for row, (key, label) in enumerate(zip(keys, references["label"], strict=True)):
        if not ignored[row]:
            of_label.setdefault((key, label), row)
            if first.setdefault(key, row) != row:
                several.add(key)
    own_row, own, copied = protocol.own_row.copy(), dict[_Image, int](), 0
    for place, (path, box, label) in enumerate(zip(queries["path"], boxes[0], queries["label"], strict=True)):
        key = (content.get(path, path), box)
        if key in first and (own_row[place] != first[key] or key in several):
            own_row[place] = own.setdefault(key, of_label.get((key, label), first[key]))
            copied += 1
    if keep or not copied:
        return replace(protocol, copies=copied, copies_kept=keep)
    surplus = np.array([own.get(key, row) != row for row, key in enumerate(keys)], bool)
    return replace(protocol, references=references.assign(ignore=ignored | surplus), own_row=own_row, copies=copied)


def _contents(paths: list[str], file: Callable[[str], Path]) -> dict[str, str]:
    """SHA-256 of each file that has the size of another one; none where all sizes differ."""
    sizes: dict[int, set[str]] = {}
    for path in set(paths):
        if file(path).is_file():
            sizes.setdefault(file(path).stat().st_size, set()).add(path)
    return {path: sha256_of(file(path)) for alike in sizes.values() if len(alike) > 1 for path in alike}
