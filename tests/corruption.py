"""A data set with known faults, made from real photographs by a seed: what `audit` must find, and what it must not."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from sklearn.metrics import average_precision_score

from lookalike.auditing.audit import Audit
from lookalike.auditing.candidate_pairs import neighbours
from lookalike.auditing.wrong_labels import NEIGHBOURS, suspects

SHARES = {"swapped": 0.05, "copy": 0.03, "near_copy": 0.03, "broken": 0.02, "text": 0.02, "foreign": 0.02}


def corrupt(source: Path, characters: Path, target: Path, seed: int) -> pd.DataFrame:
    """Copies the data set at `source` to `target` and spoils shares of it.

    Returns:
        One row per fault: kind, path (of the spoilt or added image), origin (of a copy, else ""), how.
    """
    rng = np.random.default_rng(seed)
    shutil.copytree(source, target)
    for place, _, names in os.walk(target):
        folder = Path(place)
        folder.chmod(0o755)
        for name in names:
            (folder / name).chmod(0o644)
    files = [file.relative_to(target).as_posix() for file in sorted(target.rglob("*.jpg"))]
    chosen = iter(rng.permutation(files))
    faults: list[tuple[str, str, str, str]] = []

    def spoilt(kind: str) -> list[str]:
        return [str(next(chosen)) for _ in range(round(SHARES[kind] * len(files)))]

    for path in spoilt("swapped"):
        split, label, name = path.split("/")
        labels = sorted(folder.name for folder in (target / split).iterdir() if folder.name != label)
        new = f"{split}/{rng.choice(labels)}/{name}"
        (target / path).rename(target / new)
        faults.append(("swapped", new, "", label))
    for path in spoilt("copy"):
        faults.append(("copy", _place(target, path, rng, "copy", ".jpg"), path, ""))
        shutil.copyfile(target / path, target / faults[-1][1])
    for turn, path in enumerate(spoilt("near_copy")):
        how = ("re-encoded", "mirrored", "cropped")[turn % 3]
        faults.append(("near_copy", _place(target, path, rng, "near", ".jpg"), path, how))
        cv2.imwrite(str(target / faults[-1][1]), _altered(cv2.imread(str(target / path)), how, rng), [1, 70])
    for turn, path in enumerate(spoilt("broken")):
        how = ("truncated", "empty", "text", "noise", "animated")[turn % 5]
        new = _place(target, path, rng, "broken", ".gif" if how == "animated" else ".jpg")
        _write_broken(target / new, (target / path).read_bytes(), how, rng)
        faults.append(("broken", new, "", how))
    for path in spoilt("text"):
        cv2.imwrite(str(target / path), _lettered(cv2.imread(str(target / path)), rng))
        faults.append(("text", path, "", ""))
    for turn, path in enumerate(spoilt("foreign")):
        new = _place(target, path, rng, "foreign", ".png")
        Image.fromarray(_foreign(characters, turn, rng)).save(target / new)
        faults.append(("foreign", new, "", ("character", "building", "digit")[turn % 3]))
    return pd.DataFrame(faults, columns=["kind", "path", "origin", "how"])


def _place(target: Path, path: str, rng: np.random.Generator, word: str, suffix: str) -> str:
    """A new name in the same class of another split that has it."""
    split, label, name = path.split("/")
    places = [place for place in ("train", "validation", "test") if place != split]
    splits = [place for place in places if (target / place / label).is_dir()]
    return f"{rng.choice(splits)}/{label}/{word}-{Path(name).stem}{suffix}"


def _altered(image: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    if how == "mirrored":
        return image[:, ::-1]
    height, width = image.shape[:2]
    if how == "re-encoded":
        factor = rng.uniform(0.5, 0.9)
        return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    high, wide = round(0.9 * height), round(0.9 * width)
    top, left = rng.integers(0, height - high + 1), rng.integers(0, width - wide + 1)
    return image[top : top + high, left : left + wide]


def _write_broken(file: Path, data: bytes, how: str, rng: np.random.Generator) -> None:
    if how == "animated":
        frames = [Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)) for _ in range(3)]
        frames[0].save(file, save_all=True, append_images=frames[1:])
        return
    contents = {"truncated": data[: len(data) // 2], "empty": b"", "text": b"<html>404 not found</html>"}
    file.write_bytes(contents.get(how) or (rng.bytes(4000) if how == "noise" else b""))


def _lettered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    image = image.copy()
    words = ["SALE", "50% OFF", "FRESH", "SAMPLE", "ORGANIC"]
    colour = [(255, 255, 255), (0, 0, 255), (0, 0, 0)][rng.integers(3)]
    for line in range(3):
        word = words[rng.integers(len(words))]
        scale = width / cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1, 8)[0][0] * 0.9
        place = (round(0.05 * width), round(height * (0.3 + 0.28 * line)))
        cv2.putText(image, word, place, cv2.FONT_HERSHEY_DUPLEX, scale, colour, max(4, width // 40))
    return image


def _foreign(characters: Path, turn: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB: a hand-written character, a part of a photograph of a palace, or a digit, in turn."""
    if turn % 3 == 0:
        files = sorted((characters / "bounding_box_test").glob("*.jpg"))
        image = cv2.imread(str(files[rng.integers(len(files))]))
    elif turn % 3 == 1:
        whole = load_sample_image("china.jpg")[:, :, ::-1]
        top, left = rng.integers(0, whole.shape[0] - 250), rng.integers(0, whole.shape[1] - 250)
        image = whole[top : top + 250, left : left + 250]
    else:
        digits = load_digits().images
        image = cv2.cvtColor((digits[rng.integers(len(digits))] * 15.9).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(cv2.resize(image, (240, 240), interpolation=cv2.INTER_CUBIC)[:, :, ::-1])


def figures(audit: Audit, faults: pd.DataFrame) -> pd.DataFrame:
    """How well an audit of a spoilt data set found each kind of fault.

    Returns:
        A row per kind: faults, findings, precision, recall, and average precision of the ranking of all images
        (NaN where there is none).
    """
    findings = audit.findings
    rows = []

    def add(kind: str, reported: set[object], right: set[object], score: float = float("nan")) -> None:
        hits = len(reported & right)
        rows.append((kind, len(right), len(reported), hits / max(1, len(reported)), hits / len(right), score))

    def paths(kind: str) -> set[object]:
        return set(findings[findings["kind"] == kind]["path"])

    def pairs(kind: str) -> set[object]:
        part = findings[findings["kind"] == kind]
        return {frozenset(pair) for pair in zip(part["path"], part["other"], strict=True)}

    made = dict(iter(faults.groupby("kind")))
    origin = made["copy"].set_index("path")["origin"].to_dict()
    foreign = set(made["foreign"]["path"])  # parts of one photograph, some of which overlap: really near copies
    for kind in ("copy", "near_copy"):
        right = {frozenset(pair) for pair in zip(made[kind]["path"], made[kind]["origin"], strict=True)}
        reported = {pair for pair in pairs(kind) if not set(pair) <= foreign}  # type: ignore[call-overload]
        if kind == "near_copy":  # an altered picture is also a near copy of a copy of its origin
            reported = {frozenset(origin.get(path, path) for path in pair) for pair in reported}  # type: ignore[attr-defined]
        add(kind, reported, right)
    add("broken", paths("unusable"), set(made["broken"]["path"]))
    usable = audit.facts.usable
    names = audit.rows["path"].to_numpy(str)[usable]
    near = neighbours(audit.facts.embeddings[usable], NEIGHBOURS)
    judged = suspects(audit.rows["label"].to_numpy(str)[usable], *near, audit.copies[usable])
    assert judged is not None
    for kind, finding, ranking in (
        ("swapped", "label", 1 - judged.quality),
        ("foreign", "outlier", judged.outlier),
        ("text", "outlier", judged.outlier),
    ):
        right = set(made[kind]["path"])
        add(kind, paths(finding), right, average_precision_score(np.isin(names, list(right)), ranking))
    return pd.DataFrame(rows, columns=["kind", "faults", "findings", "precision", "recall", "average_precision"])
