"""Prediction through the real commands: JSON contract, picture, exit codes, and the settings file of predict.py."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.cli.main import main
from lookalike.data.dataset import read_manifest
from lookalike.data.dataset_api import Dataset
from lookalike.evaluation.split import evaluate_split
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import find_queries, predict

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(here: Path) -> dict:
    (file,) = (here / "predictions").glob("*.json")
    return json.loads(file.read_text())


def test_the_json_and_the_picture_of_a_folder(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"bundle={bundle_path}", f"image={digits / 'validation' / 'digit 0'}", "k=7"]) == 0
    content = written(here)
    assert sorted(content) == ["bundle", "created", "fingerprint", "items", "k", "precision", "schema"]
    assert content["schema"] == 1
    assert content["k"] == 7
    assert content["fingerprint"] == load_bundle(bundle_path).fingerprint
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", content["created"])
    assert len(content["items"]) == 4
    for item in content["items"]:
        names = [neighbour["label"] for neighbour in item["neighbours"]]
        assert [neighbour["rank"] for neighbour in item["neighbours"]] == list(range(1, 8))
        assert item["score"] == names.count(item["label"]) / 7
        assert item["truth"] == "digit 0"
        similarity = [neighbour["similarity"] for neighbour in item["neighbours"]]
        assert similarity == sorted(similarity, reverse=True)
        assert all(Path(n["path"]).is_file() and Path(n["path"]).parent.name == n["label"] for n in item["neighbours"])
    right = sum(item["label"] == "digit 0" for item in content["items"])
    printed = capsys.readouterr().out
    assert f"{right} of 4 right, taking the name of the folder as the label" in printed
    (picture,) = (here / "predictions").glob("*.png")
    assert STAMP.fullmatch(picture.stem)
    with Image.open(picture) as image:
        assert image.width > 8 * 148
        assert image.height > 4 * 148


def test_its_labels_are_those_of_the_evaluation(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle)
    result = evaluate_split(bundle, encoder, Dataset(digits), "test")
    prediction = predict(encoder, bundle.references, find_queries(str(digits / "test")), 1, source="tiny")
    assert [item.label for item in prediction.items] == result.per_query["predicted"].tolist()
    assert np.mean([item.label == item.truth for item in prediction.items]) == result.metrics["accuracy@1"]


def test_a_training_image_finds_itself_first(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    files = find_queries(str(digits / "train" / "digit 3"))
    for item, file in zip(
        predict(openvino_encoder(bundle), bundle.references, files, 1, source="tiny"), files, strict=True
    ):
        assert Path(item.neighbours[0].path) == file.resolve()
        assert item.neighbours[0].similarity == pytest.approx(1, abs=1e-5)


def test_one_unreadable_image_does_not_stop_the_rest(bundle_path: Path, digits: Path, here: Path) -> None:
    folder = here / "new photos, (1)"
    shutil.copytree(digits / "test" / "digit 1", folder)
    (folder / "0000 broken.png").write_bytes(b"no image")
    assert main(["predict", f"bundle={bundle_path}", f"image={folder}", "k=3"]) == 1
    first, *rest = written(here)["items"]
    assert first["label"] is None
    assert first["neighbours"] == []
    assert "not an image" in first["error"]
    assert len(rest) == 4
    assert all(item["label"] and "error" not in item and item["truth"] is None for item in rest)


def test_nothing_but_unreadable_images_still_writes_the_json(bundle_path: Path, here: Path) -> None:
    Path("x.png").write_bytes(b"no image")
    assert main(["predict", f"bundle={bundle_path}", "image=x.png", "k=3"]) == 1
    assert len(written(here)["items"]) == 1
    assert not list(here.rglob("predictions/*.png"))


def test_predictions_never_replace_one_another(bundle_path: Path, digits: Path, here: Path) -> None:
    image = next((digits / "test").rglob("*.png"))
    for _ in range(3):
        assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=1"]) == 0
    files = sorted((here / "predictions").iterdir())
    assert len(files) == 6
    assert all(STAMP.fullmatch(file.stem) for file in files)
    assert {file.stem for file in files if file.suffix == ".png"} == {
        file.stem for file in files if file.suffix == ".json"
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["k=51"], r"k=51: expected 1 to 50, the number of images in the gallery"),
        (["k=0"], r"k=0: expected greater than or equal to 1"),
        (["image=nowhere/*.jpg"], r"image=nowhere/\*\.jpg: no image there: give a file, a folder or a quoted pattern"),
        (["bundle=nowhere"], r"nowhere: no bundle here"),
        (["picture_row=3"], r"picture_row: unknown setting; did you mean picture_rows\?"),
    ],
)
def test_wrong_use(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(["predict", f"bundle={bundle_path}", f"image={digits / 'test'}", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(text, error), error
    assert len(error.strip().splitlines()) == 1
    assert not (here / "predictions").exists()


def test_a_gallery_that_moved(bundle_path: Path, digits: Path, here: Path) -> None:
    image = next((digits / "test").rglob("*.png"))
    assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=2", "gallery_root=/elsewhere"]) == 0
    paths = [neighbour["path"] for neighbour in written(here)["items"][0]["neighbours"]]
    assert all(path.startswith("/elsewhere/train/digit ") for path in paths)


def test_patterns_and_folders(digits: Path) -> None:
    assert len(find_queries(str(digits / "test"))) == 20
    assert len(find_queries(str(digits / "te*" / "digit [01]" / "*.png"))) == 8
    assert len(find_queries(str(digits / "**" / "*.png"))) == 90
    assert find_queries("gone.jpg") == [Path("gone.jpg")], "a named file that is missing becomes an item with an error"


def test_predict_py_reads_its_file_and_the_command_line_wins(bundle_path: Path, digits: Path, here: Path) -> None:
    root = Path(__file__).parents[2]
    (here / "configs").mkdir()
    shutil.copy(root / "predict.py", here)
    config = {"bundle": str(bundle_path), "image": str(digits / "test" / "digit 2"), "k": 4}
    (here / "configs" / "predict_config.json").write_text(json.dumps(config))
    for arguments, k in (([], 4), (["k=2"], 2)):
        done = subprocess.run(
            [sys.executable, "predict.py", *arguments], cwd=here, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        latest = max((here / "predictions").glob("*.json"))
        assert json.loads(latest.read_text())["k"] == k
        shutil.rmtree(here / "predictions")


def test_predicting_loads_neither_torch_nor_the_training_stack(bundle_path: Path, digits: Path, here: Path) -> None:
    image = next((digits / "test").rglob("*.png"))
    code = (
        "import sys; from lookalike.cli.main import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'lightning', 'timm', 'mlflow', 'albumentations', 'pandas', 'sklearn'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "predict", f"bundle={bundle_path}", f"image={image}", "k=2"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_eval_writes_the_numbers_of_training(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", f"bundle={bundle_path}", f"data.root={digits}"]) == 0
    report = json.loads((here / "reports" / "tiny-validation.json").read_text())
    stored = load_bundle(bundle_path).config.metrics["validation"]
    for part in ("metrics", "intervals_95"):
        assert report[part].pop("accuracy") == report[part]["accuracy@1"]
        assert report[part] == stored.model_dump(mode="json")[part]
    assert report["counts"] == {
        "queries": 20,
        "queries_with_positive": 20,
        "queries_without_positive": 0,
        "queries_of_unknown_label": 0,
        "distractors": 0,
        "references": 50,
        "ignored": 0,
    }
    assert sum(row["queries"] for row in report["per_label"]) == 20
    printed = capsys.readouterr().out
    assert printed.startswith("protocol: 20 queries")
    assert f"accuracy@1    {report['metrics']['accuracy@1']:.4f}" in printed


def test_eval_refuses_a_broken_query(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits, here / "data")
    victim = next((here / "data" / "validation").rglob("*.png"))
    victim.write_bytes(victim.read_bytes()[:50])
    assert main(["eval", f"bundle={bundle_path}", "data.root=data"]) == 2
    assert f"{victim.name}: damaged" in capsys.readouterr().err
    assert not (here / "reports").exists()


def test_eval_on_an_empty_split(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits / "train", here / "data" / "train")
    assert main(["eval", f"bundle={bundle_path}", "data.root=data", "split=test"]) == 2
    assert "split test has no query: expected images in test/<class>/" in capsys.readouterr().err


def test_embed_writes_a_searchable_folder(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lookalike.inference.references import load_references

    shutil.copytree(digits / "test", here / "flat")
    (here / "flat" / "digit 0" / "bad.png").write_bytes(b"x")
    assert main(["embed", f"bundle={bundle_path}", "data.root=flat"]) == 1
    captured = capsys.readouterr()
    assert "20 embeddings of 16 dimensions in embeddings" in captured.out
    assert "bad.png: not an image" in captured.err
    gallery = load_references(here / "embeddings")
    rows, similarity = gallery.search(gallery.embeddings, 1, load_bundle(bundle_path).fingerprint)
    assert rows[:, 0].tolist() == list(range(20))
    assert np.allclose(similarity, 1, atol=1e-5)
    assert set(gallery.labels) == {f"digit {n}" for n in range(5)}


def test_embed_takes_a_table(bundle_path: Path, digits: Path, here: Path) -> None:
    assert main(["manifest", f"data.root={digits}", "output=all.csv"]) == 0
    assert main(["embed", f"bundle={bundle_path}", "data.root=all.csv", "output=e"]) == 0
    assert len(np.load("e/embeddings.npy")) == len(read_manifest(Path("all.csv")).table) == 90


def test_manifest_prints_counts_and_names_broken_files(
    digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits, here / "data")
    victim = next((here / "data" / "test" / "digit 4").iterdir())
    victim.write_bytes(b"text")
    assert main(["manifest", "data.root=data"]) == 1
    captured = capsys.readouterr()
    assert re.search(r"digit 4\s+10\s+4\s+4", captured.out)
    assert "train 50, validation 20, test 20" in captured.out
    assert f"{victim.name}: not an image" in captured.err
    assert Path("reports/manifest.csv").is_file()
