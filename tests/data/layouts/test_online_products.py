"""Stanford Online Products as it is distributed, and with what editing does to its lists."""

from pathlib import Path

import pytest

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import PRODUCTS, Photographs, online_products, write


def test_every_test_image_asks_all_others(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(online_products(tmp_path, photographs))
    listed = [row.split() for rows in PRODUCTS.values() for row in rows]
    table = manifest.table
    assert dict(zip(table["path"], table["label"], strict=True)) == {path: label for _, label, _, path in listed}
    assert table["category"].tolist() == [path.partition("/")[0] for path in table["path"]]
    assert table.groupby("split")["role"].unique().map(list).to_dict() == {"train": [""], "test": ["both"]}
    protocol = manifest.protocol("test")
    assert protocol.own_row.tolist() == list(range(7))
    assert manifest.standard
    assert manifest.standard.metrics == ("cmc@1", "cmc@10", "cmc@100", "cmc@1000")


def test_the_folder_above_is_enough_and_files_beside_are_told(tmp_path: Path, photographs: Photographs) -> None:
    inner = online_products(tmp_path / "Stanford_Online_Products", photographs)
    photographs.put(inner, "chair_final/not_listed.JPG")
    (inner / "chair_final" / "Thumbs.db").write_bytes(b"x")
    manifest = read_manifest(tmp_path)
    assert manifest.root == inner
    assert manifest.read_as.startswith("Stanford Online Products, by Ebay_train.txt, Ebay_test.txt in Stanford_Online")
    assert manifest.notes == (
        "1 image(s) that no list names are passed over: chair_final/not_listed.JPG",
        "1 file(s) ending in .db passed over: not an image extension",
    )


def test_validation_holds_out_whole_products_and_asks_as_test_does(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(online_products(tmp_path, photographs), validation_share=0.5)
    held_out = manifest.table[manifest.table["split"] == "validation"]
    assert held_out["label"].nunique() == 1
    assert held_out["role"].tolist() == ["both", "both"]
    assert manifest.protocol("validation").own_row.tolist() == [0, 1]
    assert "1 labels with 2 training images held out for validation (share 0.5, seed 0)" in manifest.notes


def test_windows_ends_of_lines_and_a_mark_change_nothing(tmp_path: Path, photographs: Photographs) -> None:
    plain = read_manifest(online_products(tmp_path, photographs)).table
    for name in PRODUCTS:
        write(tmp_path / name, (tmp_path / name).read_text(), "\r\n", b"\xef\xbb\xbf")
    assert read_manifest(tmp_path).table.equals(plain)


def test_a_product_of_both_lists_is_told(tmp_path: Path, photographs: Photographs) -> None:
    online_products(tmp_path, photographs)
    photographs.put(tmp_path, "chair_final/1_0.JPG")
    with (tmp_path / "Ebay_test.txt").open("a") as file:
        file.write("59559 1 3 chair_final/1_0.JPG\n")
    notes = read_manifest(tmp_path).notes
    assert "1 labels are in train and in test, where its papers have none (such as 1)" in notes[0]


def test_an_image_of_both_lists_is_a_problem(tmp_path: Path, photographs: Photographs) -> None:
    online_products(tmp_path, photographs)
    with (tmp_path / "Ebay_test.txt").open("a") as file:
        file.write("59559 1 1 bicycle_final/111085122871_0.JPG\n")
    expected = r"111085122871_0\.JPG: listed 2 times, with split 'train' and 'test', role '' and 'both': keep the right"
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


def test_one_list_alone_is_refused(tmp_path: Path, photographs: Photographs) -> None:
    (online_products(tmp_path, photographs) / "Ebay_test.txt").unlink()
    expected = (
        r"Stanford Online Products without Ebay_test\.txt, so nobody knows what is trained on and what is searched"
    )
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)
