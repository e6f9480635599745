"""iLIDS-VID: sequences of 300 people under two cameras.

Wang et al., "Person Re-Identification by Video Ranking", ECCV 2014. `i-LIDS-VID/sequences/cam1/person001/*.png`; the
ten splits stand in `train-test people splits/train_test_splits_ilidsvid.mat`: `ls_set`, a row per split, in it the
places of the people in the sorted list (from 1 on), the first half of them for test (torchreid 0.2.5,
data/datasets/video/ilidsvid.py). The folder `images/` beside `sequences/` holds one picture of each and is not read.
"""

import re
from pathlib import Path

from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard
from lookalike.data.layouts.matlab import read_matlab, whole_numbers
from lookalike.data.layouts.two_cameras import fold_of, folder_of, people_under, read_sequences, splits_of
from lookalike.data.tables import ManifestError

_SPLITS = "train-test people splits/train_test_splits_ilidsvid.mat"
_ABOVE = ("i-LIDS-VID/", "")
_PERSON = re.compile(r"person[0-9]{3}")


def _place(root: Path) -> str | None:
    """The folder above the cameras, from the root on; None where there is none."""
    return folder_of(root, _ABOVE, "sequences", ("cam1", "cam2"))


def _looks_like(root: Path) -> str | None:
    place = _place(root)
    named = place and any(_PERSON.fullmatch(name) for name in people_under(root, f"{place}/cam1"))
    return f"{place}/cam1 and cam2" if named else None


def read_ilids_vid(root: Path, passed: PassedOver, fold: int = 1) -> LayoutRows:
    """Reads the sequences of one of the splits.

    Args:
        root: The folder above `i-LIDS-VID` and the splits.
        passed: What is not read is added to it.
        fold: Which split, from 1 on.

    Raises:
        ManifestError: There is no such split, it cannot be read, or it does not fit the people.
    """
    place = _place(root)
    assert place is not None
    file = splits_of(root, _SPLITS)
    if file is None:
        raise ManifestError(
            f"{root}: iLIDS-VID without {_SPLITS}, so nobody knows who is trained on: unpack the splits of its archive "
            "beside it"
        )
    cameras = (f"{place}/cam1", f"{place}/cam2")
    people = people_under(root, cameras[0])
    splits = whole_numbers(read_matlab(file, "ls_set")[0], file)
    if splits.ndim != 2 or not splits.size or splits.min() < 1 or splits.max() > len(people):
        there = f"{splits.min()} to {splits.max()}" if splits.size else "none"
        raise ManifestError(
            f"{file}: expected numbers of the {len(people)} people of {cameras[0]}, found {there}: restore the folders "
            "or the file"
        )
    row, note = fold_of(list(splits), fold, file)
    half = splits.shape[1] // 2
    chosen = {"train": sorted(splits[row, half:].tolist()), "test": sorted(splits[row, :half].tolist())}
    names = {split: [people[number - 1] for number in numbers] for split, numbers in chosen.items()}
    read = read_sequences(root, cameras, names, passed)
    read.notes.append(note)
    return read


ILIDS_VID = Layout(
    "ilids-vid",
    "iLIDS-VID",
    _looks_like,
    read_ilids_vid,
    Standard(
        "of one split: sequences of camera 1 ask those of camera 2, each as the mean of its pictures",
        ("cmc@1", "cmc@5", "cmc@20"),
        "Wang et al., ECCV 2014",
        camera_rule=True,
        average_precision="none",
        tracklets=True,
    ),
    cameras=True,
    disjoint=True,
    marks=("i-LIDS-VID", "sequences"),
    read_fold=read_ilids_vid,
)
