"""What an audit finds in spoilt data, what it leaves alone, and what happens to what a person accepts."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from browser import needs_browser, opened
from corruption import corrupt, figures
from lookalike.auditing import file_facts
from lookalike.auditing.accepted import exclude, read_accepted
from lookalike.auditing.audit import Audit, audit
from lookalike.auditing.candidate_pairs import hash_pairs, neighbours
from lookalike.auditing.duplicates import groups_of
from lookalike.auditing.findings_table import KINDS
from lookalike.auditing.leaks import leaks
from lookalike.auditing.same_picture import compare
from lookalike.auditing.wrong_labels import suspects
from lookalike.cli.main import main
from lookalike.data.dataset import read_data, survey_data
from lookalike.data.exclusions import add_exclusions, read_exclusions
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.data.tables import ManifestError
from lookalike.export.untrained import identity, untrained_encoder
from lookalike.files import DiskFullError
from lookalike.inference.encoder import Encoder
from lookalike.reports.audit_page import page


def look(root: Path, cache: Path) -> Audit:
    manifest, problems = survey_data(str(root))
    return audit(manifest, problems, lambda: untrained_encoder(cache), identity(), cache)


@pytest.fixture(scope="session")
def spoilt(
    produce: Path, omniglot_market: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Audit, pd.DataFrame, Path]:
    home = tmp_path_factory.mktemp("spoilt")
    faults = corrupt(produce, omniglot_market, home / "data", 0)
    return look(home / "data", home / "cache"), faults, home


def found(audit: Audit, kind: str) -> pd.DataFrame:
    return audit.findings[audit.findings["kind"] == kind]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_broken_files_and_exact_copies_are_all_found_and_nothing_else(spoilt: tuple[Audit, pd.DataFrame, Path]) -> None:
    result, faults, _ = spoilt
    broken = faults[faults["kind"] == "broken"]
    assert set(found(result, "unusable")["path"]) == set(broken["path"])
    kinds = found(result, "unusable").set_index("path")["reason"].str.partition(":")[0]
    expected = {"truncated": "damaged", "empty": "empty", "text": "not_an_image", "noise": "not_an_image"}
    assert kinds.to_dict() == {
        path: {**expected, "animated": "animated"}[how] for path, how in zip(broken["path"], broken["how"], strict=True)
    }
    copies = faults[faults["kind"] == "copy"]
    told = {frozenset(pair) for pair in zip(found(result, "copy")["path"], found(result, "copy")["other"], strict=True)}
    assert told == {frozenset(pair) for pair in zip(copies["path"], copies["origin"], strict=True)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_faults_are_found_as_well_as_the_documentation_says(spoilt: tuple[Audit, pd.DataFrame, Path]) -> None:
    result, faults, _ = spoilt
    told = figures(result, faults).set_index("kind")
    print(told.round(3).to_string())  # the table of docs/audit.md
    for kind in ("copy", "broken"):
        assert told.loc[kind, ["precision", "recall"]].tolist() == [1.0, 1.0]
    assert told.loc["near_copy", "recall"] >= 0.95
    assert told.loc["near_copy", "precision"] >= 0.9
    assert told.loc["swapped", "average_precision"] >= 0.75
    assert told.loc["foreign", "average_precision"] >= 0.7
    rows = found(result, "near_copy")
    mirrored = set(faults[(faults["kind"] == "near_copy") & (faults["how"] == "mirrored")]["path"])
    of_mirrored = rows[rows["path"].isin(mirrored) | rows["other"].isin(mirrored)]
    assert of_mirrored["reason"].str.contains("mirrored").all()
    right = faults[faults["kind"] == "swapped"].set_index("path")["how"]
    suggested = found(result, "label").set_index("path")["suggestion"].str.extract(r"look; (.*)\?")[0]
    both = right.index.intersection(suggested.index)
    assert (suggested[both] == right[both]).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_second_audit_reads_no_file_and_says_the_same(spoilt: tuple[Audit, pd.DataFrame, Path]) -> None:
    result, _, home = spoilt

    def never() -> Encoder:
        raise AssertionError("an unchanged file was read")

    manifest, problems = survey_data(str(home / "data"))
    again = audit(manifest, problems, never, identity(), home / "cache")
    assert again.facts.read == 0
    pd.testing.assert_frame_equal(again.findings, result.findings)
    pd.testing.assert_frame_equal(again.leaks, result.leaks)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_accepted_findings_are_left_out_and_no_file_is_touched(
    spoilt: tuple[Audit, pd.DataFrame, Path], tmp_path: Path
) -> None:
    result, faults, home = spoilt
    before = sorted((file, file.stat().st_size) for file in (home / "data").rglob("*") if file.is_file())
    list_file = tmp_path / "left out.csv"
    with pytest.raises(ManifestError, match=r"problem\(s\) in the data"):
        read_data(str(home / "data"))
    assert "images added" in exclude(result, read_accepted("safe"), str(list_file))
    after = sorted((file, file.stat().st_size) for file in (home / "data").rglob("*") if file.is_file())
    assert after == before
    manifest = read_data(str(home / "data"), exclude=str(list_file))
    copies = faults[faults["kind"] == "copy"]
    in_train = {
        path for pair in zip(copies["path"], copies["origin"], strict=True) for path in pair if path[:5] == "train"
    }
    gone = set(faults[faults["kind"] == "broken"]["path"]) | in_train
    assert set(read_exclusions(list_file)) == gone
    assert set(result.rows["path"]) - set(manifest.table["path"]) == gone
    assert exclude(result, read_accepted("safe"), str(list_file)).startswith("0 images added")


def test_same_trips_of_test_and_train_are_a_leak(produce: Path, tmp_path: Path) -> None:
    result = look(produce, tmp_path)
    leaks = result.leaks.set_index("split")
    assert leaks.loc["test", "scenes"] > 0.3 * leaks.loc["test", "queries"]
    assert leaks.loc["test", "without_scenes"] < leaks.loc["test", "accuracy"]
    assert leaks.loc["validation", "scenes"] < 0.1 * leaks.loc["validation", "queries"]
    assert "have a copy or the same scene among the references" in str(result)


@pytest.fixture(scope="module")
def photographs(few_produce: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("few") / "data"
    shutil.copytree(few_produce, root)
    return root


@pytest.fixture
def data(photographs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(photographs, tmp_path / "data"))


def test_the_command_writes_page_table_and_summary(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    first = sorted((data / "train" / label).iterdir())[0]
    shutil.copyfile(first, data / "test" / label / "again.jpg")
    (data / "train" / label / "empty.jpg").touch()
    (data / "train" / label / "notes.txt").write_text("no image")
    first.rename(first.with_suffix(".png"))
    output = tmp_path / "audit"
    arguments = ["audit", f"data.root={data}", f"output={output}"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "1  Files that cannot be used" in told
    assert "1  Copies, byte for byte" in told
    assert "2 images can be left out without a second look: apply=safe" in told
    table = pd.read_parquet(output / "audit.parquet")
    by_kind = table.set_index("kind")
    assert by_kind.loc["unusable", "path"] == f"train/{label}/empty.jpg"
    assert by_kind.loc["stray", "path"] == f"train/{label}/notes.txt"
    assert by_kind.loc["wrong_suffix", "path"] == f"train/{label}/{first.stem}.png"
    assert by_kind.loc["copy", ["path", "other", "reason"]].tolist() == [
        f"train/{label}/{first.stem}.png",
        f"test/{label}/again.jpg",
        "leak: train and test",
    ]
    assert set(table["kind"]) <= set(KINDS)
    assert main([*arguments, "--apply", "safe"]) == 0
    told = capsys.readouterr().out
    assert "0 of them read now" in told
    assert f"2 images added to {data / 'exclude.csv'}" in told
    manifest = read_data(str(data))
    assert f"train/{label}/{first.stem}.png" not in set(manifest.table["path"])
    assert "2 images left out by exclude.csv" in capsys.readouterr().err + "".join(manifest.notes)
    assert main(arguments) == 0
    assert "Files that cannot be used" not in capsys.readouterr().out


def test_the_page_says_what_a_person_may_save(data: Path, tmp_path: Path) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    shutil.copyfile(sorted((data / "train" / label).iterdir())[0], data / "test" / label / "<b>&'again'.jpg")
    result = look(data, tmp_path / "cache")
    text = page(result).decode()
    assert "<b>&'again'" not in text
    assert "&lt;b&gt;&amp;&#x27;again&#x27;" in text
    assert "http" not in text.replace("http-equiv", "")
    reasons = json.loads(text.partition('id="reasons">')[2].partition("</script>")[0])
    paths = set(result.rows["path"])
    assert reasons
    assert all(path in paths and reason for path, reason in reasons)


def test_accepted_lists_are_checked(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", f"data.root={data}", f"output={tmp_path / 'audit'}"]
    assert main([*arguments, "apply=nowhere.csv"]) == 2
    assert "expected safe, or a CSV with the columns path,reason: no such file" in capsys.readouterr().err
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("path,reason\ntrain/none/of.jpg,why\n")
    assert main([*arguments, f"apply={wrong}"]) == 2
    assert "1 of 1 paths are not in the data set (first: train/none/of.jpg)" in capsys.readouterr().err
    wrong.write_text("file,why\na,b\n")
    assert main([*arguments, f"apply={wrong}"]) == 2
    assert "expected the columns path and reason, found file, why" in capsys.readouterr().err
    chosen = sorted((data / "train").rglob("*.jpg"))[0].relative_to(data).as_posix()
    wrong.write_text(f"path,reason\n{chosen},my eyes\n")
    target = tmp_path / "kept" / "list.csv"
    assert main([*arguments, f"apply={wrong}", f"data.exclude={target}"]) == 0
    assert read_exclusions(target) == {chosen: "my eyes"}


def test_lines_that_a_person_wrote_stay(tmp_path: Path) -> None:
    file = tmp_path / "exclude.csv"
    file.write_text("reason,path,who\nblurred,a.jpg,me\n")
    assert add_exclusions(file, {"a.jpg": "other", "b,c.jpg": 'a "quoted" reason'}) == 1
    table = pd.read_csv(file, keep_default_na=False)
    assert table.to_dict("list") == {
        "reason": ["blurred", 'a "quoted" reason'],
        "path": ["a.jpg", "b,c.jpg"],
        "who": ["me", ""],
    }


def test_a_damaged_or_foreign_cache_is_read_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    first = look(data, cache)
    for file in ("images.parquet", "pairs.parquet"):
        content = (cache / file).read_bytes()
        (cache / file).write_bytes(content[: len(content) // 2])
    again = look(data, cache)
    assert "damaged; every image is read again" in capsys.readouterr().err
    pd.testing.assert_frame_equal(first.findings, again.findings)
    manifest, problems = survey_data(str(data))
    other = audit(manifest, problems, lambda: untrained_encoder(cache), "other weights", cache)
    assert other.facts.read == len(first.rows)
    assert "made with another model or version" in capsys.readouterr().err


def test_only_what_changed_is_read(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    look(data, cache)
    files = sorted((data / "train").rglob("*.jpg"))
    files[0].write_bytes(files[1].read_bytes())
    files[2].unlink()
    assert look(data, cache).facts.read == 1


def test_a_full_disk_costs_only_the_memory_of_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path) -> None:
        raise DiskFullError(f"{path}: no space left")

    monkeypatch.setattr(file_facts, "atomic_file", full)
    assert len(look(data, tmp_path / "cache").rows) > 0
    assert "what was read cannot be kept" in capsys.readouterr().err


def test_light_size_and_shape_are_told(data: Path, tmp_path: Path) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    folder = data / "train" / label
    usual = read_image(sorted(folder.iterdir())[0])
    spoilt = {
        "blank": np.full((200, 200, 3), 128, np.uint8),
        "dark": (usual * 0.05).astype(np.uint8),
        "bright": (200 + usual * 0.2).astype(np.uint8),
        "blurred": cv2.GaussianBlur(usual, (0, 0), 20),
        "small": cv2.resize(usual, (20, 20), interpolation=cv2.INTER_AREA),
        "aspect": usual[:60, :300],
    }
    for name, image in spoilt.items():
        cv2.imwrite(str(folder / f"{name}.png"), image[:, :, ::-1])
    result = look(data, tmp_path / "cache")
    for name in spoilt:
        assert f"train/{label}/{name}.png" in set(found(result, name)["path"]), name
    told = result.findings[result.findings["kind"].isin(set(spoilt))]
    assert set(told["path"]) <= {f"train/{label}/{name}.png" for name in spoilt}


def test_boxes_of_one_file_are_images_of_their_own(data: Path, tmp_path: Path) -> None:
    files = sorted((data / "train").rglob("*.jpg"))[:30]
    rows = [
        (file.relative_to(data), file.parent.name, *box)
        for file in files
        for box in ((0, 0, 150, 150), (100, 100, 250, 250))
    ]
    pd.DataFrame(rows, columns=["path", "label", "x1", "y1", "x2", "y2"]).to_csv(data / "table.csv", index=False)
    result = look(data / "table.csv", tmp_path / "cache")
    assert len(result.rows) == 60
    assert found(result, "copy").empty
    assert set(zip(result.facts.table["width"], result.facts.table["height"], strict=True)) == {(150, 150)}


def test_market_is_audited_by_its_own_layout(few_market: Path, tmp_path: Path) -> None:
    result = look(few_market, tmp_path / "cache")
    assert len(result.rows) == len(list(few_market.rglob("*.jpg")))
    assert set(result.findings["kind"]).isdisjoint({"few", "missing", "stray"})
    assert result.leaks["split"].tolist() == ["test"]


def brute_pairs(hashes: np.ndarray, mirrored: np.ndarray, radius: int) -> set[tuple[int, int]]:
    def distance(a: int, b: int) -> int:
        return ((a ^ b) & (2**64 - 1)).bit_count()

    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if min(
            distance(int(hashes[i]), int(hashes[j])),
            distance(int(mirrored[i]), int(hashes[j])),
            distance(int(hashes[i]), int(mirrored[j])),
        )
        <= radius
    }


def test_hash_pairs_are_those_of_all_with_all() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(-(2**63), 2**63, 60, dtype=np.int64)
    hashes = np.concatenate([start] * 5)
    for i in range(60, 300):
        for bit in rng.choice(64, i % 7, replace=False):
            hashes[i] ^= np.int64(np.uint64(1) << np.uint64(bit))
    mirrored = rng.integers(-(2**63), 2**63, 300, dtype=np.int64)
    mirrored[:60] = rng.permutation(hashes[240:])
    hashes = np.unique(hashes)
    mirrored = mirrored[: len(hashes)]
    assert len(hashes) > 250
    expected = brute_pairs(hashes, mirrored, 3)
    assert len(expected) > 100
    assert {tuple(pair) for pair in hash_pairs(hashes, mirrored).tolist()} == expected


def test_equal_hashes_are_chained_not_paired_all_with_all() -> None:
    hashes = np.zeros(5000, np.int64)
    pairs = hash_pairs(hashes, hashes)
    assert len(pairs) == 4999
    assert len(set(groups_of(pairs, 5000).tolist())) == 1


def test_neighbours_leave_the_image_itself_out_even_among_copies() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.standard_normal((300, 16)).astype(np.float32)
    embeddings[100:150] = embeddings[100]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    rows, similarity = neighbours(embeddings, 10)
    assert rows.shape == similarity.shape == (300, 10)
    assert not (rows == np.arange(300)[:, None]).any()
    exact = embeddings @ embeddings.T
    np.fill_diagonal(exact, -2)
    np.testing.assert_allclose(similarity, np.sort(exact, 1)[:, ::-1][:, :10], atol=1e-5)


@pytest.mark.parametrize("how", ["the same", "mirrored", "darker", "cropped", "compressed", "another"])
def test_pictures_laid_over_each_other(few_produce: Path, how: str) -> None:
    files = sorted((few_produce / "train").rglob("*.jpg"))
    square = PixelSettings(160, 160)
    for file in files[::12]:
        image = read_image(file, square)
        whole = read_image(file)
        high, wide = whole.shape[:2]
        other = {
            "the same": image,
            "mirrored": image[:, ::-1],
            "darker": (image * 0.9).astype(np.uint8),
            "cropped": cv2.resize(whole[high // 12 :, : wide - wide // 12], (160, 160), interpolation=cv2.INTER_AREA),
            "compressed": cv2.imdecode(cv2.imencode(".jpg", image, [1, 30])[1], 1),
            "another": read_image(files[(files.index(file) + 40) % len(files)], square),
        }[how]
        result = compare(image, np.ascontiguousarray(other))
        assert result.same_picture == (how != "another"), (file, result)
        if result.same_picture:
            assert result.mirrored == (how == "mirrored")


def test_labels_are_not_judged_where_there_is_one_class() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    assert suspects(np.array(["a"] * 4), *neighbours(embeddings, 3), np.arange(4)) is None


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.html"
    file.write_bytes(page(look(data, tmp_path / "cache")))
    assert ">0 images chosen</span>" in opened(file, tmp_path), "written by the page's own script"


def test_leaks_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    """Two test copies of one train image; a view of a scene; a copy that is ignored; one under its own camera."""
    rows = [
        ("train/a/1.png", "a", "train", 1, 0),
        ("train/a/2.png", "a", "train", 1, 0),
        ("train/b/1.png", "b", "train", 1, 0),
        ("train/b/2.png", "b", "train", 2, 1),
        ("test/a/1.png", "a", "test", 2, 0),
        ("test/a/2.png", "a", "test", 2, 0),
        ("test/a/3.png", "a", "test", 2, 0),
        ("test/b/1.png", "b", "test", 2, 0),
        ("test/b/2.png", "b", "test", 1, 0),
    ]
    for path, *_ in rows:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / path), np.zeros((8, 8, 3), np.uint8))
    table = pd.DataFrame(rows, columns=["path", "label", "split", "camera", "ignore"])
    table.to_csv(tmp_path / "table.csv", index=False)
    manifest = read_data(str(tmp_path / "table.csv"))
    order = manifest.original["path"].tolist()
    at = {path: order.index(path) for path, *_ in rows}
    picture = {"test/a/1.png": "train/a/1.png", "test/a/2.png": "train/a/1.png", "test/b/1.png": "train/b/2.png"}
    picture["test/b/2.png"] = "train/b/1.png"
    copies = np.array([at[picture.get(path, path)] for path in order])
    angle = {"train/a/1.png": 0, "train/a/2.png": 40, "train/b/1.png": 90, "train/b/2.png": 95, "test/a/3.png": 80}
    degrees = np.radians([angle[picture.get(path, path)] for path in order])
    embeddings = np.stack([np.cos(degrees), np.sin(degrees)], 1).astype(np.float32)
    scenes = np.array([[at["test/a/3.png"], at["train/a/2.png"]]])
    told = leaks(manifest, embeddings, np.ones(len(rows), bool), copies, scenes).iloc[0]
    # a/1, a/2 are right and copies; a/3 is nearest to b/1: wrong, and of a scene; b/1 has its copy ignored and is right
    # by b/1; b/2 has its copy under its own camera, so what is left is of a: wrong.
    assert (told["split"], told["queries"], told["accuracy"]) == ("test", 5, 3 / 5)
    assert (told["copies"], told["without_copies"]) == (2, 1 / 3)
    assert (told["scenes"], told["without_scenes"]) == (3, 1 / 2)


def test_what_is_left_out_moves_no_other_image_between_splits(digits: Path, tmp_path: Path) -> None:
    def split_of(exclude: Path | None) -> dict[str, str]:
        table = read_data(str(digits / "train"), validation_share=0.3, seed=0, exclude=exclude).table
        return dict(zip(table["path"], table["split"], strict=True))

    before = split_of(None)
    gone = [path for path, split in before.items() if split == "train"][:4]
    list_file = tmp_path / "list.csv"
    add_exclusions(list_file, dict.fromkeys(gone, "why"))
    after = split_of(list_file)
    assert after == {path: split for path, split in before.items() if path not in gone}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,reason\na.jpg,dark, blurred\n",
            "line 2 has 3 cells, expected 2 (path, reason): put a text with a comma",
        ),
        ("path,reason\na.jpg\n", "line 2 has 1 cells, expected 2"),
        ("", "expected the columns path and reason, found nothing"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused_and_stays(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "exclude.csv"
    file.write_text(text)
    with pytest.raises(ManifestError) as error:
        add_exclusions(file, {"b.jpg": "why"})
    assert message in str(error.value)
    assert file.read_text() == text


def test_odd_names_and_tables_are_told_not_fatal(data: Path, tmp_path: Path) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    (data / "train" / label / "no\udcff.txt").write_text("x")
    (data / "train" / label / "two\nlines, and a comma.jpg").write_bytes(b"no image")
    arguments = ["audit", f"data.root={data}", f"output={tmp_path / 'audit'}"]
    assert main([*arguments, "--apply", "safe"]) == 0
    told = pd.read_parquet(tmp_path / "audit/audit.parquet")
    assert f"train/{label}/no\\xff.txt".replace("\\x", "\\udc") in set(told["path"])
    assert list(read_exclusions(data / "exclude.csv")) == [f"train/{label}/two\nlines, and a comma.jpg"]
    files = sorted((data / "train").rglob("*.jpg"))[:6]
    rows = [["", "x"], *([str(file.relative_to(data)), file.parent.name] for file in files)]
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(data / "table.csv", index=False)
    result = look(data / "table.csv", tmp_path / "cache")
    assert "unreadable" in found(result, "unusable")["reason"].iloc[0]
    assert page(result)


def test_what_is_safe_leaves_every_class_something_and_no_file_with_good_boxes(data: Path, tmp_path: Path) -> None:
    labels = sorted(folder.name for folder in (data / "train").iterdir())
    files = {label: sorted((data / "train" / label).iterdir()) for label in labels}
    rows = [(files[label][i], label, "train", 0, 0, 200, 200) for label in labels[:4] for i in range(4)]
    rows += [(files[labels[0]][0], labels[0], "train", 9000, 9000, 9900, 9900)]  # beyond its image, beside a good box
    alone = data / "train" / labels[5] / "alone.jpg"
    shutil.copyfile(files[labels[5]][0], alone)
    rows += [(alone, labels[5], "train", 0, 0, 200, 200), (files[labels[5]][0], labels[5], "test", 0, 0, 200, 200)]
    table = [(file.relative_to(data), *rest) for file, *rest in rows]
    columns = ["path", "label", "split", "x1", "y1", "x2", "y2"]
    pd.DataFrame(table, columns=columns).to_csv(data / "table.csv", index=False)
    result = look(data / "table.csv", tmp_path / "cache")
    assert set(found(result, "unusable")["reason"].str.partition(":")[0]) == {"box"}
    assert len(found(result, "copy")) == 1
    assert not result.safe
