"""A table of images to predict, and the table of what they show: its rows in their order, its columns carried along."""

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.data.column_names import BOX, incomplete_box, own_columns
from lookalike.data.table_file import Cells, named, read_csv, read_parquet
from lookalike.files import readable
from lookalike.inference.encoder import Box
from lookalike.inference.predict import Prediction
from lookalike.inference.queries import PredictError
from lookalike.outputs import write_files
from lookalike.settings.paths import address_advice

if TYPE_CHECKING:
    import pyarrow as pa

RESULTS = ("label", "score", "similarity", "nearest", "unknown", "error")
_TABLES = (".csv", ".tsv", ".parquet")
_WRITTEN = (".csv", ".parquet")
_OTHER_TABLES = (".tsv", ".txt", ".xlsx", ".xls", ".json", ".jsonl", ".feather")  # never the name of a folder


@dataclass(frozen=True)
class ImageTable:
    """Images of a table.

    Attributes:
        source: The table.
        names: Of its columns, each once.
        columns: The text of every cell, a list per column.
        files: Of the rows that name an image.
        boxes: Of the same rows; None for the whole image.
        problems: Row, from 0 -> why it names none.
        whole: Of a Parquet file, all columns as they were read.
    """

    source: Path
    names: list[str]
    columns: list[list[str]]
    files: list[Path]
    boxes: list[Box | None]
    problems: dict[int, str] = field(default_factory=dict)
    whole: "pa.Table | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def truths(self) -> list[str] | None:
        """The cells of the column `label`, of the rows of `files`; None where there is no such column."""
        names = [name.strip().casefold() for name in self.names]
        if "label" not in names:
            return None
        cells = self.columns[names.index("label")]
        return [cells[row] for row in range(len(self)) if row not in self.problems]

    @property
    def parquet_names(self) -> list[str]:
        """Of all columns of a Parquet file, those of lists and records too, each once."""
        names = [] if self.whole is None else self.whole.column_names
        return _each_once([named(name, place) for place, name in enumerate(names)])

    @property
    def nested(self) -> list[str]:
        """Names of the columns of lists and records, which only Parquet holds."""
        return [name for name in self.parquet_names if name not in self.names]

    def with_problems(self, items: Sequence[Prediction]) -> tuple[Prediction, ...]:
        """A prediction per row: those of `files`, and one with its problem for each of the other rows."""
        good = iter(items)
        return tuple(
            Prediction(f"row {row + 2}", None, None, None, (), f"{self.source}: row {row + 2}: {self.problems[row]}")
            if row in self.problems
            else next(good)
            for row in range(len(self))
        )


def is_table(image: str) -> bool:
    """Whether what was asked for is a table of images, by its ending."""
    path = Path(image)
    return path.suffix.lower() in _TABLES and not path.is_dir() and (path.exists() or not has_magic(image))


def writes_table(output: str) -> bool:
    """Whether results are to be written as a table, by the ending.

    Raises:
        PredictError: Another ending of tables.
    """
    suffix = Path(output).suffix.lower()
    if suffix in _OTHER_TABLES:
        raise PredictError(f"output={output}: expected a folder, or a table ending in {' or '.join(_WRITTEN)}")
    return suffix in _WRITTEN


def read_image_table(path: Path) -> ImageTable:
    """Reads a `.csv`, `.tsv` or `.parquet` table with a column `path` and, where only boxes are used, x1, y1, x2, y2.

    Paths are relative to the folder of the table. A row that names no image is a problem of its own.

    Raises:
        PredictError: No table, without a column path, or without a row.
    """
    try:
        cells = read_parquet(path) if path.suffix.lower() == ".parquet" else read_csv(path)
    except FileNotFoundError as error:
        raise PredictError(
            f"image={path}: no such file: give a .csv, .tsv or .parquet table, or images as a file, a folder or a "
            "quoted pattern"
        ) from error
    except OSError as error:
        raise PredictError(f"image={path}: cannot be read ({error.strerror}): see to its permissions") from error
    except ValueError as error:
        raise PredictError(
            f"image={path}: cannot be read as a table ({str(error).splitlines()[0]}): save it again as CSV or Parquet"
        ) from error
    places = _places(path, cells)
    paths = cells.columns[places["path"]]
    if not paths:
        raise PredictError(f"image={path}: no row in the table: expected one per image")
    corners = [cells.columns[places[name]] if name in places else [""] * len(paths) for name in BOX]
    files: list[Path] = []
    boxes: list[Box | None] = []
    problems: dict[int, str] = {}
    for row, (name, *numbers) in enumerate(zip(paths, *corners, strict=True)):
        try:
            box = _box(numbers, cells.separator)
            files.append(_located(name, path.parent))
            boxes.append(box)
        except ValueError as error:
            problems[row] = str(error)
    return ImageTable(path, _each_once(cells.names), cells.columns, files, boxes, problems, cells.whole)


def write_results(items: Sequence[Prediction], output: Path, table: ImageTable | None = None) -> None:
    """Writes a row per prediction, whole or not at all: the columns of the table, then what the image shows.

    What an earlier call wrote there is replaced, anything else kept under a dated name.

    Args:
        items: Of every row of the table, or of any images: then `path` is the only other column.
        output: Ending in `.csv` (UTF-8, separated by commas) or `.parquet` (types kept).
        table: What was read, where it was a table.
    """
    names = table.names if table else ["path"]
    columns: list[list[str]] = table.columns if table else [[item.image for item in items]]
    taken = [*names, *(table.nested if table else [])]
    heads = [name if name not in taken else f"predicted_{name}" for name in RESULTS]
    heads = _each_once([*taken, *heads])[len(taken) :]
    results = list(zip(*map(_result, items), strict=True))
    if output.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        handle = pa.BufferOutputStream()
        pq.write_table(_arrow(names, columns, heads, results, table), handle)
        content = handle.getvalue().to_pybytes()
    else:
        shown = [["" if value is None else _text(value) for value in values] for values in results]
        text = io.StringIO()
        csv.writer(text).writerows([[*names, *heads], *zip(*columns, *shown, strict=True)])
        content = text.getvalue().encode("utf-8", "surrogateescape")
    write_files(output, {output: content})


def _result(item: Prediction) -> tuple[object, ...]:
    near = item.neighbours[0] if item.neighbours else None
    similarity, nearest = (near.similarity, near.source) if near else (None, None)
    return item.label, item.score, similarity, nearest, None if item.error else item.unknown, item.error


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arrow(
    names: list[str],
    columns: list[list[str]],
    heads: list[str],
    results: list[tuple[object, ...]],
    table: ImageTable | None,
) -> "pa.Table":
    """The columns as they were in Parquet, else as text; then the results."""
    import pyarrow as pa

    kept: list[object] = [pa.array([readable(cell) for cell in column], pa.string()) for column in columns]
    if table is not None and table.whole is not None:
        names, kept = table.parquet_names, table.whole.columns
    kinds = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.bool_(), pa.string())
    made = [
        pa.array([readable(value) if isinstance(value, str) else value for value in values], kind)
        for values, kind in zip(results, kinds, strict=True)
    ]
    return pa.table([*kept, *made], names=[*map(readable, names), *heads])


def _places(path: Path, cells: Cells) -> dict[str, int]:
    """Where each column stands: the path and the corners of a box by the names that they have in data sets, too."""
    try:
        places = own_columns(cells.names, {}, ("path", *BOX))
    except ValueError as error:
        raise PredictError(f"image={path}: {error}") from error
    if "path" not in places:
        seen = f" ({cells.seen})" if cells.seen else ""
        raise PredictError(
            f"image={path}: expected a column path (and x1, y1, x2, y2 for boxes), found {', '.join(cells.names[:20])}"
            f"{seen}: rename the one that names the images"
        )
    return places


def _located(name: str, folder: Path) -> Path:
    """The file of a cell: in the form that leads to one, see `forms_of`."""
    from lookalike.data.tables import forms_of

    if not name.strip():
        raise ValueError("no path: expected the file of an image")
    forms = [folder / form for form in forms_of(name) if form]
    file = next(filter(os.path.lexists, forms), folder / name.strip())
    if (advice := address_advice(name.strip())) and not os.path.lexists(file):
        raise ValueError(advice)
    return file


def _box(cells: list[str], separator: str) -> Box | None:
    """Four numbers, or None where all four are missing."""
    texts = [cell.strip() for cell in cells]
    if problem := incomplete_box(len(texts) - texts.count("")):
        raise ValueError(problem)
    if not all(texts):
        return None
    numbers = []
    for name, text in zip(BOX, texts, strict=True):
        try:
            number = float(text if separator == "," else text.replace(",", "."))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{name} is {text!r}: expected a number of pixels")
        numbers.append(number)
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _each_once(names: list[str]) -> list[str]:
    """Names of columns, with a number where one stands twice."""
    once: list[str] = []
    for name in names:
        number, free = 1, name
        while free in once:
            free, number = f"{name}.{number}", number + 1
        once.append(free)
    return once
