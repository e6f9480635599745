"""A data set of which a part is missing: the part is named, and nothing is taken for another data set in silence."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.data.layouts.remnants import REMNANTS, torn
from lookalike.data.reading import read_data
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures
from made_retrieval import MADE as RETRIEVAL
from made_retrieval import Photographs

# What of each data set is optional: without it, it is read as itself.
_OPTIONAL: dict[str, set[str]] = {
    "occluded-duke": {"train.list", "gallery.list"},
    "cuhk03-labeled": {"cuhk03_release"},
    "cuhk03-detected": {"cuhk03_release"},
    "vehicleid": {"attribute"},
    "online-products": {"Ebay_info.txt"},
    "cub-200-2011": {"attributes", "bounding_boxes.txt", "classes.txt", "train_test_split.txt"},
    "coco of Roboflow": {"README.roboflow.txt", "train", "valid", "test"},
    "yolo of Roboflow": {"README.roboflow.txt", "train", "valid", "test"},
    "classes of Roboflow": {"train", "valid"},
    "open-images": {
        *("oidv6-train-annotations-bbox.csv", "validation-annotations-bbox.csv", "class-descriptions-boxable.csv"),
        *("train", "validation"),
    },
    "market-folders": {"readme.txt", "bounding_box_train"},
    **{name: {"bounding_box_train"} for name in ("market1501", "dukemtmc", "cuhk03-np")},
    "market-like": {"train"},
    "veri776": {
        *("jk_image.txt", "list_color.txt", "list_type.txt", "train_label.xml", "test_label.xml"),
        *("name_train.txt", "name_test.txt", "name_query.txt"),
    },
}
# Of some nothing is left that tells one data set from a folder of images.
_NOTHING_LEFT = {
    ("in-shop", "Eval"),
    ("revisited", "gnd_roxford5k.pkl"),
    ("wildlife", "metadata.csv"),
    ("prid2011-single", "single_shot"),
}
# What lies in a file or folder of another name than the one that is missing.
_NAMED_AS: dict[tuple[str, str], str] = {
    ("ilids-vid", "i-LIDS-VID"): "i-LIDS-VID/sequences/cam1",
    ("prid2011", "prid_2011"): "prid_2011/multi_shot",
    ("in-shop", "Img"): "img/",
    ("yolo", "images"): "no image at all",
    ("cars196 of its kit", "devkit"): "devkit/cars_train_annos.mat",
    ("coco", "train2017"): "000000000009.jpg",
    ("coco", "val2017"): "problem(s) in the data",
}


def made(key: str, root: Path, pictures: Pictures, photographs: Photographs) -> tuple[str, Path]:
    if key in MADE:
        return key, MADE[key](root, pictures)
    layout, make = RETRIEVAL[key]
    return layout, make(root, photographs)


@pytest.mark.parametrize("key", [*MADE, *RETRIEVAL])
def test_without_each_part_in_turn_it_is_named_or_the_data_set_is_still_itself(
    key: str, tmp_path: Path, pictures: Pictures, photographs: Photographs
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    layout, _ = made(key, root, pictures, photographs)
    parts = sorted(path.name for path in root.iterdir() if path.name != "data.jpg")
    optional = _OPTIONAL.get(key, set())
    for part in parts:
        if (key, part) in _NOTHING_LEFT or (root / part).suffix in (".jpg", ".png"):
            continue
        shutil.move(root / part, tmp_path / "aside")
        if part in optional:
            assert read_data(str(root)).layout == layout, part
        else:
            with pytest.raises(ManifestError) as refused:
                read_data(str(root))
            assert _NAMED_AS.get((key, part), part) in str(refused.value), part
        shutil.move(tmp_path / "aside", root / part)


@pytest.mark.parametrize(
    ("key", "path", "message"),
    [
        (
            "cub-200-2011",
            "image_class_labels.txt",
            r"looks like CUB-200-2011 \(by images.txt, .*\) without image_class_labels.txt: restore it; if it is none "
            r"of CUB-200-2011, say so with data.layout=folders",
        ),
        (
            "yolo",
            "data.yaml",
            r"looks like YOLO \(by images/train, labels/train\) without data.yaml or dataset.yaml",
        ),
        ("msmt17", "test", r"looks like MSMT17 \(by list_train.txt, .*\) without test or mask_test_v2: restore it"),
        (
            "occluded-duke",
            "query.list",
            r"looks like Occluded-Duke \(by train.list, gallery.list\) without query.list: .* data.layout=dukemtmc",
        ),
        ("in-shop", "Eval/list_eval_partition.txt", r"without Eval/list_eval_partition.txt or list_eval_partition.txt"),
        (
            "cars196 of its kit",
            "devkit/cars_train_annos.mat",
            r"without devkit/cars_train_annos.mat or cars_train_annos",
        ),
    ],
)
def test_the_message_names_what_is_missing_and_the_way_out(
    key: str, path: str, message: str, tmp_path: Path, pictures: Pictures, photographs: Photographs
) -> None:
    made(key, tmp_path, pictures, photographs)
    part = tmp_path / path
    shutil.move(part, tmp_path.with_name(f"{tmp_path.name} aside"))
    with pytest.raises(ManifestError, match=message) as refused:
        read_data(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_layouts_say_when_a_list_of_theirs_is_not_there(
    tmp_path: Path, pictures: Pictures, capsys: pytest.CaptureFixture[str]
) -> None:
    MADE["vehicleid"](tmp_path, pictures)
    (tmp_path / "train_test_split" / "train_list.txt").unlink()
    assert read_data(str(tmp_path)).layout == "vehicleid"
    told = "train_list.txt, test_list_2400.txt not in train_test_split/, so its vehicles take no part"
    assert told in capsys.readouterr().err


def test_a_setting_reads_it_as_what_it_is_said_to_be(tmp_path: Path, pictures: Pictures) -> None:
    MADE["occluded-duke"](tmp_path, pictures)
    (tmp_path / "query.list").unlink()
    assert read_data(str(tmp_path), layout="dukemtmc").layout == "dukemtmc"


@pytest.mark.parametrize("remnant", REMNANTS, ids=lambda remnant: f"{remnant.title} {remnant.needed}")
def test_each_remnant_can_show_and_be_whole(remnant: object, tmp_path: Path) -> None:
    make: Callable[[str], None] = lambda name: (tmp_path / name).mkdir(parents=True, exist_ok=True)  # noqa: E731
    assert torn(tmp_path, remnant.instead) is None
    for sign in remnant.signs:
        make(sign)
    for name in remnant.needed[0]:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    said = torn(tmp_path, remnant.instead)
    assert said is not None
    assert f"looks like {remnant.title} (by " in said
    others = [other for other in REMNANTS if other.instead == remnant.instead]
    for names in [names for other in others for names in other.needed]:
        make(names[0])
    assert torn(tmp_path, remnant.instead) is None
