"""How a label is written: composed, without blanks at its ends; and which labels a reader cannot tell apart."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

# Invisible, but no format characters (Cf) to Unicode: joiners, fillers, variation selectors, the blank Braille pattern.
_INVISIBLE = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0}
_SELECTORS = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_UNSEEN = dict.fromkeys(_INVISIBLE | _SELECTORS)
# Cyrillic and Greek letters that print as Latin ones.
_AS_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u03bf\u03b1\u03bd\u03b9\u03ba\u03c1\u03c7",
    "aeopcyxijsoavikpx",
)
_SHOWN = 8


def as_label(text: str) -> str:
    """A label as data sets, bundles and galleries hold it: composed (NFC), blanks at its ends left out."""
    return unicodedata.normalize("NFC", text).strip()


def printed_key(label: str) -> str:
    """What stays of a label when blanks, case, Unicode form and invisible characters are left out."""
    seen = unicodedata.normalize("NFKC", label).casefold().translate(_UNSEEN).translate(_AS_LATIN)
    return unicodedata.normalize(
        "NFKC", "".join(letter for letter in seen if not letter.isspace() and unicodedata.category(letter)[0] != "C")
    )


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Groups of different labels that print alike, each sorted."""
    groups: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        groups[printed_key(label)].add(label)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def alike_note(labels: Iterable[str]) -> list[str]:
    """One line on the labels that print alike, no line where there are none.

    Args:
        labels: All of them; repetitions do not matter.
    """
    groups = alike(set(labels))
    if not groups:
        return []
    shown = "; ".join(", ".join(map(written, group)) for group in groups[:_SHOWN])
    more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return [
        f"{sum(map(len, groups))} labels differ only in blanks, case, Unicode form or invisible characters and count "
        f"as different ones: {shown}{more}; rename those that mean the same"
    ]


def stripped_note(written_labels: Iterable[str]) -> list[str]:
    """One line on the labels that are read without the blanks at their ends.

    Args:
        written_labels: As they stand in the folders or the table.
    """
    padded = sorted({label for label in written_labels if label != label.strip()})
    if not padded:
        return []
    more = f" and {len(padded) - _SHOWN} more" if len(padded) > _SHOWN else ""
    return [f"blanks at the ends of {len(padded)} label(s) left out: {', '.join(map(repr, padded[:_SHOWN]))}{more}"]


def composed_note(written_labels: Iterable[str]) -> list[str]:
    """One line on the labels that are written in two Unicode forms (composed, decomposed) and count as one each.

    Args:
        written_labels: As they stand in the folders or the table.
    """
    forms: dict[str, set[str]] = defaultdict(set)
    for label in set(written_labels):
        forms[as_label(label)].add(label.strip())
    labels = sorted(label for label, spellings in forms.items() if len(spellings) > 1)
    if not labels:
        return []
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return [
        f"{len(labels)} label(s) are written in two Unicode forms (NFC, NFD), each counted as one label: "
        f"{', '.join(labels[:_SHOWN])}{more}"
    ]


def written(label: str) -> str:
    """A label between quotation marks, in which everything that cannot be seen is spelt out."""
    return "".join(
        letter
        if letter.isprintable() and ord(letter) not in _UNSEEN and (letter == " " or not letter.isspace())
        else f"\\u{ord(letter):04x}"
        for letter in f"'{label}'"
    )
