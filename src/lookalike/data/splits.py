"""Divides a data set that has no splits: by individual, by site, by date, by scene, or images of every label at random.

Copies go where their original goes, junk stays in training, and the same settings give the same division.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lookalike.data.dates import DAY, plain, read_dates, written
from lookalike.data.hold_out import hold_out_images, hold_out_people
from lookalike.data.scenes import scenes_of, torn_note
from lookalike.data.tables import ManifestError, original_rows
from lookalike.errors import listed
from lookalike.settings.data import HeldOut

_SHOWN = 6  # names in a note


@dataclass(frozen=True)
class _Part:
    """One split that is held out.

    Attributes:
        name: validation or test.
        before: How many were held out before it in the same division.
        after: How many are held out after it.
    """

    name: str
    before: int
    after: int


def divide(table: pd.DataFrame, held_out: HeldOut, people: bool, noted: bool = True) -> tuple[pd.DataFrame, list[str]]:
    """Holds test and validation out of training, those of the two that are asked for and not there.

    Args:
        table: A manifest's.
        held_out: What is asked for.
        people: Whether labels are people whose images name their cameras: these are held out whole unless another
            way is asked for.
        noted: Whether to say what went where.

    Returns:
        A changed copy, and notes: what went where; images whose photograph or scene is on both sides.

    Raises:
        ManifestError: The table lacks what the way of dividing needs.
    """
    if held_out.split and not held_out.any:
        raise ManifestError(
            f"data.split={held_out.split}: give data.validation_share=0.2 (and data.test_share=0.2 where a test split "
            "is wanted), so that it is clear how much is held out"
        )
    there = {name for name in ("validation", "test") if (table["split"] == name).any()}
    shares = {"test": held_out.test_share or 0.0, "validation": held_out.validation_share}
    wanted = {name: share for name, share in shares.items() if share and name not in there}
    by = held_out.split or ("individual" if people else "stratified")
    if sum(wanted.values()) > 1:
        raise ManifestError(
            f"data.validation_share={shares['validation']:g} and data.test_share={shares['test']:g} are more than all "
            "together: give smaller ones"
        )
    rest, notes, work = 1.0, [], _with_plain_dates(table) if by in ("date", "scene") else table
    for place, (name, share) in enumerate(wanted.items()):
        part = _Part(name, place, len(wanted) - place - 1)
        work = _held_out(work, by, min(1.0, share / rest), held_out.seed, part)
        rest -= share
    table = table.assign(split=work["split"], role=work["role"])
    if wanted and noted:
        notes.append(_what_went_where(work, held_out, wanted, by, people))
        notes += [nothing_held_out(by, name) for name in wanted if not (work["split"] == name).any()]
        notes += _kept_whole(work, wanted) if by == "stratified" else []
    elif held_out.split and not wanted:
        notes.append(
            f"data.split={held_out.split} is not used: the data has splits ({', '.join(sorted(there))}) already"
        )
    if noted:
        notes += _not_used(table, {name: share for name, share in shares.items() if share and name in there})
    if not people:
        pixels = "lookalike audit shows them"
        notes += torn_note(table, "data.split=scene keeps scenes together" if by == "stratified" and wanted else pixels)
    return table, notes


def nothing_held_out(by: str | None, name: str = "validation") -> str:
    """Why training images leave none to hold out, and what to do.

    Args:
        by: What stays together, None for images of every class.
        name: The split.
    """
    if by == "individual":
        return f"nothing can be held out for {name}, as training has one label alone: add images of others"
    return (
        f"nothing can be held out for {name}, as every label of training has one image (or photograph) alone, which "
        f"stays there: add a second one of each label, or put other images into {name}"
    )


def _not_used(table: pd.DataFrame, shares: dict[str, float]) -> list[str]:
    """Notes on shares of splits that are there already.

    Args:
        table: As it was read.
        shares: By the name of the split.
    """
    counts = table["split"].value_counts()
    return [
        f"data.{name}_share={share:g} is not used: the data has {counts[name]} {name} images already"
        for name, share in shares.items()
    ]


def _with_plain_dates(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose dates are read alike in every part of it."""
    rows = original_rows(table[~table["ignore"]])
    if "date" not in table or rows.empty:
        return table
    table = table.copy()
    table.loc[rows.index, "date"] = plain(rows["date"].tolist())
    return table


def _kept_whole(table: pd.DataFrame, wanted: dict[str, float]) -> list[str]:
    """One line on labels of which nothing could be held out, as boxes of one photograph stay together."""
    rows = original_rows(table)
    boxes = rows["path"].duplicated(keep=False)
    several = rows["label"][boxes & (rows["split"] == "train")].unique()
    missing = {name: set(several) - set(rows["label"][rows["split"] == name]) for name in wanted}
    return [
        f"nothing of {len(labels)} label(s) is held out for {name}, as boxes of one photograph stay together: "
        f"{', '.join(sorted(labels)[:_SHOWN])}{', ...' if len(labels) > _SHOWN else ''}"
        for name, labels in missing.items()
        if labels
    ]


def _held_out(table: pd.DataFrame, by: str, share: float, seed: int, part: _Part) -> pd.DataFrame:
    """A copy in which a share of the training images is of another split."""
    name = part.name
    if by == "stratified":
        held = hold_out_images(table, share, seed, name)
        held.loc[held["split"] != table["split"], "role"] = ""
        return held
    table, originals = table.copy(), original_rows(table)
    if by == "individual":
        table.loc[originals.index, ["split", "role"]] = hold_out_people(originals, share, seed, name)[["split", "role"]]
    else:
        rows = originals[(originals["split"] == "train") & ~originals["ignore"]]
        chosen = _WAYS[by](rows, share * len(rows), np.random.default_rng(seed), part)
        table.loc[chosen, ["split", "role"]] = [name, ""]
    copies = table["source"].isin(table["path"][table["split"] == name])
    table.loc[copies, ["split", "role"]] = [name, ""]
    return table


def _check_groups(by: str, groups: str, count: int, part: _Part, also: str = "") -> None:
    """Refuses fewer groups than one to train on and one for each split that is asked for."""
    if count < 2:
        raise ManifestError(
            f"data.split={by}: expected at least two {groups} to divide, found {count}: name the column by "
            f"data.columns.{by}=<its name>{also}, or choose another data.split"
        )
    if count < 2 + part.after:
        raise ManifestError(
            f"data.split={by}: expected at least three {groups} for train, validation and test, found {count}: leave "
            "data.validation_share or data.test_share out, or choose another data.split"
        )


def _of_sites(rows: pd.DataFrame, wanted: float, rng: np.random.Generator, part: _Part) -> pd.Index:
    """Whole sites, drawn until about as many images are out as wanted."""
    sites = sites_of(rows)
    sizes = sites[sites != ""].value_counts()
    _check_groups("site", "sites", len(sizes), part, " (or data.columns.camera)")
    order = [str(site) for site in rng.permutation(sorted(sizes.index))]
    chosen: list[str] = []
    images = 0
    for site in order:
        closer = abs(images + sizes[site] - wanted) < abs(images - wanted)
        if len(chosen) < len(sizes) - 1 - part.after and closer:
            chosen.append(site)
            images += int(sizes[site])
    return rows.index[sites.isin(chosen or [str(sizes.index[-1])])]


def _of_days(rows: pd.DataFrame, wanted: float, rng: np.random.Generator, part: _Part) -> pd.Index:
    """The latest days, whole, about as many images as wanted; nothing is drawn."""
    days = _days_of(rows)
    counts = days.dropna().value_counts().sort_index(ascending=False)
    _check_groups("date", "days", len(counts), part)
    distance = (counts.cumsum().iloc[: -1 - part.after] - wanted).abs()
    return rows.index[days >= distance.idxmin()]


def _of_scenes(rows: pd.DataFrame, wanted: float, rng: np.random.Generator, part: _Part) -> pd.Index:
    """Whole scenes, such that of every label about the same share goes; each label keeps its largest scene."""
    scenes = scenes_of(rows)
    if scenes.problems:
        raise ManifestError(f"data.split=scene: {listed(scenes.problems, 3)}")
    if not scenes.source:
        raise ManifestError(
            "data.split=scene: nothing tells scenes apart: name a column by data.columns.scene=<its name> or "
            "data.columns.date=<its name>, or choose another data.split"
        )
    scene = np.unique(scenes.numbers.to_numpy(), return_inverse=True)[1]
    label = pd.factorize(rows["label"])[0]
    labels_of = _counts(scene, label)
    share, totals = wanted / len(rows), np.bincount(label).tolist()
    drawn = rng.permutation(len(labels_of))
    order = drawn[np.argsort(-np.bincount(scene)[drawn], kind="stable")].tolist()
    kept: dict[int, int] = {}
    gone: dict[int, int] = {}
    chosen = np.zeros(len(labels_of), bool)
    for place in order:
        counts = labels_of[place]
        need = sum(count * (share - gone.get(name, 0) / totals[name]) for name, count in counts)
        stays = sum(count * (1 - share - kept.get(name, 0) / totals[name]) for name, count in counts)
        chosen[place] = need > stays and all(name in kept for name, _ in counts)
        side = gone if chosen[place] else kept
        for name, count in counts:
            side[name] = side.get(name, 0) + count
    if not chosen.any():
        chosen[_one_scene(labels_of, order, part)] = True
    return rows.index[chosen[scene]]


def _counts(scene: np.ndarray, label: np.ndarray) -> list[list[tuple[int, int]]]:
    """Of every scene the labels and how often each is there: the most frequent first, then in the order of the rows."""
    pairs = pd.DataFrame({"scene": scene, "label": label}).groupby(["scene", "label"], sort=False).size()
    pairs = pairs.iloc[np.lexsort((-pairs.to_numpy(), pairs.index.get_level_values("scene")))]
    counts: list[list[tuple[int, int]]] = [[] for _ in range(int(scene.max()) + 1)]
    for (place, name), count in zip(pairs.index.tolist(), pairs.tolist(), strict=True):
        counts[place].append((name, count))
    return counts


def _one_scene(labels_of: list[list[tuple[int, int]]], order: list[int], part: _Part) -> int:
    """The smallest scene that leaves each of its labels an image elsewhere: none at all would be no split."""
    scenes = Counter(name for counts in labels_of for name, _ in counts)
    for place in reversed(order):
        if all(scenes[name] > 1 for name, _ in labels_of[place]):
            return place
    if part.before:
        raise ManifestError(
            f"data.split=scene: after test every label has one scene left, so none can be held out for {part.name}, "
            "expected three scenes of a label: leave data.validation_share or data.test_share out, or choose another "
            "data.split"
        )
    raise ManifestError(
        "data.split=scene: every label has one scene alone, so none can be held out: choose another data.split"
    )


_WAYS: dict[str, Callable[[pd.DataFrame, float, np.random.Generator, _Part], pd.Index]] = {
    "site": _of_sites,
    "date": _of_days,
    "scene": _of_scenes,
}


def sites_of(rows: pd.DataFrame) -> pd.Series:
    """Where each image was taken: the column site, else the name or number of the camera; "" where nothing says."""
    for name in ("site", "camera_name"):
        if name in rows and (rows[name] != "").any():
            return rows[name]
    return rows["camera"].astype(object).where(rows["camera"].notna(), "").astype(str)


def _days_of(rows: pd.DataFrame) -> pd.Series:
    """The day of each image, in seconds; NaN where nothing says.

    Raises:
        ManifestError: A cell is no date.
    """
    if "date" not in rows:
        return pd.Series(np.nan, index=rows.index)
    dates = read_dates(rows["date"].tolist(), rows["path"].tolist())
    if dates.problems:
        raise ManifestError(f"data.split=date: {listed(dates.problems, 3)}")
    return pd.Series(dates.seconds // DAY * DAY, index=rows.index)


def _what_went_where(table: pd.DataFrame, held_out: HeldOut, wanted: dict[str, float], by: str, people: bool) -> str:
    """One line: images and labels of every split."""
    seed = held_out.seed
    if held_out.split is None and set(wanted) == {"validation"}:
        held = table[table["split"] == "validation"]
        who = "people" if held["camera"].notna().any() else "labels"
        what = f"{held['label'].nunique()} {who} with {len(held)}" if people else f"{len(held)}"
        share = held_out.validation_share
        return f"{what} training images held out for validation (share {share:g}, seed {seed})"
    rows = original_rows(table[~table["ignore"]])
    parts = [
        f"{name} {len(part)} images of {part['label'].nunique()} labels{_more(part, by)}"
        for name in ("train", "validation", "test")
        if len(part := rows[rows["split"] == name])
    ]
    parts += [f"{name} no image" for name in wanted if not (rows["split"] == name).any()]
    asked = ", ".join(f"{name} share {wanted[name]:g}" for name in reversed(wanted))
    drawn = "the latest days" if by == "date" else f"seed {seed}"
    how = f" {scenes_of(rows).source}" if by == "scene" else ""
    return f"divided by data.split={by}{how} ({asked}, {drawn}): {'; '.join(parts)}{_left(rows, by)}"


def _more(part: pd.DataFrame, by: str) -> str:
    """Sites, days or scenes of one split."""
    if by == "site":
        names = sorted(set(sites_of(part)) - {""})
        return f" at {', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
    if by == "date":
        days = _days_of(part).dropna()
        return f" from {written(days.min())} to {written(days.max())}" if len(days) else ""
    return f" in {scenes_of(part).numbers.nunique()} scenes" if by == "scene" else ""


def _left(rows: pd.DataFrame, by: str) -> str:
    """Images that stay in training because nothing is known of them."""
    train = rows[rows["split"] == "train"]
    missing = {"site": lambda: int((sites_of(train) == "").sum()), "date": lambda: int(_days_of(train).isna().sum())}
    count = missing[by]() if by in missing else 0
    return f"; {count} images without a {by} stay in train" if count else ""
