"""Divisions by individual, site, date, scene and at random: whole groups, told, the same for the same seed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lookalike
from image_folders import column, csv, pictures
from lookalike import Dataset
from lookalike.data.manifest import tidy
from lookalike.data.reading import read_manifest
from lookalike.data.scenes import scenes_of
from lookalike.data.splits import divide, sites_of
from lookalike.data.tables import ManifestError
from lookalike.settings.data import HeldOut

ALL = ("individual", "site", "date", "scene", "stratified")


def animals(count: int = 240, seed: int = 0) -> pd.DataFrame:
    """Twelve individuals at eight sites over ten days, in bursts of three."""
    rng = np.random.default_rng(seed)
    bursts = count // 3
    burst = np.repeat(np.arange(bursts), 3)
    day, site, label = (np.repeat(rng.integers(0, most, bursts), 3) for most in (10, 8, 12))
    minute = np.repeat(rng.permutation(1440)[:bursts], 3)
    times = pd.Timestamp("2024-05-01") + pd.to_timedelta(day, "D") + pd.to_timedelta(minute, "min")
    times += pd.to_timedelta(np.tile([0, 2, 4], bursts), "s")
    return tidy(
        pd.DataFrame(
            {
                "path": [f"{place:04}.jpg" for place in range(count)],
                "label": [f"ZEB-{number:03}" for number in label],
                "split": "train",
                "site": [f"S{number}" for number in site],
                "date": times.strftime("%Y-%m-%d %H:%M:%S"),
                "burst": burst,
            }
        )
    )


def divided(table: pd.DataFrame, split: Any, **more: Any) -> tuple[pd.DataFrame, list[str]]:
    return divide(table, HeldOut(split=split, **{"validation_share": 0.2, "test_share": 0.15, **more}), people=False)


def sides(table: pd.DataFrame, values: Iterable[object]) -> dict[str, set[object]]:
    return {str(split): set(part) for split, part in pd.Series(list(values)).groupby(table["split"])}


def disjoint(parts: dict[str, set[object]]) -> bool:
    return sum(map(len, parts.values())) == len(set().union(*parts.values()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by", ALL)
def test_every_way_gives_three_splits_about_as_large_as_asked(by: str, seed: int) -> None:
    table = animals()
    result, notes = divided(table, by, seed=seed)
    counts = result["split"].value_counts()
    shares = counts / 240
    if by == "individual":  # of the labels
        shares = result.groupby("split")["label"].nunique() / 12
    assert abs(shares["validation"] - 0.2) < 0.09
    assert abs(shares["test"] - 0.15) < 0.09
    assert notes[0].startswith(f"divided by data.split={by}")
    for name in ("train", "validation", "test"):
        labels = result["label"][result["split"] == name].nunique()
        assert f"{name} {counts[name]} images of {labels} labels" in notes[0]
    assert set(table["split"]) == {"train"}, "the table itself stays"
    assert result.equals(divided(table, by, seed=seed)[0])
    shuffled = tidy(table.sample(frac=1, random_state=5))
    assert divided(shuffled, by, seed=seed)[0].equals(result)


@pytest.mark.parametrize("by", ["individual", "site", "scene", "stratified"])
def test_another_seed_is_another_division(by: str) -> None:
    splits = [divided(animals(), by, seed=seed)[0]["split"].tolist() for seed in range(3)]
    assert splits[0] != splits[1] != splits[2]


@pytest.mark.parametrize("seed", range(4))
def test_what_stays_together(seed: int) -> None:
    result, _ = divided(animals(), "individual", seed=seed)
    assert disjoint(sides(result, result["label"]))
    for name in ("validation", "test"):
        part = result[result["split"] == name]
        assert set(part["role"]) == {"query", "reference"}
        assert set(part["label"][part["role"] == "query"]) <= set(part["label"][part["role"] == "reference"])
    result, notes = divided(animals(), "site", seed=seed)
    assert disjoint(sides(result, result["site"]))
    assert (result["role"] == "").all()
    assert " at S" in notes[0]
    result, notes = divided(animals(), "scene", seed=seed)
    assert disjoint(sides(result, result["burst"]))
    assert set(result["label"][result["split"] == "train"]) == set(result["label"]), "every label is trained on"
    assert len(notes) == 1
    result, _ = divided(animals(), "stratified", seed=seed)
    assert set(result["label"][result["split"] == "train"]) == set(result["label"])


def test_dates_go_forward_by_whole_days() -> None:
    result, notes = divided(animals(), "date")
    days = {name: part["date"].str[:10] for name, part in result.groupby("split")}
    assert days["train"].max() < days["validation"].min()
    assert days["validation"].max() < days["test"].min()
    assert f"validation share 0.2, test share 0.15, the latest days): train {len(days['train'])} images" in notes[0]
    assert f"from 2024-05-01 to {days['train'].max()}; validation" in notes[0]


def test_a_random_division_that_tears_bursts_is_told() -> None:
    notes = divided(animals(), "stratified")[1]
    assert "validation images and" in notes[1]
    assert notes[1].endswith("so figures are better than on new scenes: data.split=scene keeps scenes together")
    for by in ("site", "date", "scene", "individual"):
        assert len(divided(animals(), by)[1]) == 1, by


def test_cameras_are_sites_where_there_is_no_other() -> None:
    table = tidy(animals().drop(columns="site").assign(camera=np.arange(240) % 5))
    assert set(sites_of(table)) == set("01234")
    assert disjoint(sides(divided(table, "site")[0], table["camera"]))
    named = tidy(table.assign(camera_name=[f"cam {number}" for number in table["camera"]]))
    assert set(sites_of(named)) == {f"cam {number}" for number in range(5)}


def test_what_is_not_known_stays_in_train_and_is_counted() -> None:
    table = animals()
    table.loc[:11, ["site", "date"]] = ""
    for by in ("site", "date"):
        result, notes = divided(table, by)
        assert set(result["split"][:12]) == {"train"}
        assert notes[0].endswith(f"; 12 images without a {by} stay in train")


def test_only_a_split_that_is_missing_is_made() -> None:
    table = animals()
    table.loc[:29, "split"] = "test"
    result, notes = divided(table, "individual")
    assert (result["split"] == "test").sum() == 30
    assert notes[0].startswith("divided by data.split=individual (validation share 0.2, seed 0): train")
    table.loc[30:59, "split"] = "validation"
    result, notes = divided(table, "site")
    assert result.equals(table)
    assert notes[0] == "data.split=site is not used: the data has splits (test, validation) already"


def test_junk_stays_and_copies_follow() -> None:
    table = animals()
    table.loc[::7, "ignore"] = True
    table.loc[1, "source"] = table["path"][2]
    for by in ALL[:-1]:
        result, _ = divided(table, by)
        assert set(result["split"][result["ignore"]]) == {"train"}, by
    for by in ALL:
        for seed in range(6):
            result, _ = divided(
                animals().assign(
                    source=lambda rows: rows["path"].shift(1, fill_value="").where(rows.index % 3 == 1, "")
                ),
                by,
                seed=seed,
            )
            of_copies = result[result["source"] != ""]
            originals = result.set_index("path").loc[of_copies["source"], "split"]
            assert of_copies["split"].tolist() == originals.tolist(), by


def test_roles_of_training_images_do_not_follow_them() -> None:
    table = animals().assign(role="reference")
    for by in ("site", "date", "scene", "stratified"):
        result, _ = divided(table, by)
        assert set(result["role"][result["split"] != "train"]) == {""}


@pytest.mark.parametrize(
    ("change", "by", "text"),
    [
        (
            {"site": ""},
            "site",
            r"^data\.split=site: expected at least two sites to divide, found 0: name the col",
        ),
        ({"site": "S1"}, "site", "expected at least two sites to divide, found 1"),
        ({"date": ""}, "date", r"^data\.split=date: expected at least two days to divide, found 0"),
        ({"date": "2024-05-01"}, "date", "expected at least two days to divide, found 1"),
        ({"date": "May"}, "date", r"^data\.split=date: 0000\.jpg: date is 'May': expected such as 2024-05-31"),
        ({"date": "May"}, "scene", r"^data\.split=scene: 0000\.jpg: date is 'May': expected such as 2024-05-31"),
        ({"date": "03/04/2024"}, "scene", r"^data\.split=scene: date is '03/04/2024': day or month first\?"),
        (
            {"site": ["S1", "S2"] * 120},
            "site",
            r"^data\.split=site: expected at least three sites for train, validation and test, found 2: leave data\.v",
        ),
        (
            {"date": ["2024-05-01", "2024-05-02"] * 120},
            "date",
            r"^data\.split=date: expected at least three days for train, validation and test, found 2: leave data\.v",
        ),
        (
            {"scene": ["one", "two"] * 120},
            "scene",
            r"^data\.split=scene: after test every label has one scene left, so none can be held out for validation, ",
        ),
        ({"date": ""}, "scene", r"^data\.split=scene: nothing tells scenes apart: name a column by"),
        ({"scene": "one"}, "scene", r"^data\.split=scene: every label has one scene alone"),
    ],
)
def test_what_cannot_be_divided_is_told(change: dict[str, Any], by: str, text: str) -> None:
    with pytest.raises(ManifestError, match=text) as caught:
        divided(animals().assign(**change), by)
    assert "\n" not in str(caught.value)


def test_shares_are_needed_and_are_not_more_than_all() -> None:
    with pytest.raises(ManifestError, match=r"^data\.split=site: give data\.validation_share=0\.2 \(and data\.t"):
        divided(animals(), "site", validation_share=0, test_share=None)
    with pytest.raises(ManifestError, match=r"share=0\.6 and data\.test_share=0\.5 are more than all together"):
        divided(animals(), "stratified", validation_share=0.6, test_share=0.5)


def test_few_scenes_still_give_one() -> None:
    table = tidy(pd.DataFrame({"path": ["1", "2", "3"], "label": ["a", "a", "b"], "scene": ["s", "t", "u"]}))
    result, _ = divided(table.assign(split="train"), "scene", validation_share=0.1, test_share=None)
    assert result["split"].tolist().count("validation") == 1
    assert result["split"][2] == "train"


def test_a_data_set_divides_by_its_settings_and_a_bundle_takes_them_over(tmp_path: Path) -> None:
    table = animals(60).rename(columns={"label": "individual", "site": "place"})
    pictures(tmp_path, *table["path"])
    table[["path", "individual", "place", "date"]].to_csv(tmp_path / "t.csv", index=False)
    columns = {"label": "individual", "site": "place"}
    data = Dataset(tmp_path / "t.csv", columns=columns, split="site", validation_share=0.2, test_share=0.2, seed=3)
    assert disjoint(sides(data.manifest.table, data.manifest.table["site"]))
    plain = Dataset(tmp_path / "t.csv", columns=columns)
    assert set(plain.manifest.table["split"]) == {"train"}
    again = plain.held_out_as(HeldOut(validation_share=0.2, test_share=0.2, seed=3, split="site"))
    assert again.manifest.table.equals(data.manifest.table)
    assert data.held_out_as(HeldOut(validation_share=0.5)) is data


def test_a_table_without_rows_is_told_before_it_is_divided(tmp_path: Path) -> None:
    file = csv(tmp_path, "path,label\n")
    with pytest.raises(ManifestError, match="no image at all"):
        read_manifest(file, split="site", validation_share=0.2)


def test_class_folders_alone_may_have_a_test_split(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{label}/{number}.png" for label in "ab" for number in range(10)))
    manifest = read_manifest(tmp_path, test_share=0.2, validation_share=0.2)
    counts = pd.Series(column(manifest, "split")).value_counts()
    assert counts.to_dict() == {"train": 12, "validation": 4, "test": 4}
    assert manifest.notes == (
        "divided by data.split=stratified (validation share 0.2, test share 0.2, seed 0): train 12 images of 2 labels; "
        "validation 4 images of 2 labels; test 4 images of 2 labels",
    )
    same = read_manifest(tmp_path, test_share=0.2, validation_share=0.2, split="stratified")
    assert same.table.equals(manifest.table)


def test_without_a_way_the_hold_out_is_what_it_was(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(10)))
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(10))
    file = csv(tmp_path, "path,label\n" + rows)
    plain = read_manifest(file, validation_share=0.4, seed=2)
    assert plain.table.equals(read_manifest(file, validation_share=0.4, seed=2, split="stratified").table)
    assert plain.notes == ("4 training images held out for validation (share 0.4, seed 2)",)


def slow_scenes(rows: pd.DataFrame, numbers: pd.Series, wanted: float, rng: np.random.Generator) -> list[int]:
    """Rows of the scenes that go, one scene and one label after another."""
    share, totals = wanted / len(rows), rows["label"].value_counts()
    scenes = [group for _, group in rows["label"].groupby(numbers, sort=True)]
    order = sorted(rng.permutation(len(scenes)).tolist(), key=lambda place: -len(scenes[place]))
    kept: dict[str, int] = {}
    gone: dict[str, int] = {}
    chosen: list[int] = []
    for scene in (scenes[place] for place in order):
        counts = scene.value_counts()
        need = sum(count * (share - gone.get(label, 0) / totals[label]) for label, count in counts.items())
        stays = sum(count * (1 - share - kept.get(label, 0) / totals[label]) for label, count in counts.items())
        goes = need > stays and all(label in kept for label in counts.index)
        side = gone if goes else kept
        side.update({label: side.get(label, 0) + int(count) for label, count in counts.items()})
        chosen += scene.index.tolist() if goes else []
    for place in reversed([] if chosen else order):
        others = {label for other in order if other != place for label in scenes[other].unique()}
        if set(scenes[place].unique()) <= others:
            return list(scenes[place].index)
    return chosen


@pytest.mark.parametrize("seed", range(12))
def test_scenes_are_divided_as_one_after_another_would_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, scenes, labels = int(rng.integers(4, 150)), int(rng.integers(3, 40)), int(rng.integers(1, 6))
    names = [f"L{number}" for number in rng.integers(0, labels, count)]
    table = pd.DataFrame({"path": [f"{place:03}.jpg" for place in range(count)], "label": names, "split": "train"})
    table = tidy(table.assign(scene=[f"s{number}" for number in rng.integers(0, scenes, count)]))
    share = float(rng.choice([0.05, 0.2, 0.5]))
    slow = slow_scenes(table, scenes_of(table).numbers, share * count, np.random.default_rng(seed))
    if not slow:
        with pytest.raises(ManifestError, match="every label has one scene alone"):
            divided(table, "scene", validation_share=share, test_share=None, seed=seed)
        return
    result, _ = divided(table, "scene", validation_share=share, test_share=None, seed=seed)
    assert result.index[result["split"] == "validation"].tolist() == sorted(slow)


def test_no_photograph_is_on_both_sides_by_scene_or_at_random() -> None:
    table = animals()
    table["path"] = [f"{place // 2:04}.jpg" for place in range(240)]  # of two bursts, every third one
    for by in ("scene", "stratified"):
        result, notes = divided(tidy(table), by)
        assert set(result["split"]) == {"train", "validation", "test"}, by
        assert (result.groupby("path")["split"].nunique() == 1).all(), by
        assert not any("photograph" in note for note in notes), by
    assert any(
        "boxes of photographs that are trained on, too" in note for note in divided(tidy(table), "individual")[1]
    )


def test_labels_of_one_photograph_are_not_held_out_and_told() -> None:
    table = tidy(pd.DataFrame({"path": [*"1112233"], "label": [*"aaabbbb"], "split": "train"}))
    result, notes = divided(table, None, test_share=None)
    assert result.groupby("path")["split"].nunique().eq(1).all()
    assert notes == [
        "2 training images held out for validation (share 0.2, seed 0)",
        "nothing of 1 label(s) is held out for validation, as boxes of one photograph stay together: a",
    ]


def test_dates_with_the_month_first_are_read_alike_in_every_split() -> None:
    table = animals()
    days = table["date"].str[8:10].astype(int)  # those of validation and test could be of any month
    american = tidy(table.assign(date=[f"04/{day + 20}/2024" if day < 6 else f"05/{day:02}/2024" for day in days]))
    iso = pd.to_datetime(american["date"], format="%m/%d/%Y").dt.strftime("%Y-%m-%d")
    result, notes = divided(american, "date")
    expected, same = divided(american.assign(date=iso), "date")
    assert result["split"].equals(expected["split"])
    assert notes == same
    assert result["date"].equals(american["date"]), "as it was written"


def test_enough_sites_and_days_are_left_for_both_splits() -> None:
    for by, values in (("site", [*"ABC"]), ("date", ["2024-05-01", "2024-05-02", "2024-05-03"])):
        for seed in (0, 1):
            table = animals().assign(**{by: values * 80})
            result, _ = divided(table, by, validation_share=0.05, test_share=0.9, seed=seed)
            assert result.groupby("split")[by].unique().map(len).to_dict() == dict.fromkeys(result["split"].unique(), 1)
            assert result["split"].nunique() == 3


def test_a_split_that_nothing_is_left_for_is_told() -> None:
    table = animals().assign(label=["a", "b"] * 120)
    assert "; validation no image" in divided(table, "individual")[1][0]


@pytest.mark.parametrize(
    ("labels", "by", "told"),
    [
        (
            "abc",
            None,
            "as every label of training has one image (or photograph) alone, which stays there",
        ),
        ("aaa", "individual", "as training has one label alone: add images of others"),
    ],
)
def test_why_nothing_can_be_held_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str, by: Any, told: str
) -> None:
    root = pictures(tmp_path, *(f"train/{label}/{place}.png" for place, label in enumerate(labels)))
    manifest = read_manifest(root, validation_share=0.2, split=by)
    assert column(manifest, "split") == ["train"] * 3
    assert any(f"nothing can be held out for validation, {told}" in note for note in manifest.notes)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ManifestError, match=r"no validation images.*: nothing can be held out for validation"
    ) as raised:
        lookalike.train({"root": root, "validation_share": 0.2, "split": by}, run="none")
    assert told in str(raised.value)
    assert "hold some out" not in str(raised.value)


def test_shares_of_splits_that_are_there_are_not_used_and_told(tmp_path: Path) -> None:
    paths = [f"{name}/a/{place}.png" for name in ("train", "val", "test") for place in range(2)]
    root = pictures(tmp_path, *paths)
    plain = read_manifest(root)
    manifest = read_manifest(root, validation_share=0.5, test_share=0.25)
    assert manifest.table.equals(plain.table)
    assert manifest.notes == (
        "data.test_share=0.25 is not used: the data has 2 test images already",
        "data.validation_share=0.5 is not used: the data has 2 validation images already",
    )
    assert plain.notes == ()
