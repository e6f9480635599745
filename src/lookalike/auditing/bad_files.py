"""What is wrong with single files, and with files that belong nowhere."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from lookalike.auditing.file_facts import Facts, wrong_suffix
from lookalike.auditing.findings_table import Finding, Findings
from lookalike.data.class_folders import RECIPE, split_folders
from lookalike.data.exclusions import EXCLUDE_FILE
from lookalike.data.image_files import PassedOver, files_below, folders_in, is_image_name
from lookalike.data.manifest import Manifest

_BLANK, _DARK, _BRIGHT = 0.02, 0.3, 0.7
_BLURRED = 0.02  # share of the median sharpness
_SMALL = 0.1  # share of the median side
_ASPECT = 4.0


def check_files(findings: Findings, manifest: Manifest, facts: Facts) -> None:
    """Adds what is wrong with the files of a data set.

    Args:
        findings: Where it is added.
        manifest: The data set.
        facts: Of its images.
    """
    table, usable = facts.table, facts.usable
    for row in np.flatnonzero(~usable).tolist():
        kind = table["kind"][row]
        reason, safe = f"{kind}: {table['error'][row]}", kind != "unreadable"  # that may pass until tomorrow
        findings.add(Finding("unusable", row, reason, score=1.0, safe=safe))
    for path in _strays(manifest):
        reason = "an image outside any class folder" if is_image_name(path) else "no image"
        findings.add(Finding("stray", None, reason, path=path))
    good = table[usable]
    side = np.sqrt(good["width"] * good["height"].astype(float))
    usual_side, usual_sharpness = (float(values.median()) if len(good) else 0.0 for values in (side, good["sharpness"]))
    records = table.drop(columns="thumb").to_dict("records")
    for row in np.flatnonzero(usable).tolist():
        fact = records[row]
        if wrong_suffix(fact["path"], fact["format"]):
            reason = f"it is a {fact['format']} file"
            findings.add(Finding("wrong_suffix", row, reason, suggestion="rename it"))
        _check_light(findings, row, fact, usual_sharpness)
        size = f"{fact['width']} x {fact['height']} pixels"
        if side[row] < _SMALL * usual_side:
            reason = f"{size}; half of the images have {usual_side:.0f} or more a side"
            findings.add(Finding("small", row, reason, score=1.0))
        if max(fact["width"], fact["height"]) > _ASPECT * min(fact["width"], fact["height"]):
            findings.add(Finding("aspect", row, size, score=1.0))


def _check_light(findings: Findings, row: int, fact: dict[Hashable, Any], usual_sharpness: float) -> None:
    """The first of dark, bright, blank and blurred: each of them brings those behind it."""
    if fact["brightest"] < _DARK:
        reason = f"99 % of it below {fact['brightest']:.2f}"
        findings.add(Finding("dark", row, reason, score=1 - fact["brightest"]))
    elif fact["darkest"] > _BRIGHT:
        findings.add(Finding("bright", row, f"99 % of it above {fact['darkest']:.2f}", score=fact["darkest"]))
    elif fact["contrast"] < _BLANK:
        findings.add(Finding("blank", row, f"contrast {fact['contrast']:.3f}", score=1 - fact["contrast"]))
    elif fact["sharpness"] < _BLURRED * usual_sharpness:
        share = fact["sharpness"] / usual_sharpness
        findings.add(Finding("blurred", row, f"{share:.1%} of the usual sharpness", score=1 - share))


def _strays(manifest: Manifest) -> list[str]:
    """Files of a folder of class folders that are in no manifest, hidden ones and augmented copies aside."""
    if not manifest.folders:
        return []
    listed = set(manifest.table["path"]) | set(manifest.left_out)
    strays = []
    for folder in split_folders(manifest.root, folders_in(manifest.root)) or ["."]:
        files = list(files_below(manifest.root / folder, PassedOver()))
        copies = {file.parent for file in files if file.name == RECIPE}
        paths = [file.relative_to(manifest.root).as_posix() for file in files if not copies & set(file.parents)]
        strays += sorted(path for path in paths if path not in listed)
    return [path for path in strays if path != EXCLUDE_FILE]
