"""Images of one passage before a camera as one embedding, by the definition and through a whole evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike import LookalikeError
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.assessment import assess
from lookalike.evaluation.identify import Rules
from lookalike.evaluation.tracklets import Pool, pooled, pooling_of
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.sightings import TimeRules


def table_of(market: Path, folder: Path, **changes: dict[str, str]) -> Path:
    """Market-1501's test images as a table, whose tracklets are person and camera of one side."""
    rows = read_manifest(market).table
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    named = rows["role"] + "-" + rows["label"] + "-" + rows["camera"].astype(str)
    rows["tracklet"] = named.mask(rows["label"] == "0000", "")  # distractors stay images
    for name, cells in changes.items():
        rows[name] = rows["path"].map(cells).fillna(rows[name].astype(str) if name in rows else "")
    rows["path"] = [str(market / path) for path in rows["path"]]
    rows.to_csv(folder / "data.csv", index=False)
    return folder / "data.csv"


def unit(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, 6))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def by_hand(embeddings: np.ndarray, rows: pd.DataFrame, pool: str) -> dict[str, np.ndarray]:
    """Tracklet (or the path of an image without one) -> pooled embedding."""
    names = rows["tracklet"].mask(rows["tracklet"] == "", rows["path"]).tolist()
    made = {}
    for name in dict.fromkeys(names):
        own = embeddings[[other == name for other in names]].astype(np.float64)
        vector = own.max(axis=0) if pool == "max" else own.mean(axis=0)
        made[name] = vector / np.linalg.norm(vector)
    return made


@pytest.fixture(scope="module")
def manifest(few_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(table_of(few_market, tmp_path_factory.mktemp("tracklets")))


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_tracklet_is_the_pool_of_its_images(manifest: Manifest, pool: Pool) -> None:
    protocol = manifest.protocol("test")
    queries, references = unit(len(protocol.queries), 1), unit(len(protocol.references), 2)
    asking, answering, made = pooled(queries, references, protocol, pooling_of(protocol, pool))
    for embeddings, rows, before, images in (
        (asking, made.queries, protocol.queries, queries),
        (answering, made.references, protocol.references, references),
    ):
        expected = by_hand(images, before, pool)
        names = rows["tracklet"].mask(rows["tracklet"] == "", rows["path"]).tolist()
        assert names == list(expected)
        assert rows["images"].sum() == len(before)
        assert np.allclose(embeddings, np.stack([expected[name] for name in names]), atol=1e-6)
        assert embeddings.dtype == np.float32
    assert len(made.references) < len(protocol.references)
    count = f"{len(made.queries)} queries and {len(made.references)} references, both of split test"
    images = f"tracklets of {len(queries)} and {len(references)} images, {pool} of their embeddings"
    assert made.source == f"{count}; {images}"


def test_a_whole_evaluation_compares_tracklets(manifest: Manifest, bundle_path: Path) -> None:
    encoder = openvino_encoder(load_bundle(bundle_path), "float32")
    assessment = assess(encoder, "tiny", manifest, "test", Rules(), {})
    by_image = assess(encoder, "tiny", manifest, "test", Rules(pool="none"), {})
    protocol = by_image.protocol
    asking = by_hand(by_image.embedded.queries, protocol.queries, "mean")
    answering = by_hand(by_image.embedded.references, protocol.references, "mean")
    asked = protocol.queries.drop_duplicates("tracklet")
    tracks = protocol.references
    tracks = tracks[(tracks["tracklet"] == "") | ~tracks["tracklet"].duplicated()]
    expected = evaluate(
        np.stack(list(asking.values())).astype(np.float32),
        np.stack(list(answering.values())).astype(np.float32),
        asked["label"].tolist(),
        tracks["label"].tolist(),
        query_cameras=asked["camera"].astype(int).to_numpy(),
        reference_cameras=tracks["camera"].astype(int).to_numpy(),
        ignore=tracks["ignore"].to_numpy(bool),
    )
    assert assessment.metrics["map"] == pytest.approx(expected.metrics["map"], abs=1e-6)
    assert assessment.metrics["cmc@1"] == expected.metrics["cmc@1"]
    assert len(assessment.table()) == len(asking)
    assert assessment.table()["images"].sum() == len(by_image.table())
    assert "images" not in by_image.table()
    tracklets = {"pool": "mean", "query_images": len(protocol.queries), "reference_images": len(protocol.references)}
    assert assessment.to_dict()["tracklets"] == {**tracklets, "several": ""}
    assert "tracklets" not in by_image.to_dict()


def test_a_query_that_is_a_reference_too_never_finds_its_own_tracklet(few_market: Path, tmp_path: Path) -> None:
    every = dict.fromkeys(read_manifest(few_market).table["path"], "both")
    manifest = read_manifest(table_of(few_market, tmp_path, role=every))
    protocol = manifest.protocol("test")
    embeddings = unit(len(protocol.references), 3)
    _, _, made = pooled(embeddings[protocol.own_row], embeddings, protocol, pooling_of(protocol))
    names = made.references["tracklet"].to_numpy(object)[made.own_row]
    assert names.tolist() == made.queries["tracklet"].tolist()


@pytest.mark.parametrize("copied", ["first", "last", "most"])
def test_copies_of_single_images_do_not_hide_whose_tracklet_it_is(
    few_market: Path, tmp_path: Path, copied: str
) -> None:
    """Images of one tracklet lie, byte for byte, in another one, too; neither finds itself."""
    rows = read_manifest(few_market).table
    rows = rows[(rows["split"] == "test") & ~rows["ignore"] & (rows["label"] != "0000")]
    named = rows["label"] + rows["camera"].astype(str)
    large = named.value_counts().index[0]
    own, other = rows["path"][named == large].tolist(), rows["path"][named != large].iloc[0]
    assert len(own) > 2
    table = pd.DataFrame({"path": [str(few_market / path) for path in [*own, other]], "tracklet": "z"})
    table["label"], table["camera"] = "a", "1"
    table.loc[len(own), "tracklet"] = "a"
    taken = {"first": own[:1], "last": own[-1:], "most": own[:-1]}[copied]
    for number, path in enumerate(taken):
        copy = tmp_path / f"{number}.jpg"  # before the originals, in the order of paths
        copy.write_bytes((few_market / path).read_bytes())
        table.loc[len(table)] = [str(copy), "a", "a", "1"]
    table["split"], table["role"] = "test", "both"
    table.to_csv(tmp_path / "data.csv", index=False)
    protocol = read_manifest(tmp_path / "data.csv").protocol("test")
    assert protocol.copies >= len(taken)
    made = pooling_of(protocol)
    assert made is not None
    names = made.protocol.references["tracklet"].to_numpy(object)[made.protocol.own_row]
    assert names.tolist() == made.protocol.queries["tracklet"].tolist()


@pytest.mark.parametrize(("fact", "value"), [("label", "0777"), ("camera", "9")])
def test_a_tracklet_of_two_individuals_or_places_is_refused(
    few_market: Path, tmp_path: Path, fact: str, value: str
) -> None:
    rows = read_manifest(few_market).table
    rows = rows[(rows["split"] == "test") & (rows["role"] == "reference") & ~rows["ignore"] & (rows["label"] != "0000")]
    several = rows[rows.duplicated(["label", "camera"], keep="first")]
    table = table_of(few_market, tmp_path, **{fact: {several["path"].iloc[0]: value}})
    protocol = read_manifest(table).protocol("test")
    text = (
        rf"1 reference tracklet\(s\) of more than one {fact}: reference-\S+ \(.*\): expected one individual under one"
    )
    with pytest.raises(ManifestError, match=text) as caught:
        pooling_of(protocol)
    assert "\n" not in str(caught.value)


def test_a_tracklet_is_ignored_where_all_of_its_images_are(few_market: Path, tmp_path: Path) -> None:
    protocol = read_manifest(table_of(few_market, tmp_path)).protocol("test")
    names = protocol.references["tracklet"].mask(protocol.references["ignore"], "")
    several = names[(names != "") & names.duplicated(keep=False)].unique()[:2]
    first = protocol.references.index[names == several[0]][:1]
    protocol.references.loc[first, "ignore"] = True
    protocol.references.loc[names == several[1], "ignore"] = True
    made = pooling_of(protocol)
    assert made is not None
    ignored = made.protocol.references.set_index("tracklet")["ignore"]
    assert (ignored[several[0]], ignored[several[1]]) == (False, True)


def test_pooling_without_tracklets_and_unknown_pools_are_refused(few_market: Path) -> None:
    protocol = read_manifest(few_market).protocol("test")
    sides = unit(len(protocol.queries), 1), unit(len(protocol.references), 2)
    with pytest.raises(LookalikeError, match="pool=max: expected images that name their tracklets, found none: give a"):
        pooling_of(protocol, "max")
    with pytest.raises(LookalikeError, match="pool=middle: expected one of none, mean, max, or null"):
        pooling_of(protocol, "middle")  # type: ignore[arg-type]
    assert pooling_of(protocol) is None
    assert pooled(*sides, protocol, None)[2] is protocol


def test_rules_of_times_go_by_when_tracklets_begin_and_end(few_market: Path, tmp_path: Path, bundle_path: Path) -> None:
    """Every image its own second in the order of the table: a tracklet lasts from its first to its last."""
    paths = read_manifest(few_market).table["path"]
    seconds = {path: str(place) for place, path in enumerate(paths)}
    manifest = read_manifest(table_of(few_market, tmp_path, seconds=seconds))
    encoder = openvino_encoder(load_bundle(bundle_path))
    for pool in ("none", "mean"):
        rules = Rules(pool=pool, time_rules=TimeRules(camera_rule_seconds=3, elsewhere_seconds=20))
        made = assess(encoder, "mine", manifest, "test", rules, {})
        asking, answering = made.protocol.queries, made.protocol.references
        names = ("query_times", "reference_times")
        if pool == "mean":
            assert (answering["taken_last"] > answering["taken_first"]).any()
            times = [(side["taken_first"].to_numpy(), side["taken_last"].to_numpy()) for side in (asking, answering)]
        else:
            times = [side["seconds"].astype(float).to_numpy() for side in (asking, answering)]
        expected = evaluate(
            made.embedded.queries,
            made.embedded.references,
            asking["label"].tolist(),
            answering["label"].tolist(),
            query_cameras=asking["camera"].tolist(),
            reference_cameras=answering["camera"].tolist(),
            ignore=answering["ignore"].to_numpy(bool),
            exclude_self=made.protocol.own_row,
            camera_rule_seconds=3,
            elsewhere_seconds=20,
            **dict(zip(names, times, strict=True)),
        )
        assert made.identification.result.metrics == expected.metrics
        assert "other cameras within 20 s left out" in made.identification.result.protocol
        assert "by camera and time, same label and camera within 3 s left out; other cameras" in str(made)
        assert {*made.to_dict()["groups"]} == {"camera_and_time", "all_references"}
        plain = assess(encoder, "mine", manifest, "test", Rules(pool=pool), {}).identification
        assert made.identification.headline.value == plain.headline.value
        assert plain.result.metrics != expected.metrics
