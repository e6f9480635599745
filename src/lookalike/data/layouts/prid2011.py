"""PRID 2011: people under two cameras, as sequences (`multi_shot`) and with one picture under each (`single_shot`).

Hirzer et al., "Person Re-Identification by Descriptive and Discriminative Classification", SCIA 2011.
`multi_shot/cam_a/person_0001/0001.png`, `single_shot/cam_a/person_0001.png`. Camera A knows people 1 to 385, camera B 1
to 749, and only the first 200 are the same. Sequences: ten splits of 89 and 89 people whose sequences are long enough
(Wang et al., ECCV 2014) stand in `splits_prid2011.json`, which torchreid 0.2.5 (data/datasets/video/prid2011.py) has
beside `prid_2011/`. Single pictures: 100 people train, 100 ask, all others of camera B are distractors (torchreid
0.2.5, data/datasets/image/prid.py). Both stand in one archive: with the splits beside them the sequences are meant,
else the single pictures.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.image_files import PassedOver, entries_of, is_image_name
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard
from lookalike.data.layouts.lists import json_list
from lookalike.data.layouts.two_cameras import fold_of, folder_of, people_under, read_sequences, splits_of
from lookalike.data.tables import ManifestError

_CAMERAS = ("cam_a", "cam_b")
_ABOVE = ("", "prid_2011/", "prid2011/")
_SPLITS = "splits_prid2011.json"
_PERSON = re.compile(r"person_([0-9]{4})")
_SHARED = 200  # people under both cameras
_DRAWN = 10  # splits of the single pictures


def _place(root: Path, shots: str) -> str | None:
    """The folder above the cameras, from the root on; None where there is none."""
    return folder_of(root, _ABOVE, shots, _CAMERAS)


def _sequences(root: Path) -> str | None:
    place = _place(root, "multi_shot")
    return f"{place}/cam_a and cam_b" if place and _named_so(root / place / "cam_a") else None


def _pictures(root: Path) -> str | None:
    place = _place(root, "single_shot")
    return f"{place}/cam_a and cam_b" if place and _named_so(root / place / "cam_a") else None


def _named_so(folder: Path) -> bool:
    return any(_PERSON.match(path.name) for path, _ in entries_of(folder, PassedOver()))


def read_sequences_of_prid(root: Path, passed: PassedOver, fold: int = 1) -> LayoutRows:
    """Reads the sequences of one of the splits.

    Args:
        root: The folder above the cameras, or two above them.
        passed: What is not read is added to it.
        fold: Which split, from 1 on.

    Raises:
        ManifestError: There is no such split, or it cannot be read.
    """
    place = _place(root, "multi_shot")
    assert place is not None
    file = splits_of(root, _SPLITS)
    if file is None:
        raise ManifestError(
            f"{root}: PRID 2011 without {_SPLITS}, so nobody knows who is trained on: copy it from torchreid beside "
            "prid_2011/"
        )
    try:
        splits = json_list(file)
        of_all = [{part: [str(name) for name in split[part]] for part in ("train", "test")} for split in splits]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ManifestError(f"{file}: expected a list of splits with train and test: copy it from torchreid") from error
    if not of_all:
        raise ManifestError(f"{file}: no split in it, expected ten: copy it from torchreid")
    chosen_split, note = fold_of(of_all, fold, file)
    people, cameras = of_all[chosen_split], (f"{place}/cam_a", f"{place}/cam_b")
    read = read_sequences(root, cameras, people, passed)
    chosen = {*people["train"], *people["test"]}
    others = [name for name in people_under(root, cameras[0]) if name not in chosen]
    read.notes.append(note)
    read.notes += [f"{len(others)} people under cam_a in no part of the split passed over"] if others else []
    return read


def read_pictures_of_prid(root: Path, passed: PassedOver, fold: int = 1) -> LayoutRows:
    """Reads the single pictures: half of the people who are under both cameras train, drawn with the seed `fold` - 1.

    Args:
        root: The folder above the cameras, or two above them.
        passed: What is not read is added to it.
        fold: Which of the splits that can be drawn, from 1 on; papers average ten.

    Raises:
        ManifestError: It is below 1.
    """
    fold_of(range(_DRAWN), fold, root)
    place = _place(root, "single_shot")
    assert place is not None
    there = [{}, {}]  # type: list[dict[int, str]]
    problems = []
    for camera, people in zip(_CAMERAS, there, strict=True):
        for path, is_folder in entries_of(root / place / camera, passed):
            said = _PERSON.fullmatch(path.stem)
            if not is_folder and not is_image_name(path.name):
                passed.add(path)
            elif is_folder or not said:
                problems.append(f"{place}/{camera}/{path.name}: expected person_0001.png; rename or remove it")
            else:
                people[int(said[1])] = f"{place}/{camera}/{path.name}"
    shared = sorted(number for number in {*there[0]} & {*there[1]} if number <= _SHARED)
    train = set(np.random.default_rng(fold - 1).permutation(shared)[: len(shared) // 2].tolist())
    rows = [
        (people[number], f"{number:04}", "train", "", side + 1) for number in train for side, people in enumerate(there)
    ]
    test = [number for number in shared if number not in train]
    rows += [(there[0][number], f"{number:04}", "test", "query", 1) for number in test]
    rows += [(there[1][number], f"{number:04}", "test", "reference", 2) for number in test]
    rows += [
        (path, f"b-{number:04}", "test", "reference", 2) for number, path in there[1].items() if number not in shared
    ]
    alone = sum(number not in shared for number in there[0])
    table = pd.DataFrame(rows, columns=["path", "label", "split", "role", "camera"]).astype({"camera": "Int64"})
    notes = [
        f"{len(train)} of {len(shared)} people under both cameras train, drawn as split {fold} (data.fold); papers "
        "average ten"
    ]
    notes += [f"{alone} people under cam_a alone passed over"] if alone else []
    return LayoutRows(table, notes, problems)


PRID_SEQUENCES = Layout(
    "prid2011",
    "PRID 2011 (sequences)",
    _sequences,
    read_sequences_of_prid,
    Standard(
        "of one split: sequences of camera A ask those of camera B, each as the mean of its pictures",
        ("cmc@1", "cmc@5", "cmc@20"),
        "Hirzer et al., SCIA 2011; splits of Wang et al., ECCV 2014",
        camera_rule=True,
        average_precision="none",
        tracklets=True,
    ),
    cameras=True,
    disjoint=True,
    marks=("multi_shot", "prid_2011", "prid2011"),
    gives_way=lambda root: splits_of(root, _SPLITS) is None and _pictures(root) is not None,
    read_fold=read_sequences_of_prid,
)
PRID_PICTURES = Layout(
    "prid2011-single",
    "PRID 2011 (single pictures)",
    _pictures,
    read_pictures_of_prid,
    Standard(
        "of one split: pictures of camera A ask all of camera B, one of each person, people of camera B alone included",
        ("cmc@1", "cmc@5", "cmc@20"),
        "Hirzer et al., SCIA 2011",
        camera_rule=True,
        average_precision="none",
    ),
    cameras=True,
    disjoint=True,
    marks=("single_shot", "prid_2011", "prid2011"),
    gives_way=lambda root: splits_of(root, _SPLITS) is not None and _sequences(root) is not None,
    read_fold=read_pictures_of_prid,
)
