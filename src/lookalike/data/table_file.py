"""The cells of a table as text: CSV as Excel, Windows and other programs write it, or Parquet.

Nothing here knows what a column means; what cannot be read is a `ValueError` whose text says what was seen.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.special_files import is_special

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_COLUMNS = 1000
_LARGEST_FOOTER = 16 << 20  # bytes in which a Parquet file describes its columns
_TAIL = 8  # its last bytes: the length of the footer, and PAR1
_SEPARATORS = {",": ",", ";": ";", "\t": "tab", "|": "|"}
_MARKS = {  # the longer first: a mark of UTF-32 starts like one of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SEP_LINE = re.compile(r'"?sep=(.)"?[ \t]*\r?\n', re.IGNORECASE)  # the first line that Excel understands
_WORD = re.compile(r"[^\W\d_]+")
_WESTERN_MARKS = frozenset("\u00a0ŠšŽžŒœŸ°²³–—‘’“”„€§µ´«»…•·×½¼¾™®©±¿¡ªº")


@dataclass(frozen=True)
class Cells:
    """A table as it is written.

    Attributes:
        names: Of the columns, blanks at their ends left out; one may stand twice; `column 3` for one without a name.
        columns: The text of every cell, a list per column.
        separator: Of the cells.
        encoding: Of the text.
        whole: Of a Parquet file, all columns as they are; those of lists and records are not among the others.
    """

    names: list[str]
    columns: list[list[str]]
    separator: str = ","
    encoding: str = "utf-8"
    whole: "pa.Table | None" = field(default=None, repr=False, compare=False)

    @property
    def seen(self) -> str:
        """How it was read, where that is not plain CSV, such as `separated by ;`."""
        parts = [f"separated by {_SEPARATORS[self.separator]}"] if self.separator != "," else []
        return ", ".join([*parts, *([f"text in {self.encoding}"] if self.encoding != "utf-8" else [])])


def read_csv(path: Path) -> Cells:
    """Reads a CSV file in any of the usual separators and encodings.

    Raises:
        ValueError: It has no clear meaning.
        OSError: It cannot be read.
    """
    text, encoding = decode(read_text_file(path))
    rows, separator = split(text)
    if not rows:
        raise ValueError("it is empty")
    head = [name.strip() for name in rows[0]]
    if len(head) > MOST_COLUMNS:
        raise ValueError(f"{len(head)} columns, expected at most {MOST_COLUMNS}")
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row[len(head) :]):
            mark = _SEPARATORS[separator]
            raise ValueError(
                f"row {number} has {len(row)} cells, expected {len(head)}, separated by {mark}; put a text that "
                f'holds a {mark} between quotation marks ("a, b")'
            )
    columns = [[row[place] if place < len(row) else "" for row in rows[1:]] for place in range(len(head))]
    kept = [place for place, name in enumerate(head) if name or any(cell.strip() for cell in columns[place])]
    return Cells([named(head[place], place) for place in kept], [columns[place] for place in kept], separator, encoding)


def named(name: str, place: int) -> str:
    """The name of a column without blanks at its ends; one that has none, such as an index, is called by its place.

    Args:
        name: As it is written.
        place: From 0.
    """
    return name.strip() or f"column {place + 1}"


def read_parquet(path: Path) -> Cells:
    """Reads a Parquet file; columns of lists and records are left out of the cells.

    Raises:
        ValueError: It is no such file, or holds text that is not UTF-8.
        OSError: It cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _need_no_special(path)
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if tail[4:] != b"PAR1":
        raise ValueError("it does not end as a Parquet file does")
    if int.from_bytes(tail[:4], "little") > _LARGEST_FOOTER:
        raise ValueError(f"its columns take {int.from_bytes(tail[:4], 'little') >> 20} MiB to describe")
    try:
        with pq.ParquetFile(path) as source:
            schema = source.schema_arrow
            if len(schema) > MOST_COLUMNS:
                raise ValueError(f"{len(schema)} columns, expected at most {MOST_COLUMNS}")
            table = source.read()
    except pa.ArrowException as error:
        raise ValueError(f"{error}") from error
    kept = [place for place, field in enumerate(schema) if not pa.types.is_nested(field.type)]
    names = [named(schema.field(place).name, place) for place in kept]
    return Cells(names, [_text_of(table.column(place), schema.field(place).name) for place in kept], whole=table)


def read_text_file(path: Path) -> bytes:
    """The bytes of a file that people write.

    Raises:
        ValueError: It is a pipe or a device, which may have no end.
        OSError: It cannot be read.
    """
    _need_no_special(path)
    return path.read_bytes()


def _need_no_special(path: Path) -> None:
    if is_special(path):
        raise ValueError("it is a pipe or a device, expected a file")


def csv_bytes(table: "pd.DataFrame") -> bytes:
    """A table as CSV, in UTF-8, that reads back the same."""
    text = table.to_csv(index=False, lineterminator="\n")
    end = line_end(text)
    return (text if end == "\n" else table.to_csv(index=False, lineterminator=end)).encode()


def line_end(text: str) -> str:
    """How lines of a CSV file of that text must end, so that Python's writers put carriage returns between quotes."""
    return "\r\n" if "\r" in text else "\n"


def decode(data: bytes, errors: str = "strict") -> tuple[str, str]:
    """The text of a file, and its encoding: that of its mark, UTF-8, UTF-16, or Windows-1252 where that is plain.

    Args:
        data: The file.
        errors: `surrogateescape` keeps what is not UTF-8 instead of looking for another encoding.

    Raises:
        ValueError: None of them.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    start = data[:400]
    if not mark and start.count(0) > len(start) // 4:
        encoding = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        return data[len(mark) :].decode(encoding, errors if encoding == "utf-8" else "strict"), encoding
    except UnicodeDecodeError as error:
        western = _western(data) if encoding == "utf-8" else None
        if western is None:
            raise ValueError(f"{error}; Excel calls what is expected 'CSV UTF-8'") from error
        return western, "Windows-1252"


def split(text: str) -> tuple[list[list[str]], str]:
    """Rows of cells, rows without any text left out, and what separates the cells.

    Raises:
        ValueError: NUL bytes, or a quotation mark that does not end.
    """
    if "\0" in text:
        raise ValueError(f"a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}: damaged, or no text")
    named = _SEP_LINE.match(text)
    text = text[named.end() :] if named else text
    head = next((line for line in text.splitlines() if line.strip()), "")
    try:
        counts = {mark: head.count(mark) for mark in _SEPARATORS}
        separator = named[1] if named and named[1] in _SEPARATORS else max(counts, key=lambda mark: counts[mark])
        spaced = f'{separator} "' in text
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaced, strict=True)
        return [line for line in lines if any(cell.strip() for cell in line)], separator
    except csv.Error as error:
        raise ValueError(f"{error}: a quotation mark that does not end, or one inside a text") from error


def _western(data: bytes) -> str | None:
    """The text in Windows-1252; None where its accents stand as no western language has them."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    words = {word for word in _WORD.findall(text) if not word.isascii()}
    plain = all(2 * sum(letter.isascii() for letter in word) >= len(word) for word in words)
    rest = {letter for letter in text if letter > "\xff" or "\x7f" < letter < "\xc0"}
    return text if plain and rest <= _WESTERN_MARKS else None


def _text_of(column: Iterable[object], name: str) -> list[str]:
    """Cells of Parquet as text: missing becomes "", 7.0 becomes 7 (whole numbers that became floats)."""
    texts = []
    try:
        for value in column.to_pylist():  # type: ignore[attr-defined]
            if value is None or value != value:
                texts.append("")
            elif isinstance(value, float) and value.is_integer():
                texts.append(str(int(value)))
            else:
                texts.append(value.decode() if isinstance(value, bytes) else str(value))
    except UnicodeDecodeError as error:
        raise ValueError(f"column {name}, row {len(texts) + 2}: {error}") from error
    if damaged := next((row for row, text in enumerate(texts, 2) if "\0" in text), 0):
        raise ValueError(f"column {name}, row {damaged}: a NUL byte")
    return texts
