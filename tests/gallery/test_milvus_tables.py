"""Rows of commits, replayed into a private file."""

from pathlib import Path

import pytest

from lookalike.gallery.milvus_tables import changed_rows, empty, make_mirror, put_rows, rows_of_all


def test_what_a_transaction_left_makes_the_same_rows_elsewhere(tmp_path: Path) -> None:
    reader, writer = make_mirror(tmp_path / "a.sqlite")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO about VALUES ('a', '1')")
    writer.execute("INSERT INTO about VALUES ('b', '2')")
    writer.execute("INSERT INTO vectors VALUES (1, ?)", (b"\x00\xff",))
    writer.execute("UPDATE about SET value = '3' WHERE name = 'a'")
    writer.execute("DELETE FROM about WHERE name = 'b'")
    changes = changed_rows(writer)
    writer.execute("COMMIT")
    assert sorted(map(str, changes)) == [
        "['about', 0, ['b']]",
        "['about', 1, ['a', '3']]",
        "['vectors', 1, [1, ['AP8=']]]",
    ]
    _, other = make_mirror(tmp_path / "b.sqlite")
    other.execute("BEGIN")
    other.execute("INSERT INTO about VALUES ('b', 'old')")
    put_rows(other, changes)
    other.execute("COMMIT")
    assert rows_of_all(other) == rows_of_all(writer)
    assert reader.execute("SELECT image, embedding FROM vectors").fetchall() == [(1, b"\x00\xff")]
    other.execute("BEGIN")
    empty(other)
    assert rows_of_all(other) == []
    with pytest.raises(ValueError, match="a table 'sqlite_master' that no gallery has"):
        put_rows(other, [["sqlite_master", 1, ["x"]]])
