"""What an audit knows of every image: checksum, header, light, sharpness, perceptual hash, thumbnail, embedding.

Each file is read once and its facts are kept on disk; a later audit looks only at the times and sizes of files that
did not change.

Letters in shapes: N images, D embedding.
"""

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import imagehash
import numpy as np
import pandas as pd
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lookalike.console import progress, say
from lookalike.data.formats import FORMATS, is_heic, register_heic
from lookalike.data.image_limits import BeyondLimitError, read_bytes
from lookalike.data.images import ImageError, read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.metadata import orientation_of
from lookalike.data.orientation import SIDEWAYS
from lookalike.data.pixels import PixelSettings
from lookalike.files import DiskFullError, write_bytes
from lookalike.inference.encoder import Box, Encoder
from lookalike.pages import Picture
from lookalike.parallel import side_by_side
from lookalike.seals import BLANK, is_damaged, seal

_SCHEMA = f"2 Pillow {PIL.__version__} OpenCV {cv2.__version__}"  # what one version refuses another may read
_SAVE_SECONDS = 60.0  # at most this much reading is lost with a killed process
THUMB = 160  # pixels, both sides: thumbnails are stretched, a page gives them their aspect back
_THUMB_QUALITY = 85
_SQUARE = PixelSettings(224, 224, "stretch")
_KEY = ("path", "box", "size", "mtime_ns", "ctime_ns", "inode")


@dataclass(frozen=True)
class Facts:
    """Of N images, row by row those of the manifest that was asked for.

    Attributes:
        table: path, box ("" = whole image), size (bytes), sha256, error and kind ("" = usable), format (as Pillow calls
            it), width and height (pixels, upright), darkest and brightest (1st and 99th percentile of luma, 0..1),
            contrast (standard deviation of luma, 0..1), sharpness (variance of the Laplacian of luma in 0..255 at 224 x
            224 pixels), hash and hash_mirrored (64-bit perceptual hashes as int64), thumb (JPEG, 160 x 160).
        embeddings: float32 [N, D], unit length; zero where an image is unusable.
        read: How many files were read now; the facts of the others were kept.
    """

    table: pd.DataFrame
    embeddings: np.ndarray
    read: int

    @property
    def usable(self) -> np.ndarray:
        """Bool [N]."""
        return np.asarray(self.table["error"] == "")

    def picture(self, row: int, side: int) -> Picture:
        """A thumbnail in the shape of its image: it was made in the shape that the network sees.

        Args:
            row: Of the N.
            side: Pixels of the longer side.
        """
        table = self.table
        path, wide, high = str(table["path"][row]), int(table["width"][row]), int(table["height"][row])
        scale = side / max(wide, high, 1)
        width, height = (max(8, round(length * scale)) for length in (wide, high))
        notes = (path.partition("/")[0], path.rpartition("/")[2])
        return Picture(path, table["thumb"][row] or b"", notes=notes, width=width, height=height)

    @property
    def contents(self) -> np.ndarray:
        """Of every image a text that only equal files (and boxes) share, str [N]."""
        return (self.table["sha256"] + " " + self.table["box"]).to_numpy(str)


def wrong_suffix(path: str, image_format: str) -> bool:
    """Whether a file's name promises another format than it has (Pillow's name of it, "" where it has none)."""
    suffix = Path(path).suffix.lower()
    return bool(image_format) and suffix not in FORMATS.get(image_format, (suffix,))


def gather(manifest: Manifest, rows: pd.DataFrame, load: Callable[[], Encoder], identity: str, cache: Path) -> Facts:
    """Facts of every image; only files that are new or changed are read.

    Args:
        manifest: Where the files are.
        rows: N rows of it.
        load: Makes the encoder; called only when a file must be read.
        identity: Tells weights and pixel settings apart: facts of another identity are not used.
        cache: Parquet file of earlier facts; it may be deleted at any time.
    """
    boxes = boxes_of(rows)
    keys = pd.DataFrame(
        [_stat(manifest.file(path), path, box) for path, box in zip(rows["path"], boxes, strict=True)], columns=_KEY
    )
    cached = _read_cache(cache, identity)
    places = {key: place for place, key in enumerate(zip(*(cached[name] for name in _KEY), strict=True))}
    facts: list[dict[str, Any] | None] = [None] * len(keys)
    for row, key in enumerate(keys.itertuples(index=False, name=None)):
        if (place := places.get(key)) is not None:
            facts[row] = {name: column[place] for name, column in cached.items()}
    missing = [row for row, fact in enumerate(facts) if fact is None]
    if missing:
        encoder = load()
        _read_all(manifest, keys, boxes, missing, encoder, facts, lambda: _write_cache(cache, identity, facts))
        _write_cache(cache, identity, facts)
    table = pd.DataFrame([fact for fact in facts if fact], columns=list(facts[0] or {}))
    size = max((len(value) for value in table["embedding"]), default=0) // 4
    embeddings = np.zeros((len(table), size), np.float32)
    for row, value in enumerate(table["embedding"]):
        if value:
            embeddings[row] = np.frombuffer(value, np.float32)
    return Facts(table.drop(columns="embedding"), embeddings, len(missing))


def _stat(file: Path, path: str, box: Box | None) -> tuple[str, str, int, int, int, str]:
    corners = "" if box is None else ",".join(f"{value:g}" for value in box)
    try:
        status = file.stat()
    except OSError:
        return path, corners, -1, -1, -1, ""
    return path, corners, status.st_size, status.st_mtime_ns, status.st_ctime_ns, str(status.st_ino)


def _read_all(
    manifest: Manifest,
    keys: pd.DataFrame,
    boxes: list[Box | None],
    missing: list[int],
    encoder: Encoder,
    facts: list[dict[str, Any] | None],
    save: Callable[[], None],
) -> None:
    """Fills `facts` for the missing rows; batches side by side, as in `Encoder.embed`."""
    cv2.setNumThreads(1)
    batch, lock, saved = encoder.network.batch, Lock(), time.monotonic()

    def work(first: int) -> None:
        nonlocal saved
        part = missing[first : first + batch]
        images = np.zeros((batch, encoder.pixels.height, encoder.pixels.width, 3), np.uint8)
        read = []
        for place, row in enumerate(part):
            path = manifest.file(str(keys["path"][row]))
            fact, image = _facts_of(path, boxes[row], encoder.pixels)
            read.append({**{name: keys[name][row] for name in _KEY}, **fact})
            if image is not None:
                images[place] = image
        embedded = encoder.network(images)
        for row, fact, embedding in zip(part, read, embedded, strict=False):
            fact["embedding"] = b"" if fact["error"] else embedding.astype(np.float32).tobytes()
            facts[row] = fact
        with lock:
            advance(len(part))
            if time.monotonic() - saved > _SAVE_SECONDS:
                save()
                saved = time.monotonic()

    with progress("reading images", len(missing)) as advance:
        side_by_side(work, range(0, len(missing), batch), encoder.workers)


def _facts_of(file: Path, box: Box | None, pixels: PixelSettings) -> tuple[dict[str, Any], np.ndarray | None]:
    """Facts of one file, and the image at the size of the model; None for an unusable one."""
    facts: dict[str, Any] = {
        "sha256": "",
        "error": "",
        "kind": "",
        "format": "",
        "width": 0,
        "height": 0,
        "darkest": 0.0,
        "brightest": 0.0,
        "contrast": 0.0,
        "sharpness": 0.0,
        "hash": 0,
        "hash_mirrored": 0,
        "thumb": b"",
    }
    try:
        data = read_bytes(file)
    except BeyondLimitError as error:
        return {**facts, "error": str(error), "kind": "size"}, None
    except OSError as error:
        return {**facts, "error": f"{file}: cannot be read ({error.strerror})", "kind": "unreadable"}, None
    facts["sha256"] = hashlib.sha256(data).hexdigest()
    try:
        if is_heic(data):
            register_heic()
        with Image.open(io.BytesIO(data)) as header:
            turned = orientation_of(header) in SIDEWAYS
            facts["format"] = str(header.format)
            facts["width"], facts["height"] = header.size[::-1] if turned else header.size
    except Exception:  # not an image, or a header that no decoder understands: read_image says what
        pass
    try:
        image = read_image(data, pixels, box) if data else read_image(file)
        square = image if pixels == _SQUARE else read_image(data, _SQUARE, box)
    except ImageError as error:
        text = str(error).removeprefix("image: ").removeprefix(f"{file}: ")
        return {**facts, "error": text, "kind": error.kind}, None
    if box is not None:
        facts["width"], facts["height"] = round(box[2] - box[0]), round(box[3] - box[1])
    return {**facts, **_measured(square)}, image


def _measured(image: np.ndarray) -> dict[str, Any]:
    """Light, sharpness, hashes and thumbnail of uint8 RGB [224, 224, 3]."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    darkest, brightest = np.percentile(luma, (1, 99)) / 255
    picture = Image.fromarray(luma)
    small = cv2.resize(image, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    _, thumb = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _THUMB_QUALITY])
    return {
        "darkest": float(darkest),
        "brightest": float(brightest),
        "contrast": float(luma.std() / 255),
        "sharpness": float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        "hash": _bits(imagehash.phash(picture)),
        "hash_mirrored": _bits(imagehash.phash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
        "thumb": thumb.tobytes(),
    }


def _bits(perceptual: imagehash.ImageHash) -> int:
    return int(np.packbits(perceptual.hash.ravel()).view(np.int64)[0])


def _read_cache(cache: Path, identity: str) -> dict[str, list[Any]]:
    """Columns of the cache; empty ones when there is none, or one that cannot be used."""
    nothing: dict[str, list[Any]] = {name: [] for name in _KEY}
    try:
        if is_damaged(cache, lambda: b"checksum" in (pq.read_schema(cache).metadata or {})):
            raise ValueError("its checksum is wrong")
        table = pq.read_table(cache)
        if table.schema.metadata.get(b"identity") == f"{_SCHEMA} {identity}".encode():
            # Where no file could be read, the table has no column.
            return nothing | {str(name): column for name, column in table.to_pydict().items()}
        say(f"{cache}: made with another model or version; every image is read again")
    except FileNotFoundError:
        pass
    except (pa.ArrowException, OSError, AttributeError, ValueError):
        say(f"{cache}: damaged; every image is read again")
    return nothing


def _write_cache(cache: Path, identity: str, facts: list[dict[str, Any] | None]) -> None:
    """Keeps what was read so far; a full disk only means that it is read again next time."""
    kept = [fact for fact in list(facts) if fact and fact["kind"] != "unreadable"]  # that may pass
    columns = {name: [fact[name] for fact in kept] for name in kept[0]} if kept else {}
    about = {b"identity": f"{_SCHEMA} {identity}".encode(), b"checksum": BLANK}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(about), buffer, compression="zstd")
    content = buffer.getbuffer()
    seal(content)
    try:
        write_bytes(cache, content)
    except DiskFullError as error:
        say(f"what was read cannot be kept ({error})")
