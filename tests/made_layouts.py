"""Small data sets in exactly the layouts of published ones, of real images cut small, for tests."""

import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

_SIDE = 24  # pixels


class Pictures:
    """Real images, cut small, one after the other."""

    def __init__(self, files: list[Path]) -> None:
        shrunk = [cv2.resize(cv2.imread(str(file)), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for file in files]
        self._images = cycle(shrunk)
        self._written = 0

    def put(self, root: Path, *paths: str) -> Path:
        """Writes the next image to each path; each is another file, byte for byte."""
        for path in paths:
            image = next(self._images).copy()
            self._written += 1
            image[0, :, 0] = [
                self._written * 37 % 251 if column % 2 else self._written % 256 for column in range(_SIDE)
            ]
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(cv2.imencode(Path(path).suffix, image)[1].tobytes())
        return root


def lines(file: Path, *rows: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{row}\n" for row in rows), "utf-8")


def market1501(root: Path, pictures: Pictures) -> Path:
    names = ("0002_c1s1_000451_03", "0002_c2s1_000776_01", "0007_c2s3_070952_01", "0007_c3s3_077419_03")
    pictures.put(root, *(f"bounding_box_train/{name}.jpg" for name in names))
    pictures.put(root, "query/0001_c1s1_001051_00.jpg", "query/0003_c4s6_015641_00.jpg")
    names = ("0001_c2s1_000301_00", "0003_c1s6_015971_01", "0000_c1s1_000151_01", "-1_c1s1_000401_03")
    return pictures.put(root, *(f"bounding_box_test/{name}.jpg" for name in names))


DUKE = {
    "bounding_box_train": ("0001_c2_f0046182.jpg", "0001_c5_f0051341.jpg", "0007_c2_f0047212.jpg"),
    "query": ("0005_c2_f0046985.jpg", "0006_c5_f0047145.jpg"),
    "bounding_box_test": ("0005_c5_f0051781.jpg", "0006_c2_f0045914.jpg", "7138_c8_f0086543.jpg"),
}


def dukemtmc(root: Path, pictures: Pictures) -> Path:
    return pictures.put(root, *(f"{folder}/{name}" for folder, names in DUKE.items() for name in names))


def occluded_duke(root: Path, pictures: Pictures) -> Path:
    for file, folder in (("train", "bounding_box_train"), ("gallery", "bounding_box_test"), ("query", "query")):
        lines(root / f"{file}.list", *DUKE[folder])
    return dukemtmc(root, pictures)


def cuhk03_np(root: Path, pictures: Pictures) -> Path:
    pictures.put(root, "bounding_box_train/0001_c1_1.png", "bounding_box_train/0001_c2_6.png")
    pictures.put(root, "query/0003_c1_22.png", "query/0003_c2_27.png")
    return pictures.put(root, "bounding_box_test/0003_c1_21.png", "bounding_box_test/0003_c2_28.png")


CUHK03 = ("1_001_1_01", "1_001_2_06", "2_001_1_01", "2_001_2_06", "2_001_1_02", "2_001_2_07")


def cuhk03(root: Path, pictures: Pictures, boxes: str) -> Path:
    """As torchreid and fast-reid extract it, with the split of the new protocol."""
    names = [f"{name}.png" for name in CUHK03]
    pictures.put(root, *(f"images_{boxes}/{name}" for name in names))
    (root / "cuhk03_release").mkdir(exist_ok=True)
    (root / "cuhk03_release" / "cuhk-03.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b"\0"))
    filelist = np.array([[name] for name in names], dtype=object)
    places = {"train_idx": [1, 2], "query_idx": [3, 4], "gallery_idx": [5, 6]}
    values = {name: np.array([numbers], np.uint16).T for name, numbers in places.items()}
    labels = {
        "labels": np.array([[1, 1, 844, 844, 844, 844]], np.uint16).T,
        "camId": np.array([[1, 2, 1, 2, 1, 2]], np.uint8).T,
    }
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", {"filelist": filelist, **values, **labels})
    return root


def msmt17(root: Path, pictures: Pictures, train: str = "train", test: str = "test") -> Path:
    listed = {
        "train": ["0000/0000_000_01_0303morning_0015_0.jpg 0", "0000/0000_001_12_0303noon_0015_1_ex.jpg 0"],
        "val": ["0000/0000_002_02_0303afternoon_0015_0.jpg 0"],
        "query": ["0000/0000_003_03_0303morning_0015_0.jpg 0"],
        "gallery": ["0000/0000_004_04_0303morning_0015_0.jpg 0", "0001/0001_000_05_0303morning_0015_0.jpg 1"],
    }
    for name, rows in listed.items():
        folder = train if name in ("train", "val") else test
        pictures.put(root, *(f"{folder}/{row.split()[0]}" for row in rows))
        lines(root / f"list_{name}.txt", *rows)
    return root


def market_like(root: Path, pictures: Pictures) -> Path:
    pictures.put(root, "train/0002_c1.jpg", "train/0002_c2.jpg", "query/0001_c1.jpg")
    return pictures.put(root, "gallery/0001_c2.jpg", "gallery/0005_c2.jpg")


VERI = {
    "train": ("0003_c001_00016450_0.jpg", "0003_c002_00016970_0.jpg", "0004_c001_00084260_0.jpg"),
    "test": ("0002_c002_00030600_0.jpg", "0002_c003_00030670_1.jpg", "0005_c011_00085815_0.jpg"),
    "query": ("0002_c002_00030600_0.jpg", "0005_c012_00072030_0.jpg"),
}


def veri776(root: Path, pictures: Pictures) -> Path:
    for part, names in VERI.items():
        pictures.put(root, *(f"image_{part}/{name}" for name in names))
        lines(root / f"name_{part}.txt", *names)
    copy = (root / "image_test" / VERI["query"][0]).read_bytes()
    (root / "image_query" / VERI["query"][0]).write_bytes(copy)
    for part in ("train", "test"):
        rows = [
            f'<Item imageName="{name}" vehicleID="{name[:4]}" cameraID="{name[5:9]}" '
            f'colorID="{5 - place}" typeID="{place}" />'
            for place, name in enumerate(VERI[part])
        ]
        whole = [
            '<?xml version="1.0" encoding="gb2312"?>',
            "<TrainingImages Version='1.0'><!-- 车 -->",
            "<Items>",
            *rows,
        ]
        text = "\r\n".join([*whole, "</Items>", "</TrainingImages>"])
        (root / f"{part}_label.xml").write_bytes(text.encode("gb2312"))
    lines(root / "list_color.txt", "1 yellow", "2 orange", "3 green", "4 gray", "5 red")
    lines(root / "list_type.txt", "1 sedan", "2 suv")
    lines(root / "jk_image.txt", "1 ", "")
    return root


VEHICLES = {"0000001": "12", "0000002": "12", "0000003": "12", "0000004": "13", "0000005": "13", "0000006": "14"}


def vehicleid(root: Path, pictures: Pictures) -> Path:
    pictures.put(root, *(f"image/{number}.jpg" for number in ("0000101", "0000102", *VEHICLES)))
    lines(root / "train_test_split" / "train_list.txt", "0000101 2", "0000102 2")
    rows = [f"{image} {vehicle}" for image, vehicle in VEHICLES.items()]
    lines(root / "train_test_split" / "test_list_800.txt", *rows[:5])
    lines(root / "train_test_split" / "test_list_1600.txt", *rows)
    lines(root / "attribute" / "color_attr.txt", "2 0", "12 4", "13 6")
    return root


def prid2011(root: Path, pictures: Pictures) -> Path:
    for person in (1, 2, 3, 4, 5):
        for camera in ("a", "b"):
            place = f"prid_2011/multi_shot/cam_{camera}/person_{person:04}"
            pictures.put(root, f"{place}/0001.png", f"{place}/0002.png")
    names = [f"person_{person:04}" for person in (1, 2, 3, 4)]
    splits = [{"train": names[:2], "test": names[2:]}, {"train": names[2:], "test": names[:2]}]
    (root / "splits_prid2011.json").write_text(json.dumps(splits))
    return root


def prid2011_single(root: Path, pictures: Pictures) -> Path:
    pictures.put(root, *(f"single_shot/cam_a/person_{person:04}.png" for person in (1, 2, 3, 4, 201)))
    return pictures.put(root, *(f"single_shot/cam_b/person_{person:04}.png" for person in (1, 2, 3, 4, 201, 745)))


def ilids_vid(root: Path, pictures: Pictures) -> Path:
    for person in (1, 2, 5, 9):
        for camera in (1, 2):
            place = f"i-LIDS-VID/sequences/cam{camera}/person{person:03}"
            pictures.put(root, f"{place}/cam{camera}_person{person:03}_00317.png", f"{place}/cam{camera}_00318.png")
    (root / "train-test people splits").mkdir()
    splits = np.array([[4, 1, 2, 3], [1, 2, 3, 4]], np.uint16)
    savemat(root / "train-test people splits" / "train_test_splits_ilidsvid.mat", {"ls_set": splits})
    return root


MARS = {  # split -> person, camera and pictures of every tracklet
    "train": (("0001", 1, 2), ("0001", 2, 1)),
    "test": (("00-1", 1, 1), ("0000", 2, 1), ("0002", 1, 2), ("0002", 1, 1), ("0002", 3, 2), ("0004", 5, 1)),
}
MARS_ASKING = (3, 5)


def mars(root: Path, pictures: Pictures) -> Path:
    for split, tracklets in MARS.items():
        names, tracks = [], []
        for number, (person, camera, count) in enumerate(tracklets, 1):
            tracks.append([len(names) + 1, len(names) + count, int(person.replace("00-1", "-1")), camera])
            names += [f"{person}C{camera}T{number:04}F{frame:03}.jpg" for frame in range(1, count + 1)]
        pictures.put(root, *(f"bbox_{split}/{name[:4]}/{name}" for name in names))
        lines(root / "info" / f"{split}_name.txt", *names)
        savemat(root / "info" / f"tracks_{split}_info.mat", {f"track_{split}_info": np.array(tracks, np.int32)})
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([MARS_ASKING], np.int32)})
    return root


MADE: dict[str, Callable[[Path, Pictures], Path]] = {
    "market1501": market1501,
    "dukemtmc": dukemtmc,
    "occluded-duke": occluded_duke,
    "cuhk03-np": cuhk03_np,
    "cuhk03-labeled": lambda root, pictures: cuhk03(root, pictures, "labeled"),
    "cuhk03-detected": lambda root, pictures: cuhk03(root, pictures, "detected"),
    "msmt17": msmt17,
    "market-like": market_like,
    "veri776": veri776,
    "vehicleid": vehicleid,
    "prid2011": prid2011,
    "prid2011-single": prid2011_single,
    "ilids-vid": ilids_vid,
    "mars": mars,
}
