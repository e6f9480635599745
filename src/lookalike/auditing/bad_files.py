"""What is wrong with single files, and with files that belong nowhere."""

import os
from pathlib import Path

import numpy as np

from lookalike.auditing.file_facts import Facts, wrong_suffix
from lookalike.auditing.findings_table import Findings
from lookalike.data.class_folders import RECIPE
from lookalike.data.exclusions import NAME as EXCLUDED
from lookalike.data.image_files import is_image_name
from lookalike.data.manifest import Manifest
from lookalike.data.tables import SPLIT_NAMES

_BLANK, _DARK, _BRIGHT = 0.02, 0.3, 0.7
_BLURRED = 0.02  # share of the median sharpness
_SMALL = 0.1  # share of the median side
_ASPECT = 4.0


def check_files(found: Findings, manifest: Manifest, facts: Facts) -> None:
    """Adds what is wrong with the files of a data set.

    Args:
        found: Where it is added.
        manifest: The data set.
        facts: Of its images.
    """
    table, usable = facts.table, facts.usable
    for row in np.flatnonzero(~usable):
        kind = table["kind"][row]  # a file that cannot be read now may be there again tomorrow
        found.add("unusable", int(row), f"{kind}: {table['error'][row]}", score=1.0, safe=kind != "unreadable")
    for path in _strays(manifest):
        found.add("stray", None, "an image outside any class folder" if is_image_name(path) else "no image", path=path)
    good = table[usable]
    side = np.sqrt(good["width"] * good["height"].astype(float))
    median, sharp = (float(values.median()) if len(good) else 0.0 for values in (side, good["sharpness"]))
    records = table.drop(columns="thumb").to_dict("records")
    for number in np.flatnonzero(usable).tolist():
        fact = records[number]
        size = f"{fact['width']} x {fact['height']} pixels"
        if wrong_suffix(fact["path"], fact["format"]):
            found.add("wrong_suffix", number, f"it is a {fact['format']} file", suggestion="rename it")
        if fact["brightest"] < _DARK:
            found.add("dark", number, f"99 % of it below {fact['brightest']:.2f}", score=1 - fact["brightest"])
        elif fact["darkest"] > _BRIGHT:
            found.add("bright", number, f"99 % of it above {fact['darkest']:.2f}", score=fact["darkest"])
        elif fact["contrast"] < _BLANK:
            found.add("blank", number, f"contrast {fact['contrast']:.3f}", score=1 - fact["contrast"])
        elif fact["sharpness"] < _BLURRED * sharp:
            share = fact["sharpness"] / sharp
            found.add("blurred", number, f"{share:.1%} of the usual sharpness", score=1 - share)
        if side[number] < _SMALL * median:
            found.add("small", number, f"{size}; half of the images have {median:.0f} or more a side", score=1.0)
        if max(fact["width"], fact["height"]) > _ASPECT * min(fact["width"], fact["height"]):
            found.add("aspect", number, size, score=1.0)


def _strays(manifest: Manifest) -> list[str]:
    """Files of a folder of class folders that are in no manifest, hidden ones and augmented copies aside."""
    if not manifest.folders:
        return []
    known = set(manifest.table["path"]) | set(manifest.left_out)
    splits = [name for name in SPLIT_NAMES if (manifest.root / name).is_dir()]
    strays = []
    for folder in splits if (manifest.root / "train").is_dir() else ["."]:
        for place, folders, names in os.walk(manifest.root / folder):
            if RECIPE in names:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = [Path(place, name).relative_to(manifest.root).as_posix() for name in sorted(names)]
            strays += [path for path in paths if path not in known and not Path(path).name.startswith(".")]
    return [path for path in strays if path != EXCLUDED]
