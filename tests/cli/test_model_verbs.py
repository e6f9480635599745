"""eval and embed through the real command: JSON contracts, exit codes."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.cli.main import main
from lookalike.data.reading import read_manifest
from lookalike.inference.bundle import load_bundle

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    for command, told in zip(commands, ["10 images not", "15 embeddings", "train 12, validation 3"], strict=True):
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
