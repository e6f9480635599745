"""Who asks and who answers, by the three tables of docs/data.md."""

from pathlib import Path

import pytest

from image_folders import csv, pictures
from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest


def protocol(folder: Path, text: str) -> Protocol:
    pictures(folder, *(f"{number}.jpg" for number in range(1, 9)))
    rows = "".join(f"{line.strip()}\n" for line in text.strip().splitlines())
    return read_manifest(csv(folder, "path,label,split,role\n" + rows)).protocol("test")


def sides(protocol: Protocol) -> tuple[list[str], list[str], list[bool]]:
    enrolled = protocol.problem(camera_rule=True).enrolled().tolist()
    return protocol.queries["path"].tolist(), protocol.references["path"].tolist(), enrolled


def test_new_individuals_need_no_role(tmp_path: Path) -> None:
    given = protocol(tmp_path, "1.jpg,z1,train,\n2.jpg,z2,train,\n5.jpg,z1,test,\n6.jpg,z3,test,")
    assert sides(given) == (["5.jpg", "6.jpg"], ["1.jpg", "2.jpg"], [True, False])
    notes = read_manifest(tmp_path / "data.csv").notes
    assert notes == (
        "test: 1 of 2 queries are of 1 label(s) that no reference has, so they are unknown individuals and must be "
        "turned away: z3",
    )


@pytest.mark.parametrize("role", ["", "reference", "both", "query"])
def test_a_training_catalogue_answers_without_being_listed_twice(tmp_path: Path, role: str) -> None:
    text = f"1.jpg,z1,train,{role}\n2.jpg,z2,train,\n5.jpg,z1,test,query\n6.jpg,z3,test,query\n7.jpg,z1,test,"
    given = protocol(tmp_path, text)
    assert sides(given) == (["5.jpg", "6.jpg"], ["1.jpg", "2.jpg"], [True, False])
    assert given.source == "2 queries of split test, 2 references: the original training images"


def test_own_references_answer_besides_training_rows_that_are_marked(tmp_path: Path) -> None:
    own = "5.jpg,z4,test,reference\n6.jpg,z4,test,query\n7.jpg,z1,test,both\n8.jpg,z3,test,query"
    given = protocol(tmp_path, f"1.jpg,z1,train,reference\n2.jpg,z2,train,\n{own}")
    assert sides(given) == (["6.jpg", "7.jpg", "8.jpg"], ["1.jpg", "5.jpg", "7.jpg"], [True, True, False])
    assert given.own_row.tolist() == [-1, 2, -1]
    assert given.source == "3 queries of split test, 3 references: 1 training images and 2 of split test"
    unmarked = protocol(tmp_path, f"1.jpg,z1,train,\n2.jpg,z2,train,\n{own}")
    assert sides(unmarked) == (["6.jpg", "7.jpg", "8.jpg"], ["5.jpg", "7.jpg"], [True, False, False])
    assert unmarked.source == "3 queries and 2 references, both of split test"


def test_a_misspelt_name_is_suggested(tmp_path: Path) -> None:
    pictures(tmp_path, "train/Kiwi/1.png", "validation/Kiwis/1.png", "validation/Kiwi/2.png")
    (note,) = read_manifest(tmp_path).notes
    assert note.endswith("must be turned away: Kiwis; did you mean Kiwi?")
