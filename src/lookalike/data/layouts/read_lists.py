"""Which lists of a published data set its reader reads, and which of them are there: what `lookalike manifest` says."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lists:
    """The files beside the images that a reader reads.

    Attributes:
        usual: Paths from the data set's folder on, as its archive has them, that are told where they are not there.
        others: Names, perhaps with `*`, of those that some releases have.
    """

    usual: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_NONE = Lists()
_CUB = Lists(("images.txt", "image_class_labels.txt", "classes.txt"))
_CARS = Lists(
    (),
    (
        *("cars_annos.mat", "names.csv", "anno_train.csv", "anno_test.csv"),
        *(f"{above}{name}.mat" for name in ("cars_train_annos", "cars_meta") for above in ("devkit/", "")),
        *(f"{above}cars_test_annos_withlabels.mat" for above in ("devkit/", "")),
    ),
)
LISTS: dict[str, Lists] = {
    **dict.fromkeys(("market1501", "market-folders", "dukemtmc", "cuhk03-np", "market-like", "prid2011-single"), _NONE),
    "occluded-duke": Lists(("train.list", "gallery.list", "query.list")),
    **{
        f"cuhk03-{boxes}": Lists((), (f"cuhk03_new_protocol_config_{boxes}.mat", f"splits_new_{boxes}.json"))
        for boxes in ("labeled", "detected")
    },
    "msmt17": Lists(("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")),
    "veri776": Lists(
        (
            *("name_train.txt", "name_test.txt", "name_query.txt"),
            *("train_label.xml", "test_label.xml", "list_color.txt", "list_type.txt"),
        )
    ),
    "vehicleid": Lists(
        (
            "train_test_split/train_list.txt",
            *(f"train_test_split/test_list_{size}.txt" for size in (800, 1600, 2400)),
            *(f"attribute/{name}_attr.txt" for name in ("color", "model")),
        )
    ),
    "prid2011": Lists(("splits_prid2011.json",)),
    "ilids-vid": Lists(("train-test people splits/train_test_splits_ilidsvid.mat",)),
    "mars": Lists(
        (
            *("info/train_name.txt", "info/test_name.txt", "info/query_IDX.mat"),
            *("info/tracks_train_info.mat", "info/tracks_test_info.mat"),
        )
    ),
    "in-shop": Lists((), ("Eval/list_eval_partition.txt", "list_eval_partition.txt")),
    "online-products": Lists(("Ebay_train.txt", "Ebay_test.txt")),
    "cub-200-2011": _CUB,
    "cub-200-2011-boxes": Lists((*_CUB.usual, "bounding_boxes.txt")),
    "cars196": _CARS,
    "cars196-boxes": _CARS,
    "revisited": Lists((), ("gnd_roxford5k.*", "gnd_rparis6k.*")),
    "wildlife-datasets": Lists(("metadata.csv",)),
    "coco": Lists((), ("annotations/instances_*.json", "*/_annotations.coco.json")),
    "yolo": Lists((), ("data.y*ml", "dataset.y*ml")),
    "roboflow-classes": Lists((), ("*/_classes.csv", "_classes.csv")),
    "open-images": Lists(
        (),
        (
            *(f"{above}*-bbox.csv" for above in ("", "annotations/", "csv_folder/")),
            *(f"{above}*class-descriptions*.csv" for above in ("", "annotations/", "csv_folder/", "metadata/")),
        ),
    ),
}


def lists_of(layout: str, root: Path) -> tuple[list[str], list[str]]:
    """The lists of a data set that are there, and those of its archive that are not.

    Args:
        layout: Its name in the registry.
        root: Its folder; some lists may lie in the one above.
    """
    lists = LISTS[layout]
    there = [name for name in lists.usual if any((folder / name).exists() for folder in (root, root.parent))]
    others = sorted({path.relative_to(root).as_posix() for name in lists.others for path in root.glob(name)})
    return [*there, *others], [name for name in lists.usual if name not in there]
