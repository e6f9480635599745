"""In-Shop Clothes as it is distributed, and with what copying and editing does to its list."""

from pathlib import Path

import pytest

from lookalike.data.layouts.in_shop import IN_SHOP as LAYOUT
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import IN_SHOP, Photographs, in_shop, write


@pytest.mark.parametrize(
    ("place", "images", "evidence"),
    [("Eval", "Img/", "Eval/list_eval_partition.txt"), ("", "", "list_eval_partition.txt")],
    ids=["as distributed", "as open-metric-learning wants it"],
)
def test_the_list_says_who_asks(
    tmp_path: Path, photographs: Photographs, place: str, images: str, evidence: str
) -> None:
    manifest = read_manifest(in_shop(tmp_path, photographs, place, images))
    roles = {"train": ("train", ""), "query": ("test", "query"), "gallery": ("test", "reference")}
    rows = manifest.table[["path", "label", "split", "role"]].itertuples(index=False)
    assert {tuple(row) for row in rows} == {(images + path, item, *roles[status]) for path, item, status in IN_SHOP}
    assert manifest.table["category"].unique().tolist() == [
        "MEN/Denim",
        "WOMEN/Blouses_Shirts",
        "WOMEN/Dresses",
        "WOMEN/Tees_Tanks",
    ]
    assert manifest.read_as == f"In-Shop Clothes, by {evidence}"
    assert manifest.notes == ()
    protocol = manifest.protocol("test")
    assert (len(protocol.queries), len(protocol.references), (protocol.own_row >= 0).any()) == (3, 3, False)


def test_images_in_high_resolution_alone_are_found(tmp_path: Path, photographs: Photographs) -> None:
    in_shop(tmp_path, photographs, "Eval", "")
    (tmp_path / "img").rename(tmp_path / "img_highres")
    assert read_manifest(tmp_path).table["path"][0] == "img_highres/MEN/Denim/id_00000080/01_1_front.jpg"


def test_whole_items_are_held_out_for_validation(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(in_shop(tmp_path, photographs), validation_share=0.5)
    labels = manifest.table.groupby("split")["label"].unique()
    assert sorted(map(len, (labels["train"], labels["validation"]))) == [1, 1]
    assert not {*labels["train"]} & {*labels["validation"]}


def test_windows_ends_of_lines_and_a_mark_change_nothing(tmp_path: Path, photographs: Photographs) -> None:
    plain = read_manifest(in_shop(tmp_path, photographs)).table
    file = tmp_path / "Eval" / "list_eval_partition.txt"
    write(file, file.read_text(), "\r\n", b"\xef\xbb\xbf")
    assert read_manifest(tmp_path).table.equals(plain)


def test_absent_images_are_counted_and_the_first_twenty_shown(tmp_path: Path, photographs: Photographs) -> None:
    in_shop(tmp_path, photographs)
    file = tmp_path / "Eval" / "list_eval_partition.txt"
    more = "".join(f"img/MEN/Denim/id_00000099/{number:02d}_1_front.jpg id_00000099 train\n" for number in range(25))
    text = file.read_text().replace("10\n", "35\n", 1) + more
    file.write_text(text)
    with pytest.raises(ManifestError, match=r"25 problem\(s\) in the data:") as error:
        read_manifest(tmp_path)
    lines = str(error.value).splitlines()
    assert (
        lines[1].strip().startswith("Img/img/MEN/Denim/id_00000099/00_1_front.jpg: No such file or directory: restore")
    )
    assert (len(lines), lines[-1].strip()) == (22, "... and 5 more")


def test_every_fault_of_the_list_is_told_at_once(tmp_path: Path, photographs: Photographs) -> None:
    in_shop(tmp_path, photographs)
    file = tmp_path / "Eval" / "list_eval_partition.txt"
    first = IN_SHOP[0]
    more = f"{first[0]} id_00000081 train\n{IN_SHOP[1][0]} {IN_SHOP[1][1]} train\nimg/a.jpg id_1 valid\nimg/b.jpg\n"
    file.write_text(file.read_text() + more)
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    for expected in (
        "says 10 images, lists 14: copy it again, whole",
        "line 16: expected img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train, found 'img/b.jpg'",
        "a.jpg: 'valid': expected one of train, query, gallery",
        "Img/img/MEN/Denim/id_00000080/01_1_front.jpg: listed 2 times, with label 'id_00000080' and 'id_00000081'",
    ):
        assert expected in str(error.value)


def test_an_image_listed_twice_alike_counts_once_and_is_told(tmp_path: Path, photographs: Photographs) -> None:
    in_shop(tmp_path, photographs)
    file = tmp_path / "Eval" / "list_eval_partition.txt"
    file.write_text(file.read_text().replace("10\n", "11\n", 1) + " ".join(IN_SHOP[4]) + "\n")
    manifest = read_manifest(tmp_path)
    assert len(manifest.table) == 10
    assert any("1 line(s) say again what another one says and are taken once" in note for note in manifest.notes)


@pytest.mark.parametrize(
    "header",
    ["image_pair_name_1 image_pair_name_2 item_id evaluation_status", "image_name evaluation_status", "000001.jpg 0"],
    ids=["Consumer-to-Shop", "Attribute Prediction", "CelebA"],
)
def test_other_lists_of_that_name_are_not_taken_for_it(tmp_path: Path, header: str) -> None:
    write(tmp_path / "Eval" / "list_eval_partition.txt", f"2\n{header}\n")
    assert LAYOUT.looks_like(tmp_path) is None
