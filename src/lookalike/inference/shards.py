"""Embeddings in shards: Parquet files that many jobs write beside each other, read as one table.

    <folder or s3://bucket/prefix>/
      shards.json                    the plan: fingerprint, rows of the table, number of shards
      shard-00003-of-00064.parquet   the rows of one shard: id, path, label, camera, ignore, embedding
      broken-00003-of-00064.parquet  its images that could not be used: id, path, reason; absent where there are none

The rows of the table are dealt in order: shard k of n has the ids from N (k - 1) / n up to N k / n, rounded down. The
ids are the places in the table, whatever the number of shards, and shards read one after another stand in its order.
A shard is whole when its footer says so: fingerprint, table, number of shards, rows that it has and that are broken.

Letters in shapes: N rows, D embedding.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.errors import one_line
from lookalike.files import as_json
from lookalike.inference.references import GalleryError, References, load_references
from lookalike.storage import Storage, storage_of

if TYPE_CHECKING:
    import pyarrow as pa

PLAN = "shards.json"
_SCHEMA = 1
_ABOUT = b"lookalike"  # of a file's footer
_AT_ONCE = 16_384  # rows of a row group
_SHOWN = 5
_COLUMNS = ("id", "path", "label", "camera", "ignore", "embedding")


@dataclass(frozen=True)
class Plan:
    """What all shards of one place have in common.

    Attributes:
        fingerprint: What makes the embeddings (weights and pixel settings).
        precision: Of the arithmetic that makes them.
        dimensions: D.
        root: The folder or address that relative paths start from.
        rows: N, images of the table, unusable ones among them.
        shards: How many there are.
        table: SHA-256 of the rows of the table, as hex.
    """

    fingerprint: str
    precision: str
    dimensions: int
    root: str
    rows: int
    shards: int
    table: str

    def ids(self, shard: int) -> range:
        """The rows of the table that a shard has.

        Args:
            shard: From 1 to `shards`.
        """
        return range(self.rows * (shard - 1) // self.shards, self.rows * shard // self.shards)

    def name(self, shard: int, kind: str = "shard") -> str:
        """What the file of a shard is called.

        Args:
            shard: From 1 to `shards`.
            kind: `shard`, or `broken` for its images that could not be used.
        """
        return f"{kind}-{shard:05}-of-{self.shards:05}.parquet"

    def to_bytes(self) -> bytes:
        """As it stands in `shards.json`; the same plan gives the same bytes."""
        return as_json({"schema": _SCHEMA, **asdict(self)})


@dataclass(frozen=True)
class Rows:
    """Some rows of a shard.

    Attributes:
        ids: int64 [N], places in the table.
        paths: Of N.
        labels: Of N.
        cameras: int64 or null of N.
        ignore: bool of N.
        embeddings: float32 [N, D].
    """

    ids: np.ndarray
    paths: "pa.Array"
    labels: "pa.Array"
    cameras: "pa.Array"
    ignore: "pa.Array"
    embeddings: np.ndarray


def read_plan(storage: Storage) -> Plan | None:
    """The plan of a place; None where nothing is in shards.

    Raises:
        GalleryError: It is damaged, or of a newer version.
    """
    try:
        about = json.loads(storage.read(PLAN).decode())
        if about.pop("schema") != _SCHEMA:
            raise ValueError(f"of another schema, this version reads {_SCHEMA}")
        plan = Plan(**about)
        kinds = {name: type(value) for name, value in asdict(plan).items()}
        if kinds != Plan.__annotations__ or plan.shards < 1 or plan.rows < 1:
            raise ValueError("expected texts, and whole numbers from 1")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise GalleryError(
            f"{storage.place}/{PLAN}: damaged ({one_line(error)}): write the embeddings again into a new folder"
        ) from error
    return plan


def shard_bytes(plan: Plan, shard: int, rows: Rows, broken: int) -> bytes:
    """The file of a shard.

    Args:
        plan: Of its place.
        shard: From 1.
        rows: Those whose image could be used.
        broken: How many could not.
    """
    import pyarrow as pa

    count, size = rows.embeddings.shape
    flat = pa.array(np.ascontiguousarray(rows.embeddings, np.float32).reshape(count * size))
    columns = [rows.ids, rows.paths, rows.labels, rows.cameras, rows.ignore]
    columns += [pa.FixedSizeListArray.from_arrays(flat, size)]
    return _parquet(pa.table(dict(zip(_COLUMNS, columns, strict=True))), _about(plan, shard, broken))


def broken_bytes(plan: Plan, shard: int, ids: Sequence[int], paths: Sequence[str], reasons: Sequence[str]) -> bytes:
    """The table of the images of a shard that could not be used.

    Args:
        plan: Of its place.
        shard: From 1.
        ids: Their places in the table.
        paths: As many.
        reasons: As many, in words.
    """
    import pyarrow as pa

    types = {"id": pa.int64(), "path": pa.string(), "reason": pa.string()}
    columns = {name: pa.array(values, types[name]) for name, values in zip(types, (ids, paths, reasons), strict=True)}
    return _parquet(pa.table(columns), _about(plan, shard, len(ids)))


def _about(plan: Plan, shard: int, broken: int) -> dict[str, object]:
    return {"schema": _SCHEMA, **asdict(plan), "shard": shard, "broken": broken}


def _parquet(table: "pa.Table", about: dict[str, object]) -> bytes:
    import pyarrow.parquet as pq

    buffer = BytesIO()
    marked = table.replace_schema_metadata({_ABOUT: json.dumps(about, ensure_ascii=False)})
    # Embeddings are noise to a compressor; a page's checksum tells damage that nothing else would.
    packed = {name: "snappy" for name in ("path", "label", "reason") if name in table.column_names}
    how = {"use_dictionary": ["label"], "compression": packed, "write_page_checksum": True}
    pq.write_table(marked, buffer, row_group_size=_AT_ONCE, **how)
    return buffer.getvalue()


def whole_shard(storage: Storage, plan: Plan, shard: int) -> tuple[int, int] | None:
    """The rows of a shard and its broken images, by its footer; None where it is not there, or not whole.

    Args:
        storage: Where it is.
        plan: Of that place.
        shard: From 1.

    Raises:
        GalleryError: It is whole, and of another model, table or number of shards.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open(plan.name(shard)) as file:
            footer = pq.read_metadata(file)
        about = json.loads(footer.metadata[_ABOUT])
        broken = int(about.pop("broken"))
    except (FileNotFoundError, pa.ArrowException, ValueError, TypeError, KeyError, AttributeError):
        return None
    expected = _about(plan, shard, broken)
    del expected["broken"]
    if about != expected:
        other = next(name for name in {**expected, **about} if about.get(name) != expected.get(name))
        raise GalleryError(
            f"{storage.place}/{plan.name(shard)}: expected {other} {_shown(expected.get(other))}, found "
            f"{_shown(about.get(other))}: it belongs to other embeddings: give another output, or remove it"
        )
    whole = footer.num_rows + broken == len(plan.ids(shard))
    if whole and broken and plan.name(shard, "broken") not in storage.names():
        return None
    return (footer.num_rows, broken) if whole else None


def _shown(value: object) -> str:
    return str(value)[:12]


@dataclass(frozen=True)
class Shards:
    """All shards of one place.

    Attributes:
        storage: Where they are.
        plan: Of it.
        counts: Rows of each, unusable images left out.
    """

    storage: Storage
    plan: Plan
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return sum(self.counts)

    def rows(self, columns: Sequence[str] = _COLUMNS) -> Iterator[Rows]:
        """All rows in the order of the table, some at a time, so that few are in memory.

        Args:
            columns: The columns that are needed; the others are empty.

        Raises:
            GalleryError: A shard is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for shard in range(1, self.plan.shards + 1):
            name = self.plan.name(shard)
            try:
                with self.storage.open(name) as opened:
                    file = pq.ParquetFile(opened, page_checksum_verification=True)
                    for group in range(file.num_row_groups):
                        yield self._rows_of(file.read_row_group(group, columns=list(columns)))
            except (OSError, pa.ArrowException, ValueError, TypeError, KeyError) as error:
                raise GalleryError(
                    f"{self.storage.place}/{name}: damaged ({one_line(error)}): remove it, run lookalike embed with "
                    f"shard={shard}/{self.plan.shards} again"
                ) from error

    def _rows_of(self, table: "pa.Table") -> Rows:
        import pyarrow as pa

        def column(name: str) -> Any:
            there = name in table.column_names
            return table[name].combine_chunks() if there else pa.nulls(0)

        embeddings = column("embedding")
        values = embeddings.flatten().to_numpy(zero_copy_only=False) if len(embeddings) else np.empty(0, np.float32)
        if values.dtype != np.float32 or len(values) != len(embeddings) * self.plan.dimensions:
            raise ValueError(f"expected {self.plan.dimensions} float32 per embedding")
        ids = column("id")
        return Rows(
            ids.to_numpy(zero_copy_only=False) if len(ids) else np.empty(0, np.int64),
            column("path"),
            column("label"),
            column("camera"),
            column("ignore"),
            values.reshape(-1, self.plan.dimensions),
        )

    @cached_property
    def references(self) -> References:
        """All of them in memory.

        Raises:
            GalleryError: A shard is damaged.
        """
        parts = list(self.rows(("path", "label", "embedding")))
        embeddings = np.concatenate([np.empty((0, self.plan.dimensions), np.float32), *(p.embeddings for p in parts)])
        labels = [label for part in parts for label in part.labels.to_pylist()]
        paths = [path for part in parts for path in part.paths.to_pylist()]
        plan = self.plan
        return References(embeddings, labels, paths, Path(plan.root), plan.fingerprint, plan.precision)


def open_shards(storage: Storage, checked: Callable[[int], None] = lambda shard: None) -> Shards | None:
    """The shards of a place, each verified by its footer; None where nothing is in shards.

    Args:
        storage: Where they are.
        checked: Called with every shard that is whole.

    Raises:
        GalleryError: Some are missing or not whole, or of another model, table or number of shards.
    """
    plan = read_plan(storage)
    if plan is None:
        return None
    counts, missing = [], []
    for shard in range(1, plan.shards + 1):
        whole = whole_shard(storage, plan, shard)
        if whole is None:
            missing.append(f"{shard}/{plan.shards}")
        else:
            counts.append(whole[0])
            checked(shard)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise GalleryError(
            f"{storage.place}: expected {plan.shards} whole shards, found {len(counts)}: run lookalike embed with "
            f"shard={', '.join(missing[:_SHOWN])}{more}, or with shards={plan.shards} for all that lack"
        )
    return Shards(storage, plan, tuple(counts))


def load_embeddings(place: str | Path) -> References:
    """What `lookalike embed` wrote, in shards or as one folder, all in memory.

    Args:
        place: The folder, or `s3://bucket/prefix` for shards.

    Raises:
        GalleryError: Nothing such is there, or it is damaged.
        StorageError: An object store cannot be reached.
    """
    storage = storage_of(place)
    shards = open_shards(storage)
    if shards is not None:
        return shards.references
    if isinstance(place, str) and storage.place.startswith("s3://"):
        raise GalleryError(f"{storage.place}: no {PLAN} there: give what lookalike embed wrote into an object store")
    return load_references(Path(place))
