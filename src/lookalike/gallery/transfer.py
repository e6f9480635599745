"""A gallery taken elsewhere: written into a folder of open formats, and read from one.

The folder holds `rows.parquet` (a row per image: number, label, camera, source, time, picture, its columns, embedding),
`images/<number>.jpg` and `gallery.json` (fingerprint, precision, model). `lookalike embed` writes another folder, which
is read as well.

Letters in shapes: N images, D embedding.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.console import say
from lookalike.data.images import ImageError
from lookalike.data.thumbnail import thumbnail
from lookalike.files import as_json, atomic_folder
from lookalike.gallery.columns import Value
from lookalike.gallery.enrolment import THUMBNAIL
from lookalike.gallery.image_facts import in_parts
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.references import GalleryError, References
from lookalike.inference.shards import PLAN, load_embeddings

_SCHEMA = 1
_ROWS, _ABOUT = "rows.parquet", "gallery.json"
_OWN = ("number", "label", "camera", "source", "time", "picture", "embedding")
_KINDS = {str: "string", int: "int64", float: "double", bool: "bool"}
_PICTURE, _JPEG = re.compile(r"images/[0-9]+\.jpg"), b"\xff\xd8"
_AT_ONCE = 10_000  # images


@dataclass(frozen=True)
class Imported:
    """What a folder holds.

    Attributes:
        embeddings: float32 [N, D].
        labels: N.
        sources: N.
        thumbnails: N small JPEGs, empty where there is none.
        cameras: N, None where unknown.
        columns: Name -> N values, None where there is none.
    """

    embeddings: np.ndarray
    labels: list[str]
    sources: list[str]
    thumbnails: list[bytes]
    cameras: list[int | None]
    columns: dict[str, list[Any]]


@dataclass(frozen=True)
class _Column:
    """A column of a gallery as it stands in the table.

    Attributes:
        name: Of the table's column.
        kind: `string`, `int64`, `double` or `bool`.
        mixed: Whether its values are of several kinds, so that the table has them as JSON.
    """

    name: str
    kind: str
    mixed: bool

    @classmethod
    def of(cls, store: SqlStore, name: str) -> "_Column":
        values = [json.loads(value) for value in store.distinct(name)]
        kinds = {_KINDS[type(value)] for value in values}
        numbers = kinds == {"int64", "double"} and all(float(value) == value for value in values)
        kind = "double" if numbers else kinds.pop() if len(kinds) == 1 else "string"
        mixed = kind == "string" and len(kinds) > 1
        taken = name in _OWN or name.startswith("column.")
        return cls(f"column.{name}" if taken else name, kind, mixed)

    def written(self, value: Value) -> Value:
        return json.dumps(value, ensure_ascii=False) if self.mixed and value is not None else value

    def read(self, value: Value) -> Value:
        return json.loads(str(value)) if self.mixed and value is not None else value


def export_to(store: SqlStore, folder: Path) -> int:
    """Writes all images, whole or not at all; returns how many.

    Args:
        store: Open.
        folder: New, or one that an earlier export wrote.

    Raises:
        GalleryError: Something else stands there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if folder.exists() and not (folder / _ROWS).is_file():
        raise GalleryError(f"{folder}: exists and is no exported gallery: give the name of a new folder")
    size = int(store.about["dimensions"])
    columns = {name: _Column.of(store, name) for name in store.column_names()}
    fields = [pa.field("number", pa.int64()), pa.field("label", pa.string()), pa.field("camera", pa.int64())]
    fields += [pa.field(name, pa.string()) for name in ("source", "time", "picture")]
    fields += [pa.field(column.name, pa.type_for_alias(column.kind)) for column in columns.values()]
    schema = pa.schema([*fields, pa.field("embedding", pa.list_(pa.float32(), size))])
    count = 0
    kept: list[Path] = []
    with atomic_folder(folder.absolute(), kept=kept) as made:
        (made / "images").mkdir()
        with pq.ParquetWriter(made / _ROWS, schema) as writer:
            for part in _parts(store):
                count += len(part)
                writer.write_table(pa.table(_table_of(store, part, columns, made), schema=schema))
        about = {name: store.about.get(name) for name in ("fingerprint", "precision", "dimensions", "model")}
        (made / _ABOUT).write_bytes(
            as_json(
                {
                    "schema": _SCHEMA,
                    "exported": True,
                    "columns": {name: asdict(column) for name, column in columns.items()},
                    **about,
                }
            )
        )
    for aside in kept:
        say(f"{folder}: the earlier export is kept as {folder.with_name(aside.name)}")
    return count


def _parts(store: SqlStore) -> Iterator[Sequence[tuple[int, str]]]:
    numbers, labels, _ = store.labelled()
    return in_parts(list(zip(numbers.tolist(), labels, strict=True)), _AT_ONCE)


def _table_of(
    store: SqlStore, part: Sequence[tuple[int, str]], columns: dict[str, "_Column"], made: Path
) -> dict[str, Any]:
    import pyarrow as pa

    numbers = [number for number, _ in part]
    pictures: list[str | None] = []
    for number, jpeg in zip(numbers, _jpegs(store, numbers), strict=True):
        pictures.append(f"images/{number}.jpg" if jpeg else None)
        if jpeg:
            (made / f"images/{number}.jpg").write_bytes(jpeg)
    others = store.columns(numbers)
    embeddings = store.embeddings(numbers)
    return {
        "number": numbers,
        "label": [label for _, label in part],
        "camera": store.cameras(numbers),
        "source": store.sources(numbers),
        "time": store.times(numbers),
        "picture": pictures,
        **{column.name: [column.written(values.get(name)) for values in others] for name, column in columns.items()},
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), embeddings.shape[1]),
    }


def _jpegs(store: SqlStore, numbers: Sequence[int]) -> Iterator[bytes]:
    """Small pictures, a few hundred in memory at a time."""
    for part in in_parts(numbers):
        yield from store.thumbnails(part)


def import_from(folder: Path, fingerprint: str) -> Imported:
    """Reads what `export_to` or `lookalike embed` wrote, or the images that a bundle knows.

    Args:
        folder: Of it.
        fingerprint: Of the gallery that it goes into.

    Raises:
        GalleryError: Nothing such is there, it is damaged, or was made by another model.
    """
    if (folder / "gallery" / _ABOUT).is_file():
        folder = folder / "gallery"  # of a bundle
    if (folder / PLAN).is_file():
        return _embedded(load_embeddings(folder), fingerprint)
    if not (folder / _ABOUT).is_file():
        raise GalleryError(f"{folder}: no {_ABOUT} there: give what gallery export or lookalike embed wrote")
    if not (folder / _ROWS).is_file():
        return _embedded(load_embeddings(folder), fingerprint)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        _need_schema(folder, about["schema"])
        table = pq.read_table(folder / _ROWS)
        values = {name: table[name].to_pylist() for name in table.column_names if name != "embedding"}
        embeddings = np.array(table["embedding"].combine_chunks().flatten(), np.float32)
        embeddings = embeddings.reshape(len(table), int(about["dimensions"]))
        pictures = [_picture(folder, name) for name in values["picture"]]
        columns = {
            name: [_Column(**column).read(value) for value in values[column["name"]]]
            for name, column in about["columns"].items()
        }
        made = str(about["fingerprint"])
    except GalleryError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, pa.ArrowException) as error:
        raise GalleryError(f"{folder}: damaged ({str(error).splitlines()[0]}): export the gallery again") from error
    _need_fingerprint(folder, made, fingerprint)
    return Imported(embeddings, values["label"], values["source"], pictures, values["camera"], columns)


def _picture(folder: Path, name: str | None) -> bytes:
    """The JPEG of a row: never a file elsewhere, whatever the table says."""
    if not name:
        return b""
    if not _PICTURE.fullmatch(name):
        raise ValueError(f"picture {name!r}: expected images/<number>.jpg")
    file = folder / name
    if file.is_symlink() or file.parent.is_symlink() or not file.is_file():
        raise ValueError(f"{name}: expected a file")
    content = file.read_bytes()
    if not content.startswith(_JPEG):
        raise ValueError(f"{name}: expected a JPEG")
    return content


def _embedded(references: References, fingerprint: str) -> Imported:
    """Embeddings of `lookalike embed`; small pictures are made where the images are still there."""
    _need_fingerprint(references.root, references.fingerprint, fingerprint)
    count = len(references)
    sources = [str(references.file(row)) for row in range(count)]
    pictures = []
    for source in sources:
        try:
            pictures.append(thumbnail(Path(source), THUMBNAIL, name=source) if Path(source).is_file() else b"")
        except ImageError:
            pictures.append(b"")
    return Imported(references.embeddings, list(references.labels), sources, pictures, [None] * count, {})


def _need_schema(folder: Path, schema: object) -> None:
    if schema != _SCHEMA:
        raise GalleryError(f"{folder}: of schema {schema}, this version reads {_SCHEMA}: pip install -U lookalike")


def _need_fingerprint(folder: Path, theirs: str, mine: str) -> None:
    if theirs != mine:
        raise GalleryError(
            f"{folder}: was made by the model {theirs[:12]}, the gallery by {mine[:12]}: embeddings of different "
            "weights or pixel settings cannot be compared: embed the images with the model of the gallery"
        )
