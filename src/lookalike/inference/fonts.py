"""Fonts for names in every script: each letter is drawn in a font of this machine that has it, or spelt out.

The first font is one that knows most scripts. Letters it lacks are looked for in all installed fonts, by fontconfig
where there is one, else among the fonts that come with macOS, Windows and Linux. A letter that no font has would be
drawn as an empty box: it is written as its number instead, and said once.
"""

import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from PIL import ImageFont

from lookalike.console import say

Font = ImageFont.FreeTypeFont
_FIRST = ("DejaVuSans.ttf", "Arial Unicode.ttf", "NotoSans-Regular.ttf", "Arial.ttf")
_MORE = (
    *("Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "Apple Symbols.ttf"),
    *(
        "msyh.ttc",
        "simsun.ttc",
        "meiryo.ttc",
        "malgun.ttf",
        "Nirmala.ttf",
        "segoeui.ttf",
        "seguisym.ttf",
        "seguiemj.ttf",
    ),
    *("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "NotoSansArabic-Regular.ttf", "NotoEmoji-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "Symbola.ttf", "DejaVuSans.ttf", "unifont.otf"),
)
_STYLES = ("Bold", "Italic", "Oblique", "Mono", "Serif", "Condensed", "Light", "Black", "Thin")
_NO_LETTER = "\U0010ffff"  # no font has it
_ESCAPED: set[str] = set()  # what was said already


def runs(text: str, size: int) -> list[tuple[str, Font]]:
    r"""Pieces of one line of text, each with a font that has its letters.

    Args:
        text: Without line breaks. Letters that no font of this machine has are spelt out, as `\u732b`.
        size: In pixels.
    """
    first, lacking, fonts = first_font(size), [], list[tuple[str, Font]]()
    for letter in text:
        font = fonts[-1][1] if fonts and _goes_with_the_last(letter) else _font_of(letter, size)
        if font is None:
            lacking.append(letter)
            fonts += [(sign, first) for sign in ascii(letter)[1:-1]]
        else:
            fonts.append((letter, font))
    _say_once(lacking)
    return [("".join(letter for letter, _ in run), font) for font, run in groupby(fonts, key=lambda pair: pair[1])]


def spelt(text: str) -> str:
    """One line of text in which letters that no font of this machine has are spelt out."""
    return "".join(piece for piece, _ in runs(text, 12))


def width(text: str, size: int) -> float:
    """Of one line of text, in pixels."""
    return sum(font.getlength(piece) for piece, font in runs(text, size))


@cache
def first_font(size: int) -> Font:
    """A font of this machine that knows most scripts, or Pillow's own."""
    for name in _FIRST:
        if (font := _opened(name, size)) is not None:
            return font
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont), "Pillow's wheels have FreeType"
    return own


def families_for(text: str) -> list[str]:
    """Files of further fonts, for the letters of a text that the first font lacks."""
    files = dict[str, None]()
    for letter in dict.fromkeys(text):
        font = None if _goes_with_the_last(letter) else _font_of(letter, 12)
        if font is not None and font is not first_font(12) and isinstance(font.path, str):
            files[font.path] = None
    return list(files)


def _goes_with_the_last(letter: str) -> bool:
    """Marks, joiners and blanks are drawn in the font of the letter before them."""
    return unicodedata.category(letter)[0] in "MZ" or unicodedata.category(letter) == "Cf"


@cache
def _font_of(letter: str, size: int) -> Font | None:
    """A font that has a letter, None where there is none."""
    first = first_font(size)
    if _has(first, letter):
        return first
    for file in (*_files_with(letter), *_MORE):
        font = _opened(file, size)
        if font is not None and _has(font, letter):
            return font
    return None


@cache
def _opened(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except (OSError, ValueError):  # not installed, or pictures of one size only
        return None


@cache
def _has(font: Font, letter: str) -> bool:
    """Whether a font draws anything but its sign for letters that it lacks."""
    try:
        shape, missing = font.getmask(letter), font.getmask(_NO_LETTER)
    except (OSError, ValueError, UnicodeEncodeError):
        return False
    return _goes_with_the_last(letter) or (shape.size, bytes(shape)) != (missing.size, bytes(missing))


@cache
def _files_with(letter: str) -> list[str]:
    """Fonts that have a letter, plain ones first, by fontconfig; none where that is not installed."""
    program = shutil.which("fc-list")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, f":charset={ord(letter):x}", "file"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []
    files = [line.strip().removesuffix(":") for line in listed.splitlines()]
    return sorted(files, key=lambda file: (sum(style in file for style in _STYLES), file))


def _say_once(letters: list[str]) -> None:
    fresh = [letter for letter in dict.fromkeys(letters) if letter not in _ESCAPED]
    if fresh and not _ESCAPED:
        say(
            f"pictures: no font of this machine has {' '.join(_shown(fresh))}: such letters are spelt out as "
            f"{ascii(fresh[0])[1:-1]}; install a font that has them (Debian: fonts-noto-core, fonts-noto-cjk)"
        )
    _ESCAPED.update(fresh)


def _shown(letters: list[str]) -> Iterator[str]:
    yield from letters[:8]
    if len(letters) > 8:
        yield f"and {len(letters) - 8} more"
