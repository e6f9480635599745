"""Text for a terminal. Labels and names of files come from strangers: what would steer it is spelt out.

A name can neither colour, move nor erase what stands there, nor turn its direction around, nor make a line of its own.
"""

import io
import re
import sys

from lookalike.errors import LookalikeError

# Control characters but tab and line feed, the separators of lines and paragraphs, what turns the direction of text
# around, and the halves of characters that stand for bytes which are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Text of several lines in which every character is harmless: the others are written as in Python's literals."""
    return _UNPRINTABLE.sub(lambda letter: ascii(letter[0])[1:-1], text)


def visible_line(text: str) -> str:
    """As `visible`, for a label or the name of a file: a line feed is spelt out, too."""
    return visible(text).replace("\n", "\\n")


def counted(number: int, noun: str) -> str:
    """Such as `1 image` or `2 images`.

    Args:
        number: How many.
        noun: What one of them is called; the plural ends in s.
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def tolerant_streams() -> None:
    """What standard output and error cannot encode is spelt out from now on, so that no result is lost."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(result: object) -> None:
    """Prints a result of one or several lines to standard output; names in it have been through `visible_line`."""
    print(visible(str(result)), flush=True)


def complain(error: object) -> None:
    """Prints an error to standard error: one line, and an indented one for each of several problems."""
    text = visible(str(error)) if isinstance(error, LookalikeError) else visible_line(str(error))
    print(f"lookalike: {text}", file=sys.stderr)
