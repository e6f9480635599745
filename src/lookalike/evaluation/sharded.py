"""Embeddings written in shards by jobs that know nothing of each other: a SLURM array, Kubernetes, a cluster of Ray.

Each job reads the same table, takes its part of it and writes one file, whole or not at all; one that starts again does
only what lacks. `inference.shards` says what the files are.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.console import progress
from lookalike.data.any_image import AnyImage
from lookalike.data.manifest import boxes_of
from lookalike.data.remote_images import RemoteImages, read_remote
from lookalike.data.tables import ManifestError
from lookalike.data.tar_images import TarImages, is_tars, read_tars
from lookalike.evaluation.stored import images_of
from lookalike.files import readable
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import GalleryError
from lookalike.inference.shards import PLAN, Plan, Rows, broken_bytes, read_plan, shard_bytes, whole_shard
from lookalike.storage import Storage, is_address

_HASHED_AT_ONCE = 100_000  # rows


@dataclass(frozen=True)
class Source:
    """The images that are embedded.

    Attributes:
        rows: One per image, with `path` and `label`, and camera, ignore and a box where they are known.
        root: The folder or address that relative paths start from.
        images: The images of some rows; each is read when it is asked for. It can be pickled.
        lost: Images that were passed over while the table was made, in words.
    """

    rows: pd.DataFrame
    root: str
    images: Callable[[pd.DataFrame], Sequence[AnyImage]]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """What became of a shard.

    Attributes:
        shard: From 1.
        rows: Embeddings in it.
        broken: Its images that could not be used.
        before: Whether it was whole already.
    """

    shard: int
    rows: int
    broken: int
    before: bool


def plan_of(encoder: Encoder, source: Source, shards: int) -> Plan:
    """The plan of embedding a table.

    Args:
        encoder: What embeds.
        source: The images.
        shards: How many parts they are dealt into.

    Raises:
        ManifestError: The table is empty.
    """
    if source.rows.empty:
        raise ManifestError(f"{source.root}: no image in it: give a folder of images or a .csv / .parquet table")
    facts = (encoder.fingerprint, encoder.precision, encoder.size, source.root)
    return Plan(*facts, len(source.rows), shards, digest_of(source.rows))


def digest_of(rows: pd.DataFrame) -> str:
    """SHA-256 of what the shards hold of a table, and what is embedded: paths, labels, boxes and the like, in order."""
    digest = hashlib.sha256()
    for first in range(0, len(rows), _HASHED_AT_ONCE):
        part = rows.iloc[first : first + _HASHED_AT_ONCE]
        others = [part[name].astype(str) for name in ("camera", "ignore") if name in part]
        facts = list(zip(part["path"], part["label"], boxes_of(part), *others, strict=True))
        digest.update(repr(facts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def begin(storage: Storage, plan: Plan) -> None:
    """Writes the plan of a place, or sees that the one that is there is the same.

    Args:
        storage: Where the shards go.
        plan: Of this run.

    Raises:
        GalleryError: Another model, table, precision or number of shards was begun there.
        ManifestError: Something else is there.
    """
    there = read_plan(storage)
    if there is None:
        if names := storage.names():
            raise ManifestError(
                f"output={storage.place}: exists and holds no shards ({names[0]}): give the name of a new folder"
            )
        storage.write(PLAN, plan.to_bytes(), once=True)
        there = read_plan(storage)  # another job may have been quicker
        assert there is not None
    _need_same(storage.place, there, plan)


def need_same_model(place: str, plan: Plan, encoder: Encoder) -> None:
    """Refuses a network that is not the plan's, as a machine of a cluster may have another copy of a bundle.

    Args:
        place: Of the shards, for the error.
        plan: Of that place.
        encoder: Of this machine.

    Raises:
        GalleryError: It has other weights or pixel settings, another size or arithmetic.
    """
    own = replace(plan, fingerprint=encoder.fingerprint, precision=encoder.precision, dimensions=encoder.size)
    _need_same(place, plan, own)


def _need_same(place: str, there: Plan, plan: Plan) -> None:
    ways_out = {
        "fingerprint": "embeddings of different weights or pixel settings cannot stand together: give another output",
        "dimensions": "embeddings of different networks cannot stand together: give another output",
        "precision": "processors of a cluster differ: give precision=float32 everywhere, and another output",
        "shards": "give that number, or another output",
        "rows": "the table has changed since: give another output",
        "table": "the table has changed since, in its paths, labels, cameras, marks or boxes: give another output",
        "root": "all jobs need the images at one place: give another output",
    }
    for name, way_out in ways_out.items():
        before, now = (str(getattr(of, name)) for of in (there, plan))
        if before != now:
            shown = (before[:12], now[:12]) if name in ("fingerprint", "table") else (before, now)
            raise GalleryError(f"{place}: was begun with {name} {shown[0]}, now it is {shown[1]}: {way_out}")


def write_shard(encoder: Encoder, source: Source, storage: Storage, plan: Plan, shard: int) -> Written:
    """Writes one shard, unless it is whole already.

    Args:
        encoder: What embeds.
        source: The images.
        storage: Where it goes, begun (see `begin`).
        plan: Of that place.
        shard: From 1 to the number of shards.

    Raises:
        GalleryError: One of another model, table or number of shards is there.
        LookalikeError: It cannot be written, or an object store does not answer any more.
    """
    whole = whole_shard(storage, plan, shard)
    if whole is not None:
        return Written(shard, *whole, before=True)
    ids = plan.ids(shard)
    return write_rows(encoder, replace(source, rows=source.rows.iloc[ids.start : ids.stop]), storage, plan, shard)


def write_rows(encoder: Encoder, part: Source, storage: Storage, plan: Plan, shard: int) -> Written:
    """Writes one shard from its own rows, whatever is there.

    Args:
        encoder: What embeds.
        part: The images of this shard alone.
        storage: As `write_shard`.
        plan: As `write_shard`.
        shard: As `write_shard`.

    Raises:
        LookalikeError: As `write_shard`.
    """
    ids, rows = plan.ids(shard), part.rows
    errors: dict[int, str] = {}
    with progress(f"embedding shard {shard} of {plan.shards}", len(rows)) as advance:
        names = rows["path"].tolist()
        embeddings = encoder.embed(part.images(rows), boxes_of(rows), names=names, errors=errors, progress=advance)
    if errors:
        paths = [readable(names[row]) for row in errors]
        reasons = [readable(reason) for reason in errors.values()]
        listed = [ids.start + row for row in errors]
        storage.write(plan.name(shard, "broken"), broken_bytes(plan, shard, listed, paths, reasons))
    good = np.setdiff1d(np.arange(len(rows)), np.fromiter(errors, np.int64, len(errors)))
    kept = _rows_of(rows.iloc[good], good + ids.start, embeddings[good])
    storage.write(plan.name(shard), shard_bytes(plan, shard, kept, len(errors)))
    return Written(shard, len(good), len(errors), before=False)


def _rows_of(rows: pd.DataFrame, ids: np.ndarray, embeddings: np.ndarray) -> Rows:
    import pyarrow as pa

    cameras = rows["camera"].astype("Int64") if "camera" in rows else pd.Series(pd.NA, rows.index, "Int64")
    ignore = rows["ignore"].astype(bool) if "ignore" in rows else pd.Series(False, rows.index)
    paths, labels = (pa.array(map(readable, map(str, rows[name])), pa.string()) for name in ("path", "label"))
    return Rows(
        ids.astype(np.int64), paths, labels, pa.array(cameras, pa.int64()), pa.array(ignore, pa.bool_()), embeddings
    )


def source_of(data: dict[str, Any]) -> Source:
    """The images of a data set (without augmented copies), of any folder, or of an object store.

    Args:
        data: The settings of a data set, plain values.

    Raises:
        ManifestError: No image there.
        StorageError: An object store cannot be reached.
    """
    if is_tars(data.get("root")):
        table, start, passed = read_tars(data)
        return Source(table, start, partial(_inside, start), passed)
    if any(is_address(data.get(name) or "") for name in ("root", "images")):
        table, start, passed = read_remote(data)
        return Source(table, start, partial(_objects, start), passed)
    manifest, rows, lost = images_of(data)
    root = manifest.root.resolve()
    return Source(rows, str(root), partial(_files, root), lost)


def _inside(start: str, rows: pd.DataFrame) -> Sequence[AnyImage]:
    places = zip(rows["tar"].tolist(), rows["offset"].tolist(), rows["size"].tolist(), strict=True)
    return TarImages(start, list(places))


def _objects(start: str, rows: pd.DataFrame) -> Sequence[AnyImage]:
    return RemoteImages(start, rows["path"].tolist())


def _files(root: Path, rows: pd.DataFrame) -> Sequence[AnyImage]:
    return [root / path for path in rows["path"]]
