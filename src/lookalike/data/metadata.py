"""What a file says beside its pixels: which way up they are, and the file without the rest.

Broken metadata never makes a photograph unreadable: decoders look at it before they look at pixels.
"""

from PIL import Image

from lookalike.data.orientation import EXIF_TAG

_PNG, _JPEG, _EXIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"Exif\0\0"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"})
_WEBP_DROPPED = frozenset({b"EXIF", b"XMP ", b"ICCP"})
_WEBP_FLAGS = 0b00101100  # of the header: it has a colour profile, EXIF, XMP
_START_OF_SCAN, _NO_LENGTH = 0xDA, frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_DROPPED = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})  # APP0 and APP14 say how colours are stored
_UPRIGHT, _LAST = 1, 8


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8; 1 where it has none that can be read."""
    try:
        value = image.getexif().get(EXIF_TAG, _UPRIGHT)
    except MemoryError:
        raise
    except Exception:  # of damage that only concerns metadata: parsers raise anything
        return _UPRIGHT
    return value if isinstance(value, int) and _UPRIGHT <= value <= _LAST else _UPRIGHT


def without_metadata(data: bytes) -> tuple[bytes, int]:
    """A JPEG, PNG or WebP file with nothing but its pixels and how they are stored, and its EXIF orientation, 1 to 8.

    Args:
        data: The file; one of another format comes back as it is.
    """
    dropped: list[bytes] = []
    try:
        if data.startswith(_PNG):
            bare = _png(data, dropped)
        elif data.startswith(_JPEG):
            bare = _jpeg(data, dropped)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            bare = _webp(data, dropped)
        else:
            return data, _UPRIGHT
    except IndexError:  # cut off inside its metadata
        return data, _UPRIGHT
    image = Image.new("L", (1, 1))
    image.info["exif"] = next((part for part in dropped if part.startswith(_EXIF)), b"")
    return bare, orientation_of(image)


def _png(data: bytes, dropped: list[bytes]) -> bytes:
    parts, place = [_PNG], len(_PNG)
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind in _PNG_KEPT:
            parts.append(data[place:end])
        elif kind == b"eXIf":
            dropped.append(_EXIF + data[place + 8 : end - 4])
        place = end
    return b"".join(parts)


def _jpeg(data: bytes, dropped: list[bytes]) -> bytes:
    parts, place = [_JPEG], len(_JPEG)
    while place < len(data):
        if data[place] != 0xFF:
            return data
        kind = data[place + 1]
        if kind == 0xFF:  # padding
            place += 1
            continue
        if kind == _START_OF_SCAN:
            break
        end = place + 2 + (0 if kind in _NO_LENGTH else int.from_bytes(data[place + 2 : place + 4], "big"))
        if kind not in _JPEG_DROPPED:
            parts.append(data[place:end])
        else:
            dropped.append(data[place + 4 : end])
        place = end
    return b"".join([*parts, data[place:]])


def _webp(data: bytes, dropped: list[bytes]) -> bytes:
    parts, place = [], 12
    while place + 8 <= len(data):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + length + length % 2
        if kind == b"VP8X":
            parts.append(data[place : place + 8] + bytes([data[place + 8] & ~_WEBP_FLAGS]) + data[place + 9 : end])
        elif kind not in _WEBP_DROPPED:
            parts.append(data[place:end])
        elif kind == b"EXIF":
            dropped.append(_EXIF + data[place + 8 : end].removeprefix(_EXIF))
        place = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
