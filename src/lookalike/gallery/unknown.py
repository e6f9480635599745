"""Images that were called unknown, kept as files: original bytes under a date and a checksum, each content once."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lookalike.data.any_image import AnyImage
from lookalike.data.formats import FORMATS, is_heic, opened_as, register_heic, suffixes
from lookalike.data.image_limits import BeyondLimitError, read_bytes
from lookalike.data.images import read_image, to_rgb8
from lookalike.data.metadata import orientation_of
from lookalike.data.orientation import upright
from lookalike.errors import listed, one_line
from lookalike.files import need_place, stamp, write_once
from lookalike.inference.predict import Prediction
from lookalike.inference.references import GalleryError
from lookalike.settings.paths import path_of

_DIGITS = 12  # of the SHA-256 in a name
_DAY = len("2024-05-31")


@dataclass
class Room:
    """For how much more there is room.

    Attributes:
        images: How many more may be kept.
        bytes: Of them.
        not_kept: Images for which there was none.
    """

    images: int
    bytes: int
    not_kept: int = 0

    def take(self, size: int) -> bool:
        """Takes room for an image of so many bytes, where there is any."""
        if self.images < 1 or self.bytes < size:
            self.not_kept += 1
            return False
        self.images, self.bytes = self.images - 1, self.bytes - size
        return True


def keep_unknown(predictions: Iterable[Prediction], folder: str | Path, room: Room | None = None) -> list[Path]:
    """Copies the images that were called unknown into a folder, each of them whole and each content once.

    A file is kept byte for byte, so are given bytes; an array, a picture of Pillow and the part of an image in a box
    become PNG. What lies there already, in a sub-folder too, is not written again, whatever date it has.

    Args:
        predictions: Of `predict`, one or several; those with a label or an error are passed over.
        folder: Such as `<gallery>/unknown`; made when there is something to keep.
        room: That there is for images that are not kept yet; None for any number.

    Returns:
        The files, one per content, in the order of the predictions; those that were there already are among them.

    Raises:
        GalleryError: An image cannot be read any more, and the others are kept; or these are no predictions.
        DiskFullError: There is no room; what was kept before is whole.
        LookalikeError: Nothing can be written there.
    """
    if isinstance(predictions, Prediction):
        predictions = [predictions]
    if isinstance(predictions, str) or not isinstance(predictions, Iterable):
        raise GalleryError(f"keep_unknown: expected what predict gave, got {predictions!r}: predict the images first")
    place = path_of(folder, "keep_unknown")
    there = {_digits(path): path for path in sorted(place.rglob("*-*.*"), reverse=True)} if place.is_dir() else {}
    kept: dict[str, Path] = {}
    problems: list[str] = []
    for prediction in predictions:
        if not isinstance(prediction, Prediction):
            raise GalleryError(
                f"keep_unknown: expected what predict gave, got {prediction!r}: predict the images first"
            )
        if not prediction.unknown:
            continue
        try:
            content, suffix = _content(prediction)
        except (BeyondLimitError, OSError, ValueError) as error:  # ValueError: an image error, or a closed picture
            problems.append(f"{prediction.image}: {one_line(getattr(error, 'strerror', None) or error)}")
            continue
        digits = hashlib.sha256(content).hexdigest()[:_DIGITS]
        if digits not in there:
            if room is not None and not room.take(len(content)):
                continue
            if not kept:
                need_place(place)
            there[digits] = place / f"{stamp()[:_DAY]}-{digits}{suffix}"
            write_once(there[digits], content)
        kept[digits] = there[digits]
    if problems:
        raise GalleryError(
            f"{place}: {len(problems)} unknown images cannot be kept, expected readable images (the other {len(kept)} "
            f"are kept): leave them where they were, or give them again:\n  {listed(problems)}"
        )
    return list(kept.values())


def _digits(path: Path) -> str:
    """The checksum in a name, "" where it has none."""
    digits = path.stem.rpartition("-")[2]
    return digits if len(digits) == _DIGITS and path.is_file() else ""


def _content(prediction: Prediction) -> tuple[bytes, str]:
    """What a file of the image holds, and the ending of its name."""
    image: AnyImage = Path(prediction.image) if prediction.query is None else prediction.query
    if isinstance(image, str):
        image = Path(image)
    if prediction.box is not None and isinstance(image, Path | bytes):
        return _png(Image.fromarray(read_image(image, None, prediction.box))), ".png"
    if isinstance(image, Path):
        content, suffix = read_bytes(image), image.suffix.lower()
        return content, suffix if suffix in suffixes() else _suffix_of(content)
    if isinstance(image, bytes):
        return image, _suffix_of(image)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return _png(Image.fromarray(upright(to_rgb8(picture, prediction.image), orientation_of(picture)))), ".png"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _suffix_of(content: bytes) -> str:
    """The usual ending of an image's format."""
    heic = is_heic(content) and register_heic()
    with Image.open(io.BytesIO(content), formats=opened_as(heic)) as header:
        return FORMATS[header.format or "PNG"][0]
