"""What a table says of images to enrol: their labels, what took them, their boxes and other columns.

`Suggestions.write` makes such a table, and a person edits it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

from lookalike.data.column_names import BOX, own_columns
from lookalike.data.labels import as_label as as_written
from lookalike.gallery.columns import Value
from lookalike.gallery.suggestions import COLUMNS
from lookalike.inference.encoder import Box
from lookalike.inference.image_table import ImageTable, read_image_table
from lookalike.inference.references import GalleryError
from lookalike.settings.paths import path_of
from lookalike.terminal import counted

_OURS = ("path", "label", "camera", *BOX, "split", "role", "ignore")  # no further columns
_OF_SUGGESTIONS = tuple(name for name in COLUMNS if name not in _OURS)


@dataclass(frozen=True)
class ToEnrol:
    """Images and what is said of each, as `Gallery.add` takes it.

    Attributes:
        files: N images.
        labels: One for all or N; None for the name of each file's folder.
        camera: One for all or N; None where it is not known.
        columns: Name -> one value for all, or N.
        boxes: N, None for a whole image; None where all are whole.
        notes: What was passed over, a line each.
        problems: What cannot be enrolled, a line each.
    """

    files: list[Path]
    labels: str | list[str] | None = None
    camera: int | list[int | None] | None = None
    columns: dict[str, Value | list[Value]] = field(default_factory=dict)
    boxes: list[Box | None] | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_enrolment(
    table: str | Path,
    label: str | None = None,
    camera: int | None = None,
    columns: Mapping[str, Value] | None = None,
) -> ToEnrol:
    """Reads a `.csv`, `.tsv` or `.parquet` table with columns path, label, camera, x1, y1, x2, y2 and any others.

    A row without a label is passed over where there is a column of labels; so an edited `suggestions.csv` gives what is
    to be enrolled, and as what. What is given here wins over the table.

    Args:
        table: The file; paths in it start from its folder.
        label: Of all images; None for the column, or else the name of each file's folder.
        camera: Of all images; None for the column, where there is one.
        columns: What else is known of all images.

    Raises:
        PredictError: No table, without a column path, or without a row.
        GalleryError: No row has a label, two columns mean the same, or a camera is no number.
    """
    read = read_image_table(path_of(table, "read_enrolment"))
    try:
        places = own_columns(read.names, {}, _OURS)
    except ValueError as error:
        raise GalleryError(f"{table}: {error}") from error
    texts = None if label is not None or "label" not in places else read.columns[places["label"]]
    wanted = [row for row in range(len(read)) if texts is None or texts[row].strip()]
    problems = {row: read.problems[row] for row in wanted if row in read.problems}
    usable = [row for row in range(len(read)) if row not in read.problems]
    files = dict(zip(usable, range(len(read.files)), strict=True))  # row -> place among the files
    kept = [row for row in wanted if row in files]
    if texts is not None:
        twice = _twice([(row, read.files[files[row]], read.boxes[files[row]], as_written(texts[row])) for row in kept])
        problems |= twice
        kept = [row for row in kept if row not in twice]
    if not kept and not problems:
        raise GalleryError(f"{table}: no row has a label: write it into the column label, or give label=")
    cameras = None
    if camera is None and "camera" in places:
        cameras = [_camera(read.columns[places["camera"]][row], str(table)) for row in kept]
    passed = len(read) - len(wanted)
    return ToEnrol(
        [read.files[files[row]] for row in kept],
        label if texts is None else [texts[row] for row in kept],
        camera if cameras is None else cameras,
        {**_others(read, places, kept), **(columns or {})},
        [read.boxes[files[row]] for row in kept],
        (f"{counted(passed, 'row')} without a label passed over",) if passed else (),
        tuple(f"row {row + 2}: {text}" for row, text in sorted(problems.items())),
    )


def _twice(rows: list[tuple[int, Path, Box | None, str]]) -> dict[int, str]:
    """Row -> what is wrong with it, of those whose image has another label further up."""
    labels: dict[tuple[Path, Box | None], str] = {}
    return {
        row: f"{file}: label {label!r} here, {labels[file, box]!r} above: keep one"
        for row, file, box, label in rows
        if labels.setdefault((file, box), label) != label
    }


def _others(read: ImageTable, places: dict[str, int], kept: list[int]) -> dict[str, Value | list[Value]]:
    """Columns that are kept to filter by, without those that `Suggestions.write` makes."""
    names = {name.strip(): place for name, place in places.items() if name not in _OURS}
    if set(names) >= set(_OF_SUGGESTIONS):
        names = {name: place for name, place in names.items() if name not in _OF_SUGGESTIONS}
    return {name: [read.columns[place][row] or None for row in kept] for name, place in names.items()}


def _camera(text: str, table: str) -> int | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not number.is_integer():
        raise GalleryError(
            f"{table}: camera {text!r}: expected a whole number: call the column otherwise (place, say) to keep names"
        )
    return int(number)
