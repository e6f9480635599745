"""Images held out of training: a function of the seed, never a whole class."""

from pathlib import Path

import pytest

from image_folders import column, csv, pictures
from lookalike.data.dataset import read_manifest


def test_hold_out_is_a_function_of_the_seed_and_leaves_every_class_an_image(tmp_path: Path) -> None:
    pictures(
        tmp_path,
        *(f"{label}/{number}.png" for label, count in (("a", 10), ("b", 2), ("c", 1)) for number in range(count)),
    )
    read = {seed: read_manifest(tmp_path, validation_share=0.3, seed=seed) for seed in (0, 1, 2)}
    for seed, manifest in read.items():
        counts = manifest.counts()
        assert counts["validation"].to_dict() == {"a": 3, "b": 1, "c": 0}
        assert counts["train"].to_dict() == {"a": 7, "b": 1, "c": 1}
        assert manifest.notes == (f"4 training images held out for validation (share 0.3, seed {seed})",)
    assert read_manifest(tmp_path, validation_share=0.3, seed=1).table.equals(read[1].table)
    assert not all(read[seed].table.equals(read[0].table) for seed in (1, 2))


@pytest.mark.parametrize(("share", "held"), [(0.001, 1), (0.5, 2), (1.0, 3)])
def test_hold_out_takes_at_least_one_and_never_all(tmp_path: Path, share: float, held: int) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)))
    assert column(read_manifest(tmp_path, validation_share=share), "split").count("validation") == held


def test_validation_images_that_are_there_are_used_and_nothing_is_held_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)), "val/a/1.png")
    manifest = read_manifest(tmp_path, validation_share=0.5)
    assert column(manifest, "split").count("validation") == 1
    assert manifest.notes == ()


def test_copies_of_a_held_out_image_leave_training_with_it(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{kind}{number}.png" for kind in "ac" for number in range(4)))
    rows = "".join(f"a{number}.png,x,\nc{number}.png,x,a{number}.png\n" for number in range(4))
    table = read_manifest(csv(tmp_path, "path,label,source\n" + rows), validation_share=0.5).table.set_index("path")
    for number in range(4):
        assert table["split"][f"a{number}.png"] == table["split"][f"c{number}.png"]
    assert sorted(table["split"]) == ["train"] * 4 + ["validation"] * 4
