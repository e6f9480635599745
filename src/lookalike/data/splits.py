"""Divides a data set that has no splits: by individual, by site, by date, by scene, or images of every label at random.

Copies go where their original goes, junk stays in training, and the same settings give the same division.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lookalike.data.dates import DAY, read_dates, written
from lookalike.data.hold_out import hold_out_images, hold_out_people
from lookalike.data.scenes import scenes_of, torn_note
from lookalike.data.tables import ManifestError, original_rows
from lookalike.errors import listed
from lookalike.settings.data import HeldOut

_SHOWN = 6  # names in a note


def divide(table: pd.DataFrame, held_out: HeldOut, people: bool) -> tuple[pd.DataFrame, list[str]]:
    """Holds test and validation out of training, those of the two that are asked for and not there.

    Args:
        table: A manifest's.
        held_out: What is asked for.
        people: Whether labels are people whose images name their cameras: these are held out whole unless another
            way is asked for.

    Returns:
        A changed copy, and notes: what went where; images whose scene is on both sides.

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
    rest, notes = 1.0, []
    for name, share in wanted.items():
        table = _held_out(table, by, min(1.0, share / rest), held_out.seed, name)
        rest -= share
    if wanted:
        notes.append(_what_went_where(table, held_out, wanted, by, people))
    elif held_out.split:
        notes.append(
            f"data.split={held_out.split} is not used: the data has splits ({', '.join(sorted(there))}) already"
        )
    if not people:
        pixels = "lookalike audit shows them"
        notes += torn_note(table, "data.split=scene keeps scenes together" if by == "stratified" and wanted else pixels)
    return table, notes


def _held_out(table: pd.DataFrame, by: str, share: float, seed: int, name: str) -> pd.DataFrame:
    """A copy in which a share of the training images is of another split."""
    if by == "stratified":
        held = hold_out_images(table, share, seed, name)
        held.loc[held["split"] != table["split"], "role"] = ""
        return held
    table, originals = table.copy(), original_rows(table)
    if by == "individual":
        table.loc[originals.index, ["split", "role"]] = hold_out_people(originals, share, seed, name)[["split", "role"]]
    else:
        rows = originals[(originals["split"] == "train") & ~originals["ignore"]]
        chosen = _WAYS[by](rows, share * len(rows), np.random.default_rng(seed))
        table.loc[chosen, ["split", "role"]] = [name, ""]
    copies = table["source"].isin(table["path"][table["split"] == name])
    table.loc[copies, ["split", "role"]] = [name, ""]
    return table


def _of_sites(rows: pd.DataFrame, wanted: float, rng: np.random.Generator) -> pd.Index:
    """Whole sites, drawn until about as many images are out as wanted."""
    sites = sites_of(rows)
    sizes = sites[sites != ""].value_counts()
    if len(sizes) < 2:
        raise ManifestError(
            f"data.split=site: expected at least two sites to divide, found {len(sizes)}: name the column by "
            "data.columns.site=<its name> (or data.columns.camera), or choose another data.split"
        )
    order = [str(site) for site in rng.permutation(sorted(sizes.index))]
    chosen: list[str] = []
    images = 0
    for site in order:
        if len(chosen) < len(sizes) - 1 and abs(images + sizes[site] - wanted) < abs(images - wanted):
            chosen.append(site)
            images += int(sizes[site])
    return rows.index[sites.isin(chosen or [str(sizes.index[-1])])]


def _of_days(rows: pd.DataFrame, wanted: float, rng: np.random.Generator) -> pd.Index:
    """The latest days, whole, about as many images as wanted; nothing is drawn."""
    days = _days_of(rows)
    counts = days.dropna().value_counts().sort_index(ascending=False)
    if len(counts) < 2:
        raise ManifestError(
            f"data.split=date: expected images of at least two days, found {len(counts)}: name the column by "
            "data.columns.date=<its name>, or choose another data.split"
        )
    distance = (counts.cumsum().iloc[:-1] - wanted).abs()
    return rows.index[days >= distance.idxmin()]


def _of_scenes(rows: pd.DataFrame, wanted: float, rng: np.random.Generator) -> pd.Index:
    """Whole scenes, such that of every label about the same share goes; each label keeps its largest scene."""
    scenes = scenes_of(rows)
    if not scenes.source:
        raise ManifestError(
            "data.split=scene: nothing tells scenes apart: name a column by data.columns.scene=<its name> or "
            "data.columns.date=<its name>, or choose another data.split"
        )
    share, totals = wanted / len(rows), rows["label"].value_counts()
    groups = [group for _, group in rows["label"].groupby(scenes.numbers, sort=True)]
    order = sorted(rng.permutation(len(groups)).tolist(), key=lambda place: -len(groups[place]))
    kept: dict[str, int] = {}
    gone: dict[str, int] = {}
    chosen: list[int] = []
    for group in (groups[place] for place in order):
        counts = group.value_counts()
        need = sum(count * (share - gone.get(label, 0) / totals[label]) for label, count in counts.items())
        stays = sum(count * (1 - share - kept.get(label, 0) / totals[label]) for label, count in counts.items())
        goes = need > stays and all(label in kept for label in counts.index)
        for label, count in counts.items():
            side = gone if goes else kept
            side[label] = side.get(label, 0) + int(count)
        chosen += group.index.tolist() if goes else []
    if not chosen and any(label in kept for label in totals.index):
        chosen = _one_scene(groups, order)
    return pd.Index(chosen)


def _one_scene(groups: list[pd.Series], order: list[int]) -> list[int]:
    """The smallest scene that leaves each of its labels an image elsewhere: none at all would be no split."""
    for place in reversed(order):
        others = {label for other in order if other != place for label in groups[other].unique()}
        if set(groups[place].unique()) <= others:
            return list(groups[place].index)
    raise ManifestError(
        "data.split=scene: every label has one scene alone, so none can be held out: choose another data.split"
    )


_WAYS: dict[str, Callable[[pd.DataFrame, float, np.random.Generator], pd.Index]] = {
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
    dates = read_dates(rows["date"].tolist())
    if dates.problems:
        raise ManifestError(f"data.split=date: {listed(dates.problems, 3)}")
    return pd.Series(dates.seconds // DAY * DAY, index=rows.index)


def _what_went_where(table: pd.DataFrame, held_out: HeldOut, wanted: dict[str, float], by: str, people: bool) -> str:
    """One line: images and labels of every split."""
    seed = held_out.seed
    if held_out.split is None and set(wanted) == {"validation"}:
        held = table[table["split"] == "validation"]
        what = f"{held['label'].nunique()} people with {len(held)}" if people else f"{len(held)}"
        share = held_out.validation_share
        return f"{what} training images held out for validation (share {share:g}, seed {seed})"
    rows = original_rows(table[~table["ignore"]])
    parts = [
        f"{name} {len(part)} images of {part['label'].nunique()} labels{_more(part, by)}"
        for name in ("train", "validation", "test")
        if len(part := rows[rows["split"] == name])
    ]
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
