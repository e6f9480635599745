"""Which image formats are read, what their files are called, and what the names and first bytes of others say.

Pillow reads all but HEIC, which phones write: the extra `heic` brings its plug-in.
"""

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from PIL import features

# As Pillow calls them. Nothing else is decoded, whatever its name says: for EPS, Pillow would start Ghostscript.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "DIB": (".dib", ".bmp"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c"),
    "HEIF": (".heic", ".heif", ".hif"),
}
NAMES = "JPEG, PNG, WebP, AVIF, HEIC, JPEG 2000, BMP, TIFF, GIF or PPM"
HEIC_ADVICE = "HEIC needs the package pillow-heif: pip install 'lookalike[heic]', or save it as JPEG"
_FEATURES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
_OTHER_PICTURES = frozenset(
    re.findall(
        r"\S+",
        ".ai .arw .cr2 .cr3 .crw .dcm .dds .djvu .dng .eps .erf .exr .flif .hdr .icns .ico .jls .jng .jxl .jxr .kdc "
        ".nef .nrw .orf .pcx .pef .pfm .psb .psd .qoi .raf .raw .rw2 .rwl .sgi .sr2 .srw .svg .svgz .tga .wdp .wmf "
        ".x3f .xbm .xcf .xpm",
    )
)
_NO_PICTURES = frozenset(
    re.findall(
        r"\S+",
        ".avi .bat .bin .csv .db .doc .docx .h5 .html .ini .ipynb .json .jsonl .lnk .log .mat .md .mov .mp3 .mp4 .npy "
        ".npz .parquet .pdf .pkl .pt .pth .py .rtf .sh .sqlite .tsv .txt .url .wav .webm .xls .xlsx .xml .xmp .yaml "
        ".yml .zip",
    )
)
_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
    b"8BPS",
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_BRANDED = 64  # bytes that hold a file's brands


@cache
def suffixes() -> frozenset[str]:
    """The endings of the names of all formats that can be read here."""
    missing = _not_built_in() | (set() if find_spec("pillow_heif") else {"HEIF"})
    return frozenset(suffix for name, endings in FORMATS.items() if name not in missing for suffix in endings)


@cache
def opened_as(heic: bool) -> list[str]:
    """The formats that Pillow is asked to try, in the order of `FORMATS`; an MPO it opens as JPEG.

    Args:
        heic: Whether the plug-in of HEIC is registered and wanted.
    """
    return [name for name in FORMATS if name not in {*_not_built_in(), "MPO"} and (heic or name != "HEIF")]


def _not_built_in() -> set[str]:
    return {name for name, feature in _FEATURES.items() if not features.check(feature)}


def is_other_picture(suffix: str, start: bytes) -> bool:
    """Whether a file whose name has none of these endings is an image all the same.

    Args:
        suffix: Of its name, in small letters.
        start: Its first bytes; only looked at where the name does not tell.
    """
    webp, avif = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[4:8] == b"ftyp" and b"avif" in start
    by_name = suffix in _OTHER_PICTURES or any(suffix in endings for endings in FORMATS.values())
    return by_name or webp or avif or is_heic(start) or start.startswith(_STARTS)


def tells(suffix: str) -> bool:
    """Whether a name's ending tells by itself whether the file is an image."""
    return suffix in _NO_PICTURES or is_other_picture(suffix, b"")


def is_heic(data: bytes) -> bool:
    """Whether a file's first bytes are those of HEIC."""
    return data[4:8] == b"ftyp" and any(brand in data[8:_BRANDED] for brand in _HEIC_BRANDS)


@cache
def register_heic() -> bool:
    """Gives Pillow its plug-in for HEIC; whether there is one."""
    if not find_spec("pillow_heif"):
        return False
    import_module("pillow_heif").register_heif_opener()
    return True
