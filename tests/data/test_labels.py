"""One way to write a label, and labels that a reader cannot tell apart."""

import unicodedata
from pathlib import Path

import pytest

from image_folders import column, csv, pictures
from lookalike.data.labels import alike, alike_note, as_label, printed_key, stripped_note, written
from lookalike.data.reading import read_data, read_manifest


@pytest.mark.parametrize("padded", ["Kiwi ", " Kiwi", "\tKiwi\n", "Kiwi\u00a0", "\u3000Kiwi", "\u2009Kiwi\u2028"])
def test_blanks_at_the_ends_are_left_out_of_folders_and_tables(tmp_path: Path, padded: str) -> None:
    assert as_label(padded) == "Kiwi"
    pictures(tmp_path, "train/Kiwi/1.png", f"train/{padded}/2.png", f"validation/{padded}/1.png")
    manifest = read_manifest(tmp_path)
    assert manifest.labels == ["Kiwi"]
    assert column(manifest, "label") == ["Kiwi"] * 3
    assert manifest.notes == (f"blanks at the ends of 1 label(s) left out: {padded!r}",)
    table = csv(tmp_path, f'path,label\ntrain/Kiwi/1.png,Kiwi\n"train/{padded}/2.png","{padded}"\n')
    assert column(read_manifest(table), "label") == ["Kiwi", "Kiwi"]


PAIRS = {
    "case": ("kiwi", "Kiwi"),
    "blanks inside": ("bell pepper", "bell  pepper"),
    "no blank": ("bellpepper", "bell pepper"),
    "no-break space": ("bell pepper", "bell\u00a0pepper"),
    "zero width": ("Kiwi", "Ki\u200bwi"),
    "byte order mark": ("Kiwi", "\ufeffKiwi"),
    "soft hyphen": ("Kiwi", "Ki\u00adwi"),
    "right-to-left mark": ("Kiwi", "Kiwi\u200f"),
    "control character": ("Kiwi", "Kiwi\u0007"),
    "variation selector": ("\u2764", "\u2764\ufe0f"),
    "full width": ("Kiwi", "\uff2bi\uff57i"),
    "ligature": ("fig", "\ufb01g"),
    "sharp s": ("Gras\u00df", "GRASSS"),
    "filler": ("Kiwi", "Kiwi\u3164"),
    "Cyrillic letters": ("Peach", "Pe\u0430\u0441h"),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_labels_that_print_alike_are_listed(
    tmp_path: Path, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert alike([*pair, "Leek", pair[0]]) == [sorted(pair)]
    pictures(tmp_path, "1.png", "2.png", "3.png")
    file = csv(tmp_path, f"path,label,split\n1.png,{pair[0]},train\n2.png,{pair[1]},train\n3.png,Leek,train\n")
    manifest = read_data(str(file))
    assert sorted(manifest.labels) == sorted([*pair, "Leek"]), "told, not merged"
    said = capsys.readouterr().err
    assert "2 labels differ only in blanks, case, Unicode form or invisible characters" in said
    assert written(sorted(pair)[0]) in said


def test_labels_that_differ_in_a_letter_are_not_listed() -> None:
    names = ["Kiwi", "Kiwis", "Jalape\u00f1o", "Jalapeno", "007", "7", "7.0", "\u4e00", "\u4e8c", "a-b", "ab"]
    assert alike(names) == []
    assert alike_note(names) == []
    assert stripped_note(names) == []
    assert len({printed_key(name) for name in names}) == len(names)


def test_both_unicode_forms_of_a_folder_are_one_label(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "Jalape\u00f1o") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    pictures(tmp_path, f"train/{forms[0]}/1.png", f"train/{forms[1]}/2.png")
    manifest = read_manifest(tmp_path)
    assert manifest.labels == [forms[0]]


def test_what_cannot_be_seen_is_spelt_out_and_many_are_counted() -> None:
    assert written("Ki\u200bwi") == r"'Ki\u200bwi'"
    assert written("a\u00a0b c") == r"'a\u00a0b c'"
    assert written("\u2764\ufe0f") == "'\u2764\\ufe0f'"
    many = [f"{name} {number}" for number in range(20) for name in ("x", "X")]
    (note,) = alike_note(many)
    assert note.startswith("40 labels differ only in")
    assert "; and 12 more; rename" in note
    (note,) = stripped_note([f"{number} " for number in range(20)])
    assert note.endswith("and 12 more")


def test_labels_in_two_unicode_forms_are_one_and_told_once(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "jalape\u00f1o") for form in ("NFC", "NFD"))
    rows = "".join(f"{place}.png,{label}\n" for place, label in enumerate((composed, decomposed, decomposed, "Kiwi")))
    pictures(tmp_path, *(f"{place}.png" for place in range(4)), f"train/{composed}/1.png", f"train/{decomposed}/1.png")
    told = f"1 label(s) are written in two Unicode forms (NFC, NFD), each counted as one label: {composed}"
    for root in (tmp_path, csv(tmp_path, f"path,label\n{rows}")):
        manifest = read_manifest(root)
        assert [label for label in manifest.labels if label != "Kiwi"] == [composed]
        assert manifest.notes.count(told) == 1
    one_form = csv(tmp_path, f"path,label\n0.png,{decomposed}\n1.png,{decomposed}\n", "one.csv")
    assert read_manifest(one_form).notes == ()
