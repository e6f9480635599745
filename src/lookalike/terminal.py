"""Text for a terminal. Labels and names of files come from strangers: what would steer it is spelt out.

A name can neither colour, move nor erase what stands there, nor turn its direction around, nor make a line of its own.
"""

import io
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.files import as_json

# Control characters but tab and line feed, the separators of lines and paragraphs, what turns the direction of text
# around, and the halves of characters that stand for bytes which are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


ANSWER_SCHEMA = 1


@dataclass(frozen=True)
class AnswerJson:
    """What `--json` prints, once for a command.

    Attributes:
        schema: Of these fields.
        lookalike: The version that wrote it.
        verb: What was typed, such as `eval` or `gallery add`.
        exit_code: 0 done, 1 done with failures, 2 wrong use; null while a service runs.
        error: The line that standard error has; null without one.
        result: What the verb gives; its fields are those of docs/schemas/README.md.
        written: Files and folders, in the order in which they were written.
    """

    schema: int
    lookalike: str
    verb: str
    exit_code: int | None
    error: str | None
    result: dict[str, object]
    written: list[str]


@dataclass
class Answer:
    """The fields of a command that is to answer in JSON.

    Attributes:
        verb: What was typed.
        result: What the verb gave.
        written: Files and folders.
        error: Its line.
        printed: Whether it was printed already.
    """

    verb: str
    result: dict[str, object] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    error: str | None = None
    printed: bool = False

    def show(self, exit_code: int | None) -> None:
        """Prints it to standard output, unless that was done before.

        Args:
            exit_code: Of the command; None while it goes on.
        """
        if self.printed:
            return
        self.printed = True
        content = AnswerJson(ANSWER_SCHEMA, __version__, self.verb, exit_code, self.error, self.result, self.written)
        print(as_json(plain(content)).decode("utf-8", "backslashreplace"), end="", flush=True)


_answers: list[Answer] = []


@contextmanager
def answering(verb: str) -> Iterator[Answer]:
    """Inside, results are kept as fields instead of being printed as text.

    Args:
        verb: What was typed.
    """
    _answers.append(Answer(verb))
    try:
        yield _answers[-1]
    finally:
        _answers.pop()


def give(**values: object) -> None:
    """Fields of the answer, for programs; `show` has the words for people.

    Args:
        values: Plain ones, dataclasses, paths, arrays; a function is asked for its value where somebody reads it.
    """
    if _answers:
        _answers[-1].result.update({name: plain(value) for name, value in values.items()})


def show_written(*files: Path | str, note: str = "") -> None:
    """Says what was written.

    Args:
        files: Or folders.
        note: Behind them.
    """
    show(f"written: {', '.join(map(str, files))}{note}")
    wrote(*files)


def wrote(*files: Path | str) -> None:
    """Keeps what was written for programs, where the words for people name it already.

    Args:
        files: Or folders.
    """
    if _answers:
        _answers[-1].written += map(str, files)


def show_each(files: list[Path]) -> None:
    """Says what was written, a line for each.

    Args:
        files: In their order.
    """
    for file in files:
        show_written(file)


def answer_now() -> None:
    """Prints the answer in JSON, where one is asked for, of a command that goes on."""
    if _answers:
        _answers[-1].show(None)


def plain(value: object) -> object:
    """A value as JSON has it: what is not finite is null, a path is its text.

    Args:
        value: Of any kind; what JSON has nothing for becomes its text.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    to_list: Callable[[], object] | None = getattr(value, "tolist", None)  # arrays and their numbers
    if to_list is not None:
        return plain(to_list())
    return plain(value()) if callable(value) else str(value)


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
    """Prints a result of one or several lines to standard output; names in it have been through `visible_line`.

    Where the answer is JSON, `give` has its fields, and nothing is printed.
    """
    if _answers:
        return
    print(visible(str(result)), flush=True)


def complain(error: object) -> None:
    """Prints an error to standard error: one line, and an indented one for each of several problems."""
    text = visible(str(error)) if isinstance(error, LookalikeError) else visible_line(str(error))
    if _answers:
        _answers[-1].error = text
    print(f"lookalike: {text}", file=sys.stderr)
