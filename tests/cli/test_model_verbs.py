"""predict, eval and embed through the real command: JSON contracts, pictures, exit codes, the file of predict.py."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.layouts import read_manifest
from lookalike.inference.bundle import load_bundle
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict
from lookalike.inference.rejection import Rejection

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


def relabelled(bundle_path: Path, target: Path, names: dict[str, str]) -> Path:
    """The bundle with other names for some of its labels."""
    bundle = load_bundle(bundle_path)
    references = replace(bundle.references, labels=[names.get(label, label) for label in bundle.references.labels])
    return write_bundle(
        target, bundle.config, BundleParts(bundle.weights, bundle.graph, references, "# Relabelled\n")
    ).path


def test_labels_that_print_alike_are_told_at_prediction(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((digits / "test" / "digit 0").iterdir())
    bundle = relabelled(bundle_path, here / "models" / "alike", {"digit 1": "Digit\u00a00"})
    assert main(["predict", f"bundle={bundle}", f"image={file}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{bundle}: 2 labels differ only in blanks, case, Unicode form" in said
    assert r"'Digit\u00a00', 'digit 0'" in said


def test_a_gallery_that_moved(bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next((digits / "test").rglob("*.png"))
    assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=2", "output=all"]) == 0
    assert "gallery_root" not in capsys.readouterr().err
    assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=2", "gallery_root=/elsewhere"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of the 2 known images in the picture are not there (first: /elsewhere/train/digit " in said
    assert "if they moved, give gallery_root=<the folder that they are below now>" in said
    paths = [neighbour["path"] for neighbour in written(here)["items"][0]["neighbours"]]
    assert all(path.startswith("/elsewhere/train/digit ") for path in paths)


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
    headline = report["headline"]
    assert headline["value"] == report["metrics"]["accuracy@1"]
    assert printed.startswith(f"accuracy      {headline['value']:.4f}   95 % ")
    assert "\nprotocol: 20 queries" in printed
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


def test_embed_takes_a_network_without_training(digits: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import timm
    import torch

    from lookalike import Model
    from lookalike.inference.references import load_references

    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), here / "w.pth")
    network = ["model=timm", "model.backbone=test_resnet", "model.weights=w.pth", "pixels=square240"]
    assert main(["embed", *network, f"data.root={digits / 'test'}"]) == 0
    assert "20 embeddings of 96 dimensions in embeddings" in capsys.readouterr().out
    stored = load_references(here / "embeddings")
    pixels = {"height": 240, "width": 240, "resize": "stretch", "interpolation": None, "antialias": None}
    model = Model.pretrained("timm", model={"backbone": "test_resnet", "weights": "w.pth"}, pixels=pixels)
    assert stored.fingerprint == model.encoder.fingerprint
    assert np.array_equal(stored.embeddings, model.embed([stored.file(row) for row in range(len(stored))]))
    assert main(["embed", *network, f"data.root={digits}", "output=e", "precision=bf16"]) == 2
    assert "precision=bf16: an untrained network runs in float32: leave it out" in capsys.readouterr().err
    for neither in ([], ["pixels=square240"], ["bundle=null", "model=null"]):
        assert main(["embed", *neither, f"data.root={digits}", "output=e"]) == 2
        assert "what embeds: give bundle=<folder>, or model=<recipe> for a network" in capsys.readouterr().err
    assert main(["embed", "model=timm", "model.backbone=resnet5", f"data.root={digits}", "output=e"]) == 2
    assert "model.backbone=resnet5: timm " in capsys.readouterr().err
    assert not (here / "e").exists()


def photographs(root: Path, digits: Path) -> Path:
    """Two digits in formats that are read and two that are not, a link to more of one, and what a NAS adds."""
    for number, (label, suffix) in enumerate([("digit 0", form) for form in ("png", "jpg", "webp", "avif", "jp2")]):
        (root / label / "@eaDir").mkdir(parents=True, exist_ok=True)
        file = sorted((digits / "train" / label).iterdir())[number]
        Image.open(file).convert("RGB").save(root / label / f"{number}.{suffix}")
        shutil.copyfile(file, root / label / "@eaDir" / "thumb.png")
    shutil.copytree(digits / "train" / "digit 1", root.parent / "store")
    (root / "digit 1").symlink_to(root.parent / "store")
    return root


@pytest.mark.parametrize("lost", ["raw.cr2", "IMG_0001"])
def test_all_formats_are_used_links_followed_and_the_rest_is_counted(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    root = photographs(here / "data", digits)
    (root / "digit 0" / "notes.txt").write_text("x")
    commands = [
        ["predict", f"bundle={bundle_path}", f"image={root}", "k=3"],
        ["embed", f"bundle={bundle_path}", f"data.root={root}"],
        ["manifest", f"data.root={root}", "data.validation_share=0.2"],
    ]
    for command, told in zip(
        commands, ["10 images not counted", "15 embeddings", "train 12, validation 3"], strict=True
    ):
        assert main(command) == 0, "a text beside the photographs is no loss"
        captured = capsys.readouterr()
        assert told in captured.out
        assert "1 folder(s) of the system passed over: @eaDir" in captured.err
        assert "1 file(s) ending in .txt passed over" in captured.err
    image = next((digits / "train" / "digit 0").iterdir())
    shutil.copyfile(image, root / "digit 0" / lost)
    shutil.rmtree(here / "embeddings")
    for command in commands:
        assert main(command) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert f"1 image(s) ending in {Path(lost).suffix or 'nothing'} cannot be read and are passed over" in said
        assert lost in said


def test_a_bundle_measured_on_other_labels_says_so_first(
    bundle_path: Path, few_market: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", f"bundle={bundle_path}", f"data.root={few_market}", "split=test", "worst=0"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"tiny was trained on none of the labels of {few_market}: is this the data set you mean?"
    assert main(["eval", f"bundle={bundle_path}", f"data.root={digits}", "split=test", "worst=0"]) == 0
    captured = capsys.readouterr()
    assert "is this the data set you mean" not in captured.out
    assert f"{digits}: read as class folders in test, train, validation" in captured.err


@pytest.mark.parametrize("given", [[], ["bundle=a", "ckpt_path=b"]])
def test_one_thing_is_measured_at_a_time(
    few_market: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", f"data.root={few_market}", *given]) == 2
    assert (
        "give bundle=<folder> or ckpt_path=<Lightning checkpoint>, got " + ("both" if given else "neither")
        in capsys.readouterr().err
    )


def test_unknown_images_are_called_unknown(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", f"data.root={digits}", "run=t", "false_accept_rate=0.07", *TINY]) == 0
    bundle = load_bundle(Path("models/t"))
    rates = [entry.false_accept_rate for entry in bundle.config.open_set.thresholds]
    assert rates == [0.01, 0.02, 0.05, 0.07, 0.1, 0.2]
    assert bundle.threshold() == bundle.threshold(0.07)
    unknowns = bundle.config.open_set.unknowns
    assert unknowns is not None
    assert (unknowns.folds, unknowns.trained, len(set(unknowns.labels))) == (2, False, 2)
    assert len(unknowns.similarity) == 28, "all images of a digit that a fold was trained without"
    assert bundle.threshold(0.01) >= bundle.threshold(0.2)  # type: ignore[operator]
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    capsys.readouterr()
    for rate in (None, 0.01, 0.2):
        more = [] if rate is None else [f"false_accept_rate={rate}"]
        assert main(["predict", "bundle=models/t", f"image={digits / 'test'}", "k=3", "picture_rows=2", *more]) == 0
        output = capsys.readouterr().out
        written = output.rpartition("written: ")[0].rpartition("written: ")[2].strip()
        prediction = json.loads(Path(written).read_text())
        threshold = bundle.threshold(rate)
        assert prediction["threshold"] == threshold
        for item in prediction["items"]:
            near = item["neighbours"][0]["similarity"] > threshold
            assert (item["label"] != "unknown") == near
            assert (item["score"] is None) == (not near)
            assert len(item["neighbours"]) == 3
    gallery = bundle.references
    seen = gallery.embeddings[0]
    encoder = openvino_encoder(bundle)
    images = np.random.default_rng(1).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    far = np.argsort((encoder.embed_arrays(images) @ gallery.embeddings.T).max(1))[0]
    assert seen @ seen > 0.99
    Image.fromarray(images[far]).save("far.png")
    limit = Rejection(0.9999 * float(seen @ seen))
    judged = predict(encoder, gallery, [gallery.file(0), Path("far.png")], 3, source="t", rejection=limit)
    assert [item.label for item in judged.items] == [gallery.labels[0], "unknown"]
    assert [item.score is None for item in judged.items] == [False, True]
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=3", "threshold=-1"]) == 0
    assert "none of 1 called unknown; threshold: a similarity of -1.000 to the" in capsys.readouterr().out
    for given, expected in (("0.03", "false accept rate 0.03 asked"), ("off", ""), ("1.5", None)):
        code = main(["predict", "bundle=models/t", "image=noise.png", "k=3", f"false_accept_rate={given}"])
        output = capsys.readouterr().out
        assert (code, output.count(" called unknown; threshold")) == (
            (2, 0) if expected is None else (0, bool(expected))
        )
        assert (expected or "") in output
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=11"]) == 0
    output = capsys.readouterr()
    assert "k=11: 5 of 5 labels have fewer images (least: 10)" in output.out + output.err
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=3", "threshold=0.999999"]) == 0
    assert (
        "1 of 1 called unknown; threshold: a similarity of 1.000 to the nearest known image" in capsys.readouterr().out
    )
    assert main(["predict", "bundle=models/t", "image=noise.png", "threshold=0.5", "false_accept_rate=0.1"]) == 2
    assert "expected one of them, got both: leave one out" in capsys.readouterr().err


def test_thresholds_are_chosen_by_labels_that_were_not_trained_on(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a validation with individuals of its own by those alone, without another training."""
    shutil.copytree(digits, tmp_path / "d")
    for split in ("train", "test"):
        shutil.rmtree(tmp_path / "d" / split / "digit 4")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "data.root=d", "run=t", "false_accept_rate=0.2", *TINY, "trainer.max_epochs=1"]) == 0
    output = capsys.readouterr()
    assert "training without" not in output.out + output.err
    assert "validation: 4 of 20 queries are of 1 label(s) that no reference has" in output.out + output.err
    open_set = load_bundle(Path("models/t")).config.open_set
    assert open_set.unknowns is not None
    assert (open_set.unknowns.trained, open_set.unknowns.folds, len(open_set.unknowns.similarity)) == (False, 0, 4)
    assert [(entry.queries, entry.labels, entry.trained) for entry in open_set.thresholds] == [(4, 1, False)] * 5
    assert main(["predict", "bundle=models/t", f"image={digits / 'test'}", "k=3", "picture_rows=0"]) == 0
    output = capsys.readouterr()
    assert "false accept rate 0.2 asked" in output.out
    assert "measured on 4 images of 1 labels that were not trained on" in output.out
    assert "4 images of 1 label cannot support 0.2" in output.out + output.err


def test_the_report_must_be_json(few_market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "bundle=b", f"data.root={few_market}", "output=r.parquet"]) == 2
    assert "output=r.parquet: expected a file ending in .json" in capsys.readouterr().err


def test_a_checkpoint_is_measured_in_float32(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = bundle_path.parents[1] / "checkpoint" / "tiny" / "best.safetensors"
    command = ["eval", f"ckpt_path={checkpoint}", f"data.root={digits}", "worst=0", "device=cpu"]
    assert main([*command, "precision=bf16"]) == 2
    assert "precision=bf16: a checkpoint is measured in float32: leave it out" in capsys.readouterr().err
    assert main(command) == 0
    assert main(["eval", f"bundle={bundle_path}", f"data.root={digits}", "precision=float32", "output=b.json"]) == 0
    of_file, of_bundle = (json.loads(Path(f).read_text()) for f in ("reports/tiny-best-validation.json", "b.json"))
    assert of_file["metrics"] == of_bundle["metrics"]
    assert (of_file["ckpt_path"], of_file["model.backbone"]) == (str(checkpoint), "test_resnet")
    assert of_bundle["bundle"] == str(bundle_path)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (["split=test"], "tiny-test"),
        (["similarity=euclidean"], "tiny-validation-euclidean"),
        (["rerank=expand", "camera_rule=false"], "tiny-validation-expand-all_cameras"),
    ],
)
def test_reports_are_named_after_what_they_hold(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str], settings: list[str], name: str
) -> None:
    assert main(["eval", f"bundle={bundle_path}", f"data.root={digits}", *settings]) == 0
    written = [f"reports/{name}{end}" for end in (".json", ".parquet", "-worst.png")]
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("written: ")] == [
        f"written: {file}" for file in written
    ]
    assert all((here / file).is_file() for file in written)


def test_another_data_set_has_reports_of_its_own(bundle_path: Path, digits: Path, here: Path) -> None:
    other = here / "other.d"
    shutil.copytree(digits, other)
    shutil.rmtree(other / "train" / "digit 4")
    for root, verbs in ((digits, ("eval", "report")), (other, ("eval", "report")), (digits, ("eval",))):
        for verb in verbs:
            more = ["worst=0", "logger=csv"] if verb == "eval" else []
            assert main([verb, f"bundle={bundle_path}", f"data.root={root}", *more]) == 0
    names = ("tiny-validation", "tiny-validation-other.d")
    written = sorted(file.name for file in (here / "reports").iterdir() if not file.name.startswith("."))
    assert written == sorted([f"{name}{end}" for name in names for end in ("", ".csv", ".html", ".json", ".parquet")])
    for name, root in zip(names, (digits, other), strict=True):
        assert json.loads((here / "reports" / f"{name}.json").read_text())["data"] == str(root)
        assert str(root) in (here / "reports" / f"{name}.html").read_text()


def test_figures_are_logged_with_their_intervals_and_counts(bundle_path: Path, digits: Path, here: Path) -> None:
    command = ["eval", f"bundle={bundle_path}", f"data.root={digits}", "logger=csv", "worst=0"]
    assert main(command) == 0
    heads, *rows = csv.reader((here / "reports" / "tiny-validation.csv").open())
    assert heads == ["metric", "value", "low", "high"]
    logged = {name: float(value) for name, value, *_ in rows}
    pairs = {name: (float(low), float(high)) for name, _, low, high in rows if low}
    assert rows[0][0] == "validation/accuracy"
    report = json.loads((here / "reports" / "tiny-validation.json").read_text())
    for name, value in report["metrics"].items():
        assert logged[f"validation/{name}"] == value
    for name, (low, high) in report["intervals_95"].items():
        assert pairs[f"validation/{name}"] == (low, high)
    assert logged["validation/count/queries"] == 20


def test_a_device_that_is_misspelt_stops_every_verb(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in (["eval", f"data.root={digits}"], ["predict", "image=x.png"], ["embed", f"data.root={digits}"]):
        assert main([verb[0], f"bundle={bundle_path}", *verb[1:], "device=gpu"]) == 2
        assert "device=gpu: expected 'auto', 'cpu' or 'cuda'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["eval", "predict", "embed", "report"])
def test_threads_that_read_images_are_a_setting_of_every_verb(
    verb: str, bundle_path: Path, digits: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lookalike.inference.encoder as encoding

    asked: list[int | None] = []
    spread = encoding.side_by_side
    monkeypatch.setattr(
        encoding, "side_by_side", lambda work, firsts, threads=None: asked.append(threads) or spread(work, firsts, 1)
    )
    source = f"image={digits / 'test'}" if verb == "predict" else f"data.root={digits}"
    more = {"embed": [f"output={here / 'stored'}"], "report": ["umap=false"]}.get(verb, [])
    assert main([verb, f"bundle={bundle_path}", source, "workers=3", *more]) == 0
    assert set(asked) == {3}
