"""Small data sets in exactly the layouts of retrieval benchmarks and of boxes, of real photographs cut small."""

import json
import pickle
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

WIDE, HIGH = 48, 36  # pixels of every photograph


class Photographs:
    """Real photographs, cut small, one after the other; no two files are the same."""

    def __init__(self, files: Sequence[Path]) -> None:
        shrunk = [cv2.resize(cv2.imread(str(file)), (WIDE, HIGH), interpolation=cv2.INTER_AREA) for file in files]
        self._images, self._written = cycle(shrunk), 0

    def put(self, root: Path, *paths: str) -> Path:
        for path in paths:
            image = next(self._images).copy()
            self._written += 1
            image[:2] = np.random.default_rng(self._written).integers(0, 256, (2, WIDE, 3))
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(cv2.imencode(Path(path).suffix, image)[1].tobytes())
        return root


def write(file: Path, text: str, end: str = "\n", mark: bytes = b"") -> Path:
    """A list; its lines end as Windows ends them, and it begins with a mark, where that is asked for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(mark + text.replace("\n", end).encode())
    return file


IN_SHOP = [
    ("img/MEN/Denim/id_00000080/01_1_front.jpg", "id_00000080", "train"),
    ("img/MEN/Denim/id_00000080/01_2_side.jpg", "id_00000080", "train"),
    ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "id_00000002", "train"),
    ("img/WOMEN/Dresses/id_00000002/02_2_side.jpg", "id_00000002", "train"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_1_front.jpg", "id_00000001", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_2_side.jpg", "id_00000001", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_4_full.jpg", "id_00000001", "gallery"),
    ("img/WOMEN/Tees_Tanks/id_00000007/01_1_front.jpg", "id_00000007", "query"),
    ("img/WOMEN/Tees_Tanks/id_00000007/01_3_back.jpg", "id_00000007", "gallery"),
    ("img/WOMEN/Tees_Tanks/id_00000007/01_7_additional.jpg", "id_00000007", "gallery"),
]


def in_shop(root: Path, photographs: Photographs, place: str = "Eval", images: str = "Img/") -> Path:
    photographs.put(root, *(images + path for path, _, _ in IN_SHOP))
    rows = "".join(f"{path:<72}{item:<12}{status}\n" for path, item, status in IN_SHOP)
    text = f"{len(IN_SHOP)}\nimage_name{' ' * 62}item_id     evaluation_status\n{rows}"
    write(root / place / "list_eval_partition.txt", text)
    return root


PRODUCTS = {
    "Ebay_train.txt": [
        "1 1 1 bicycle_final/111085122871_0.JPG",
        "2 1 1 bicycle_final/111085122871_1.JPG",
        "3 2 1 bicycle_final/111265328556_0.JPG",
        "4 2 1 bicycle_final/111265328556_1.JPG",
    ],
    "Ebay_test.txt": [
        "59552 11319 3 chair_final/151952108602_0.JPG",
        "59553 11319 3 chair_final/151952108602_1.JPG",
        "59554 11319 3 chair_final/151952108602_2.JPG",
        "59555 11320 3 chair_final/171952108602_0.JPG",
        "59556 11320 3 chair_final/171952108602_1.JPG",
        "59557 11321 12 toaster_final/191952108602_0.JPG",
        "59558 11321 12 toaster_final/191952108602_1.JPG",
    ],
}


def online_products(root: Path, photographs: Photographs) -> Path:
    for name, rows in PRODUCTS.items():
        photographs.put(root, *(row.split()[3] for row in rows))
        write(root / name, "image_id class_id super_class_id path\n" + "".join(f"{row}\n" for row in rows))
    write(root / "Ebay_info.txt", "image_id class_id super_class_id path\n1 1 1 bicycle_final/111085122871_0.JPG\n")
    return root


BIRDS = {  # number -> name, class, training image, box
    1: ("001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg", 1, 0, "6.0 7.0 30.0 20.0"),
    2: ("001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg", 1, 1, "1.0 2.0 40.0 30.0"),
    59: ("002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg", 2, 0, "3.0 4.0 20.0 20.0"),
    60: ("002.Laysan_Albatross/Laysan_Albatross_0003_1033.jpg", 2, 1, "3.0 4.0 20.0 20.0"),
    5865: ("101.White_Pelican/White_Pelican_0022_97115.jpg", 101, 1, "3.0 4.0 20.0 20.0"),
    5866: ("101.White_Pelican/White_Pelican_0037_97023.jpg", 101, 0, "3.0 4.0 20.0 20.0"),
    11729: ("200.Common_Yellowthroat/Common_Yellowthroat_0003_190521.jpg", 200, 0, "3.0 4.0 20.0 20.0"),
    11730: ("200.Common_Yellowthroat/Common_Yellowthroat_0126_190407.jpg", 200, 1, "3.0 4.0 20.0 20.0"),
}


def cub(root: Path, photographs: Photographs) -> Path:
    photographs.put(root, *(f"images/{bird[0]}" for bird in BIRDS.values()))
    for place, name in enumerate(
        ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt")
    ):
        write(root / name, "".join(f"{number} {bird[place]}\n" for number, bird in BIRDS.items()))
    classes = {bird[1]: bird[0].partition("/")[0] for bird in BIRDS.values()}
    write(root / "classes.txt", "".join(f"{number} {name}\n" for number, name in classes.items()))
    write(root / "attributes" / "class_attribute_labels_continuous.txt", "0.1 0.2\n")
    return root


CAR_NAMES = [f"Maker Model {number:03d} 2012" for number in range(1, 197)]
CAR_NAMES[0], CAR_NAMES[97], CAR_NAMES[98] = "AM General Hummer SUV 2000", "Ram C/V Cargo Van 2012", "GMC Yukon 2012"
CARS = [  # class, whether it is of the test half, box
    (1, 0, (3, 4, 40, 30)),
    (1, 1, (2, 2, 44, 33)),
    (98, 0, (3, 4, 40, 30)),
    (98, 1, (3, 4, 40, 30)),
    (99, 0, (5, 6, 41, 31)),
    (99, 1, (3, 4, 40, 30)),
    (196, 0, (3, 4, 40, 30)),
    (196, 1, (3, 4, 40, 30)),
]
CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def _records(rows: list[tuple[object, ...]], *fields: str) -> np.ndarray:
    return np.array([rows], dtype=[(field, object) for field in fields]).reshape(1, -1)


def cars_annos(root: Path, photographs: Photographs) -> Path:
    paths = [f"car_ims/{number:06d}.jpg" for number in range(1, len(CARS) + 1)]
    photographs.put(root, *paths)
    rows = [(path, *box, number, test) for path, (number, test, box) in zip(paths, CARS, strict=True)]
    annotations = _records(rows, "relative_im_path", *CORNERS, "class", "test")
    names = np.array(CAR_NAMES, object).reshape(1, -1)
    savemat(root / "cars_annos.mat", {"annotations": annotations, "class_names": names})
    return root


def cars_devkit(root: Path, photographs: Photographs) -> Path:
    (root / "devkit").mkdir(parents=True)
    for half, (name, place) in enumerate(
        (("train", "devkit/cars_train_annos"), ("test", "cars_test_annos_withlabels"))
    ):
        cars = [car for car in CARS if car[1] == half]
        files = [f"{number:05d}.jpg" for number in range(1, len(cars) + 1)]
        photographs.put(root, *(f"cars_{name}/{file}" for file in files))
        rows = [(*box, number, file) for file, (number, _, box) in zip(files, cars, strict=True)]
        savemat(root / f"{place}.mat", {"annotations": _records(rows, *CORNERS, "class", "fname")})
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": np.array(CAR_NAMES, object).reshape(1, -1)})
    return root


def cars_tables(root: Path, photographs: Photographs) -> Path:
    write(root / "names.csv", "".join(f"{name}\n" for name in CAR_NAMES))
    for half, name in enumerate(("train", "test")):
        cars = [car for car in CARS if car[1] == half]
        rows = ""
        for number, (label, _, box) in enumerate(cars, 1):
            folder = CAR_NAMES[label - 1].replace("/", "-")
            photographs.put(root, f"car_data/car_data/{name}/{folder}/{number:05d}.jpg")
            rows += f"{number:05d}.jpg,{','.join(map(str, box))},{label}\n"
        write(root / f"anno_{name}.csv", rows)
    return root


LANDMARKS = {
    "imlist": [
        "all_souls_000001",
        "all_souls_000002",
        "oxford_000003",
        "radcliffe_camera_000004",
        "oxford_000005",
        "oxford_000006",
        "oxford_000007",
    ],
    "qimlist": ["all_souls_000013", "all_souls_000026", "radcliffe_camera_000519", "bodleian_000132"],
    "gnd": [
        {"bbx": [4.5, 3.0, 40.0, 33.0], "easy": [0, 1], "hard": [2], "junk": [3]},
        {"bbx": [1.0, 1.0, 47.0, 35.0], "easy": [1], "hard": [0, 4], "junk": []},
        {"bbx": [2.0, 2.0, 30.0, 30.0], "easy": [], "hard": [3, 2], "junk": [5]},
        {"bbx": [2.0, 2.0, 30.0, 30.0], "easy": [], "hard": [], "junk": [6]},
    ],
}


def revisited(root: Path, photographs: Photographs, suffix: str = ".pkl", name: str = "roxford5k") -> Path:
    photographs.put(root, *(f"jpg/{image}.jpg" for image in LANDMARKS["imlist"] + LANDMARKS["qimlist"]))
    file = root / f"gnd_{name}{suffix}"
    if suffix == ".pkl":
        file.write_bytes(pickle.dumps(LANDMARKS, protocol=2))
    elif suffix == ".json":
        file.write_text(json.dumps(LANDMARKS))
    else:
        lists = ("easy", "hard", "junk")
        rows = [
            (*(np.array([part[key]], float) + 1 for key in lists), np.array([part["bbx"]])) for part in LANDMARKS["gnd"]
        ]
        named = {key: np.array(LANDMARKS[key], object).reshape(-1, 1) for key in ("imlist", "qimlist")}
        savemat(file, {**named, "gnd": _records(rows, *lists, "bbx")})
    return root


WILDLIFE = """image_id,identity,path,date,orientation,species,split,dataset
0,SeaTurtleID2022_t001,images/SeaTurtleID2022/database/t001/a.jpg,2014-07-26,left,loggerhead turtle,database,S
1,SeaTurtleID2022_t001,images/SeaTurtleID2022/database/t001/b.jpg,2014-07-27,right,loggerhead turtle,database,S
2,SeaTurtleID2022_t002,images/SeaTurtleID2022/database/t002/a.jpg,,left,loggerhead turtle,database,S
3,SeaTurtleID2022_t001,images/SeaTurtleID2022/query/c.jpg,2015-07-26,left,loggerhead turtle,query,S
4,,images/SeaTurtleID2022/query/d.jpg,2015-07-26,left,loggerhead turtle,query,S
5,SeaTurtleID2022_t002,images/SeaTurtleID2022/query/e.jpg,2015-07-26,,loggerhead turtle,query,S
"""


def wildlife(root: Path, photographs: Photographs, text: str = WILDLIFE) -> Path:
    photographs.put(root, *(cell for cell in text.replace("\n", ",").split(",") if cell.endswith(".jpg")))
    write(root / "metadata.csv", text)
    return root


def coco_json(images: list[str], boxes: list[tuple[int, int, list[float]]], names: dict[int, str]) -> str:
    """Numbers of images and of annotations start with 1 in every file."""
    made = {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": number, "file_name": name, "width": WIDE, "height": HIGH} for number, name in enumerate(images, 1)
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": 1.0, "iscrowd": 0}
            for number, (image, label, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": number, "name": name, "supercategory": "food"} for number, name in names.items()],
    }
    return json.dumps(made)


def coco(root: Path, photographs: Photographs) -> Path:
    photographs.put(root, "train2017/000000000009.jpg", "train2017/000000000025.jpg", "val2017/000000000139.jpg")
    boxes = [(1, 1, [2.0, 3.0, 20.0, 15.5]), (1, 2, [10.0, 3.0, 30.0, 30.0]), (2, 1, [0.0, 0.0, 48.0, 36.0])]
    text = coco_json(["000000000009.jpg", "000000000025.jpg"], boxes, {1: "apple", 2: "pear"})
    write(root / "annotations" / "instances_train2017.json", text)
    text = coco_json(["000000000139.jpg"], [(1, 1, [1, 1, 20, 20]), (1, 2, [5, 5, 30, 30])], {2: "apple", 1: "pear"})
    write(root / "annotations" / "instances_val2017.json", text)
    write(root / "annotations" / "captions_val2017.json", "{}")
    return root


def coco_roboflow(root: Path, photographs: Photographs) -> Path:
    for split in ("train", "valid", "test"):
        names = [f"{split}_a_jpg.rf.1b.jpg", f"{split}_b_jpg.rf.2c.jpg"]
        photographs.put(root, *(f"{split}/{name}" for name in names))
        boxes = [(1, 1, [2, 3, 20, 15]), (2, 2, [10, 3, 30, 30])]
        write(root / split / "_annotations.coco.json", coco_json(names, boxes, {0: "fruits", 1: "apple", 2: "pear"}))
    write(root / "README.roboflow.txt", "fruits - v1\n")
    return root


def yolo(root: Path, photographs: Photographs) -> Path:
    photographs.put(root, "images/train/a.jpg", "images/train/b.png", "images/val/a.jpg")
    write(root / "labels" / "train" / "a.txt", "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.5 0.5\n")
    write(root / "labels" / "train" / "b.txt", "1 0.5 0.5 1 1\n")
    write(root / "labels" / "val" / "a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    write(
        root / "data.yaml", "path: fruits\ntrain: images/train\nval: images/val\ntest:\nnames:\n  0: apple\n  1: pear\n"
    )
    return root


def yolo_roboflow(root: Path, photographs: Photographs) -> Path:
    for split in ("train", "valid", "test"):
        photographs.put(root, f"{split}/images/{split}_jpg.rf.1.jpg")
        write(root / split / "labels" / f"{split}_jpg.rf.1.txt", "0 0.5 0.5 0.5 0.5\n")
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['apple', 'pear']\n"
    write(root / "data.yaml", text)
    return root


def one_hot(root: Path, photographs: Photographs) -> Path:
    for split in ("train", "valid"):
        photographs.put(root, *(f"{split}/{name}_jpg.rf.{split}.jpg" for name in "ab"))
        rows = f"a_jpg.rf.{split}.jpg, 1, 0\nb_jpg.rf.{split}.jpg, 0, 1\n"
        write(root / split / "_classes.csv", f"filename, apple, pear\n{rows}")
    return root


OPEN_IMAGES = """\
ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside
000026e7ee790996,xclick,/m/014j1m,1,0.25,0.75,0.5,1,0,1,0,0,0
000026e7ee790996,xclick,/m/061_f,1,0,0.5,0,0.5,0,1,0,0,0
000062a39995e348,xclick,/m/014j1m,1,0.1,0.9,0.1,0.9,0,0,1,0,0
0000c64e1253d68f,xclick,/m/014j1m,1,0.1,0.9,0.1,0.9,0,0,0,0,0
"""


def open_images(root: Path, photographs: Photographs) -> Path:
    photographs.put(root, "train/000026e7ee790996.jpg", "train/000062a39995e348.jpg", "validation/0001eeaf4aed83f9.jpg")
    write(root / "oidv6-train-annotations-bbox.csv", OPEN_IMAGES)
    row = "0001eeaf4aed83f9,xclick,/m/061_f,1,0.2,0.8,0.1,0.8,0,0,0,0,0\n"
    write(root / "validation-annotations-bbox.csv", OPEN_IMAGES.splitlines()[0] + "\n" + row)
    write(root / "class-descriptions-boxable.csv", '/m/014j1m,Apple\n/m/061_f,"Pear, common"\n')
    return root


def market_folders(root: Path, photographs: Photographs) -> Path:
    """Market-1501's folders with names of another data set."""
    photographs.put(
        root, *(f"bounding_box_train/{name}.jpg" for name in ("0003_c001_00016450_0", "0003_c002_00016970_0"))
    )
    photographs.put(root, "query/0002_c002_00030600_0.jpg", "bounding_box_test/0002_c003_00030670_1.jpg")
    write(root / "readme.txt", "Vehicles\n")
    return root


MADE: dict[str, tuple[str, Callable[[Path, Photographs], Path]]] = {  # name of the test -> layout, and how it is made
    "in-shop": ("in-shop", in_shop),
    "online-products": ("online-products", online_products),
    "cub-200-2011": ("cub-200-2011", cub),
    "cars196": ("cars196", cars_annos),
    "cars196 of its kit": ("cars196", cars_devkit),
    "cars196 of tables": ("cars196", cars_tables),
    "revisited": ("revisited", revisited),
    "wildlife": ("wildlife-datasets", wildlife),
    "coco": ("coco", coco),
    "coco of Roboflow": ("coco", coco_roboflow),
    "yolo": ("yolo", yolo),
    "yolo of Roboflow": ("yolo", yolo_roboflow),
    "classes of Roboflow": ("roboflow-classes", one_hot),
    "open-images": ("open-images", open_images),
    "market-folders": ("market-folders", market_folders),
}
