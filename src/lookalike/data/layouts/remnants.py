"""Data sets of which a part is there and another, without which nothing can be read, is not: what is missing is named.

Without it such a folder would be taken for class folders, or for another data set.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remnant:
    """What shows a data set, and what it cannot be read without.

    Attributes:
        title: What the data set is called.
        signs: Paths from its folder on, which nothing else has, so that some of them show it.
        needed: What must be there, each with the names that it may have.
        least: How many signs show it.
        instead: The layout that the rest is taken for; "" for none: class folders, or nothing.
    """

    title: str
    signs: tuple[str, ...]
    needed: tuple[tuple[str, ...], ...]
    least: int = 1
    instead: str = ""


_ILIDS, _PRID = "i-LIDS-VID/sequences", "prid_2011/multi_shot"
_MSMT_TRAIN, _MSMT_TEST = ("train", "mask_train_v2"), ("test", "mask_test_v2")
_COCO = ("train2017", "val2017", "test2017", "train2014", "val2014", "test2014")
_LISTS_OF_CARS = ("names.csv", "anno_train.csv", "anno_test.csv")
_YOLO = (("data.yaml", "dataset.yaml", "data.yml", "dataset.yml"),)
REMNANTS = (
    Remnant("Occluded-Duke", ("train.list", "gallery.list"), (("query.list",),), 2, "dukemtmc"),
    *(
        Remnant(
            f"CUHK03 ({boxes})",
            (f"images_{boxes}",),
            ((f"cuhk03_new_protocol_config_{boxes}.mat", f"splits_new_{boxes}.json"),),
        )
        for boxes in ("labeled", "detected")
    ),
    Remnant("MSMT17", ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"), (_MSMT_TRAIN,), 2),
    Remnant("MSMT17", ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"), (_MSMT_TEST,), 2),
    Remnant(
        "VehicleID", ("train_test_split/train_list.txt", "train_test_split/test_list_800.txt"), (("image", "img"),)
    ),
    Remnant("VehicleID", ("attribute/color_attr.txt", "attribute/model_attr.txt"), (("train_test_split",),)),
    Remnant("PRID 2011", ("splits_prid2011.json",), ((_PRID, "multi_shot"),)),
    Remnant("PRID 2011", ("single_shot/cam_a",), (("single_shot/cam_b",),)),
    Remnant("PRID 2011", ("single_shot/cam_b",), (("single_shot/cam_a",),)),
    Remnant("iLIDS-VID", ("train-test people splits",), ((f"{_ILIDS}/cam1", "sequences/cam1"),)),
    Remnant("MARS", ("info/query_IDX.mat", "info/tracks_test_info.mat"), (("bbox_train",), ("bbox_test",))),
    Remnant(
        "In-Shop Clothes",
        ("Img/img", "Img/img_highres", "img_highres"),
        (("Eval/list_eval_partition.txt", "list_eval_partition.txt"),),
    ),
    Remnant(
        "CUB-200-2011",
        ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt", "attributes"),
        (("images.txt",), ("image_class_labels.txt",)),
        3,
    ),
    Remnant("Cars196", ("car_ims",), (("cars_annos.mat",),)),
    Remnant("Cars196", ("cars_train", "cars_test"), (("devkit/cars_train_annos.mat", "cars_train_annos.mat"),)),
    Remnant("Cars196", ("car_data", "anno_train.csv", "anno_test.csv"), tuple((name,) for name in _LISTS_OF_CARS), 2),
    Remnant("COCO", _COCO, (("annotations",),)),
    Remnant("YOLO", ("images/train", "labels/train"), _YOLO, 2),
    Remnant("YOLO", ("train/images", "train/labels"), _YOLO, 2),
    Remnant("YOLO", ("data.yaml", "images/train"), (("labels",),), 2),
)


def torn(folder: Path, taken_for: str = "") -> str | None:
    """What is missing of a data set that a folder holds in part, in words; None where nothing is known to be.

    Args:
        folder: The data set.
        taken_for: The layout that it looks like; "" for none.
    """
    for remnant in REMNANTS:
        if remnant.instead != taken_for:
            continue
        there = [sign for sign in remnant.signs if os.path.lexists(folder / sign)]
        missing = [names for names in remnant.needed if not any(os.path.lexists(folder / name) for name in names)]
        if len(there) >= remnant.least and missing:
            without = " and without ".join(" or ".join(names) for names in missing)
            other = f"data.layout={taken_for or 'folders'}"
            return (
                f"{folder}: looks like {remnant.title} (by {', '.join(there)}) without {without}: restore it; if it is "
                f"none of {remnant.title}, say so with {other}"
            )
    return None
