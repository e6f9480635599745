"""Images held out of training for validation: a share of every class, of the people of Market-1501, or whole labels."""

from collections import Counter

import numpy as np
import pandas as pd

from lookalike.data.tables import original_rows, training_rows

_FEWEST_LABELS = 4  # with fewer, too little is left to train on


def hold_out_people(table: pd.DataFrame, share: float, seed: int, split: str = "validation") -> pd.DataFrame:
    """Moves a share of the training people to another split, which so has nobody in common with the rest.

    Of each of them and each camera one image asks (query), the others answer (reference), as long as every query keeps
    a reference under another camera. Without cameras one image of each person asks. So a person with one image, or
    known to one camera only, gives references alone. Junk stays in training, where it is ignored.

    Args:
        table: Columns path, label, split, role, camera and ignore.
        share: Share of the people, 0 to 1; where there are four or more, two stay on either side.
        seed: Who is held out, and which images ask.
        split: Where they go.

    Returns:
        A changed copy.
    """
    table = table.copy()
    rng = np.random.default_rng(seed)
    train = training_rows(table).sort_values("path")
    cameras: dict[str, dict[int, int | None]] = {label: {} for label in sorted(train["label"].unique())}
    for row, label, camera in zip(train.index, train["label"], train["camera"], strict=True):
        cameras[label][row] = None if pd.isna(camera) else int(camera)
    total = len(cameras)
    count = min(max(round(total * share), min(2, total // 2)), total - min(2, total - total // 2))
    order = [str(label) for label in rng.permutation(list(cameras))]
    queries = {label: _pick_queries(cameras[label], rng) for label in order}
    asking = next((place for place, label in enumerate(order) if queries[label]), 0)
    if count and asking >= count:  # a validation without a query could not choose the best model
        order[count - 1], order[asking] = order[asking], order[count - 1]
    table.loc[[row for label in order[:count] for row in cameras[label]], ["split", "role"]] = [split, "reference"]
    table.loc[[row for label in order[:count] for row in queries[label]], "role"] = "query"
    return table


def asking_as_in_test(table: pd.DataFrame) -> pd.DataFrame:
    """The table in which every validation image asks all others, where every test image does so.

    Args:
        table: Columns split and role.
    """
    test, held_out = (table["split"] == name for name in ("test", "validation"))
    if not test.any() or (table.loc[test, "role"] != "both").any():
        return table
    return table.assign(role=table["role"].mask(held_out, "both"))


def _pick_queries(cameras: dict[int, int | None], rng: np.random.Generator) -> list[int]:
    """One row of each camera as long as every chosen row keeps a match.

    Args:
        cameras: The camera of each row of one person, None where unknown (which is the same as no other).
        rng: Which rows.
    """
    rows: dict[int | None, list[int]] = {}
    for row, camera in cameras.items():
        rows.setdefault(camera, []).append(row)
    rest = {camera: len(own) for camera, own in rows.items()}
    total = len(cameras)
    queries: list[int] = []
    for camera in sorted(rows, key=lambda camera: -1 if camera is None else camera):
        drawn = rows[camera][rng.integers(len(rows[camera]))]
        rest[camera] -= 1
        total -= 1
        asking = [*(cameras[query] for query in queries), camera]
        if all(total > (0 if own is None else rest[own]) for own in asking):
            queries.append(drawn)
        else:
            rest[camera] += 1
            total += 1
    return queries


def hold_out_images(table: pd.DataFrame, share: float, seed: int, split: str = "validation") -> pd.DataFrame:
    """Moves a share of every training class to another split; at least one stays. Copies go where their original goes.

    Boxes of one photograph stay together, whatever their labels, so that shares are met less exactly.

    Args:
        table: Columns path, label, split, source.
        share: Of each class, 0 to 1.
        seed: Which images.
        split: Where they go.

    Returns:
        A changed copy.
    """
    table = table.copy()
    rng = np.random.default_rng(seed)
    originals = original_rows(table)
    train = originals[originals["split"] == "train"]
    counts = train["label"].value_counts()
    targets = {str(label): min(max(1, round(count * share)), count - 1) for label, count in counts.items()}
    if train["path"].is_unique:
        held: list[int] = []
        for label, rows in train.groupby("label", sort=True):
            held += rng.permutation(rows.index.to_numpy())[: targets[str(label)]].tolist()
    else:
        held = train.index[train["path"].isin(_photographs(train, targets, rng))].tolist()
    table.loc[held, "split"] = split
    table.loc[table["source"].isin(table["path"][table["split"] == split]), "split"] = split
    return table


def _photographs(train: pd.DataFrame, targets: dict[str, int], rng: np.random.Generator) -> set[str]:
    """Paths drawn such that about as many images of each label are of them as wanted, and no label is of them alone.

    Args:
        train: Columns path, of which some stand in several rows, and label.
        targets: Images wanted of each label; of every label at least one photograph is taken, where others allow it.
        rng: In which order they are tried.
    """
    boxes: dict[str, Counter[str]] = {}
    for path, label in zip(train["path"], train["label"], strict=True):
        boxes.setdefault(path, Counter())[label] += 1
    left, need = Counter(train["label"].tolist()), dict(targets)
    order = [str(path) for path in rng.permutation(sorted(boxes))]
    chosen: set[str] = set()

    def take(path: str) -> None:
        chosen.add(path)
        for label, count in boxes[path].items():
            left[label] -= count
            need[label] -= count

    for path in order:
        own = boxes[path].items()
        nearer = sum(abs(need[label] - count) - abs(need[label]) for label, count in own) < 0
        if nearer and all(left[label] > count for label, count in own):
            take(path)
    for path in sorted(order, key=lambda path: boxes[path].total()):  # for labels of few and crowded photographs
        own = boxes[path].items()
        missing = path not in chosen and any(need[label] == targets[label] > 0 for label, _ in own)
        if missing and all(left[label] > count for label, count in own):
            take(path)
    return chosen


def label_folds(labels: list[str], share: float, folds: int, seed: int) -> list[list[str]]:
    """Disjoint parts of some labels, each to be held out of another training; fewer where the labels are few.

    Args:
        labels: To draw from.
        share: Share of them in one part; at least one label, and two stay outside.
        folds: How many parts.
        seed: Which labels.
    """
    if len(labels) < _FEWEST_LABELS:
        return []
    size = min(max(1, round(len(labels) * share)), len(labels) - 2)
    order = [str(label) for label in np.random.default_rng(seed).permutation(sorted(labels))]
    parts = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
    return [sorted(part) for part in parts[:folds]]


def hold_out_labels(table: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Moves all training images of some labels to validation, where they ask as unknown individuals.

    Args:
        table: Columns label, split, role.
        labels: Whose.

    Returns:
        A changed copy.
    """
    table = table.copy()
    held = table["label"].isin(labels) & table["split"].isin(["train", "validation"])
    roles = (table["role"][table["split"] == "validation"] != "").any()
    table.loc[held, ["split", "role"]] = ["validation", "query" if roles else ""]
    return table
