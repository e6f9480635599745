"""Re-identification from end to end: training -> checkpoint -> eval.py -> MLflow, on real images of unseen people."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from safetensors.torch import save_file

from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.pixels import PixelSettings
from lookalike.data.tables import ManifestError
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.evaluation.identify import Rules, evaluate_rows, identify
from lookalike.evaluation.stored import evaluate_galleries
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict
from lookalike.inference.references import GalleryError, References
from lookalike.metrics.evaluate import evaluate
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import MetricLearningModule

ROOT = Path(__file__).parents[1]
SMALL = [*TINY, "trainer.max_epochs=12", "trainer.learning_rate=0.003", "trainer.loss_learning_rate=0.03"]
SMALL += ["trainer.labels_per_batch=8", "trainer.images_per_label=4", "trainer.patience=12", "online=none"]


def script(name: str, where: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / name), *arguments], cwd=where, capture_output=True, text=True, timeout=500
    )


@pytest.fixture(scope="module")
def trained(few_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which the recipe was run, shrunk to seconds."""
    home = tmp_path_factory.mktemp("reid")
    done = script("main.py", home, "experiment=market1501", f"data.root={few_market}", "run=r", *SMALL)
    assert done.returncode == 0, done.stderr
    return home


def embeddings(embedder: Embedder, root: Path, pixels: PixelSettings) -> tuple[MetricLearningModule, MarketDataModule]:
    module, data = MetricLearningModule(embedder), MarketDataModule(root, pixels=pixels, eval_batch=32)
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).test(module, data, verbose=False)
    return module, data


def logged(where: Path, name: str) -> tuple[Any, Path]:
    """The newest MLflow run of a name, and its artifacts."""
    client = MlflowClient(f"sqlite:///{where / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lookalike")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    return runs[0], Path(client.download_artifacts(runs[0].info.run_id, "", str(where)))


@pytest.mark.slow
def test_from_training_to_the_record_in_mlflow(few_market: Path, trained: Path) -> None:
    done = script("eval.py", trained, "ckpt_path=checkpoint/r/last.ckpt", f"data.root={few_market}")
    assert done.returncode == 0, done.stderr
    assert "tensors of the embedder matched" in done.stderr
    run, files = logged(trained, "r-last-test")
    assert run.info.status == "FINISHED"
    report = json.loads((files / "r-last-test.json").read_text())
    metrics = run.data.metrics
    for name in ("accuracy", "accuracy@1", "accuracy@5", "cmc@1", "cmc@20", "map", "map_trapezoid", "minp"):
        assert metrics[f"test/{name.replace('@', '_at_')}"] == report["metrics"][name]
        low, high = report["intervals_95"][name]
        assert metrics[f"test/{name.replace('@', '_at_')}_low"] == low <= report["metrics"][name] <= high
    for name, count in report["counts"].items():
        assert metrics[f"test/count/{name}"] == count
    names = {
        folder: [file.name for file in (few_market / folder).iterdir()] for folder in ("bounding_box_test", "query")
    }
    junk = sum(name.startswith("-1_") for name in names["bounding_box_test"])
    distractors = sum(name.startswith("0000_") for name in names["bounding_box_test"])
    assert junk > 5
    assert distractors > 5
    assert report["counts"]["queries"] == len(names["query"])
    assert report["counts"]["references"] == len(names["bounding_box_test"]) - junk
    assert (report["counts"]["ignored"], report["counts"]["distractors"]) == (junk, distractors)
    assert run.data.params["ckpt_path"] == "checkpoint/r/last.ckpt"
    assert run.data.params["model.backbone"] == "test_resnet"
    table = pd.read_parquet(files / "r-last-test.parquet")
    assert sorted(Path(path).name for path in table["path"]) == sorted(names["query"])
    matched = table[table["positives"] > 0]
    assert matched["map"].mean() == pytest.approx(report["metrics"]["map"], abs=1e-12)
    assert table["accuracy_whole@1"].mean() == pytest.approx(report["metrics"]["accuracy"], abs=1e-12)
    first = table.iloc[0]
    assert first["predicted"] == Path(first["neighbours"][0]).name.partition("_")[0]
    with Image.open(files / "r-last-test-worst.png") as picture:
        assert picture.height > 20 * 148
        assert picture.width > 10 * 148


@pytest.mark.slow
def test_checkpoint_bundle_and_plain_arrays_give_the_same_numbers(
    few_market: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    bundle = load_bundle(Path("models/r"))
    from lookalike.models.embedder import load_embedder

    embedder = load_embedder(bundle.path / "model.safetensors", bundle.config.model)
    module, data = embeddings(embedder, few_market, bundle.pixels)
    assert module.identification is not None
    parts = []
    for loader in data.test_dataloader():
        with torch.inference_mode():
            parts.append(torch.cat([embedder.eval().embed(images) for images, _ in loader]).numpy())
    references, queries = parts
    again = identify(queries, references, data.test_protocol, Rules())
    assert again.to_dict() == module.identification.to_dict()  # to the last bit
    rows = data.test_protocol
    plain = evaluate(
        queries,
        references,
        rows.queries["label"].tolist(),
        rows.references["label"].tolist(),
        query_cameras=rows.queries["camera"].to_numpy(int),
        reference_cameras=rows.references["camera"].to_numpy(int),
        ignore=rows.references["label"].to_numpy() == "-1",
    )
    assert plain.metrics["map"] == module.identification.metrics["map"]
    common = [f"data.root={few_market}", "split=test", "worst=0"]
    assert main(["eval", "bundle=models/r", "output=b.json", "precision=float32", *common]) == 0
    assert main(["eval", "ckpt_path=checkpoint/r/best.safetensors", "output=c.json", *common]) == 0
    of_bundle, of_checkpoint = (json.loads(Path(file).read_text())["metrics"] for file in ("b.json", "c.json"))
    assert of_checkpoint == module.identification.metrics
    assert of_bundle == pytest.approx(of_checkpoint, abs=0.01)  # OpenVINO rounds otherwise than torch
    assert not Path("b-worst.png").exists()


@pytest.mark.slow
def test_training_beats_untrained_embeddings_on_unseen_people(few_market: Path, trained: Path) -> None:
    torch.manual_seed(0)
    untrained, _ = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    done = script("eval.py", trained, "bundle=models/r", f"data.root={few_market}", "output=d.json", "logger=none")
    assert done.returncode == 0, done.stderr
    report = json.loads((trained / "d.json").read_text())
    assert untrained.identification is not None
    assert report["metrics"]["map"] > 1.5 * untrained.identification.metrics["map"]
    low, _ = report["intervals_95"]["map"]
    assert low > untrained.identification.metrics["map"]


def test_lightning_logs_the_metrics_of_a_test(few_market: Path) -> None:
    module, data = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    assert module.identification is not None
    found = module.trainer.callback_metrics
    for name in ("accuracy", "accuracy_at_5", "cmc_at_10", "map", "map_trapezoid", "minp"):
        assert float(found[f"test/{name}"]) == pytest.approx(
            module.identification.metrics[name.replace("_at_", "@")], abs=1e-6
        )
    whole = module.identification.whole
    assert whole.metrics["accuracy@1"] == module.identification.metrics["accuracy"]
    assert "no camera rule" in whole.protocol
    assert "same label and camera left out" in module.identification.result.protocol
    people = {
        part: set(data.manifest.table["label"][data.manifest.table["split"] == part]) for part in ("train", "test")
    }
    assert not people["train"] & people["test"]
    assert data.train_rows.label_ids.min() == 0


def test_market_data_module_refuses_another_layout(digits: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected the folders bounding_box_train, .* ImageDataModule"):
        MarketDataModule(digits)


class Foreign:
    """Stands for the configuration object of another project, gone when its checkpoint is read."""

    def __init__(self) -> None:
        self.lr = 0.1


@pytest.mark.parametrize("prefix", ["net.", "model.backbone."])
def test_a_checkpoint_of_another_project(
    few_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    theirs = Embedder("test_resnet", 24)
    state = {f"{prefix}{name}": value for name, value in theirs.backbone.state_dict().items()}
    state |= {f"{prefix}fc.weight": theirs.head.weight.detach(), f"{prefix}fc.bias": theirs.head.bias.detach()}
    Foreign.__module__ = "their_project.config"
    module = type(sys)("their_project.config")
    module.Foreign = Foreign  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "their_project", type(sys)("their_project"))
        patch.setitem(sys.modules, "their_project.config", module)
        torch.save({"epoch": 120, "state_dict": state, "hyper_parameters": {"cfg": Foreign()}}, "epoch_120.ckpt")
    Foreign.__module__ = __name__
    small = ["model=timm", "model.backbone=test_resnet", "pixels.height=32", "pixels.width=32", "worst=0"]
    command = ["eval", "ckpt_path=epoch_120.ckpt", f"data.root={few_market}", "split=test", "output=o.json", *small]
    assert main([*command, "model.embedding_size=16"]) == 2
    text = capsys.readouterr().err
    assert "model.embedding_size=24" in text
    assert main([*command, "model.embedding_size=24"]) == 0
    assert f"matched (prefix {prefix})" in capsys.readouterr().err
    expected, _ = embeddings(theirs, few_market, PixelSettings(32, 32))
    assert expected.identification is not None
    assert json.loads(Path("o.json").read_text())["metrics"] == expected.identification.metrics


class Touch:
    """A pickle that would leave a file behind when it is executed."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.file}",)


def write_other(file: Path) -> None:
    save_file({f"backbone.{k}": v.contiguous() for k, v in Embedder("test_vit").backbone.state_dict().items()}, file)


def write_malicious(file: Path) -> None:
    torch.save({"state_dict": {"net.weight": torch.ones(2)}, "hyper_parameters": Touch(file.parent / "ran")}, file)


def write_truncated(file: Path) -> None:
    torch.save({"state_dict": Embedder("test_resnet", 16).state_dict()}, file)
    file.write_bytes(file.read_bytes()[:-3000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: None, "bad.ckpt: no such file"),
        (lambda file: file.write_bytes(b""), "bad.ckpt: not readable as plain tensors (an empty file)"),
        (
            lambda file: file.write_bytes(pickle.dumps(Touch(file.parent / "ran"))),
            "bad.ckpt: not readable as plain tensors (",
        ),
        (write_truncated, "bad.ckpt: not readable as plain tensors (File is not a zip file)"),
        (write_malicious, "bad.ckpt: nothing in it is of this embedder"),
        (write_other, "bad.ckpt: nothing in it is of this embedder: 0 of 77 tensors"),
    ],
)
def test_a_bad_checkpoint_is_refused_in_one_line(
    few_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], write: Any,
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad.ckpt")
    small = ["model=timm", "model.backbone=test_resnet", "model.embedding_size=16"]
    assert main(["eval", "ckpt_path=bad.ckpt", f"data.root={few_market}", "split=test", *small]) == 2
    text = capsys.readouterr().err
    last = text.strip().splitlines()[-1]
    assert last.startswith(f"lookalike: {message}")
    assert "Traceback" not in text
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "reports").exists()


@pytest.fixture
def copied(few_market: Path, tmp_path: Path) -> Path:
    """The data, to be spoilt."""
    root = tmp_path / "data"
    shutil.copytree(few_market, root)
    return root


def spoil_cameras(root: Path) -> None:
    for number, file in enumerate(sorted((root / "query").iterdir())):
        file.rename(file.with_name(f"{file.name.partition('_')[0]}_{number:04d}.jpg"))


def empty_queries(root: Path) -> None:
    shutil.rmtree(root / "query")
    (root / "query").mkdir()


def other_people(root: Path) -> None:
    for file in list((root / "query").iterdir()):
        file.rename(file.with_name(f"9{file.name}"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_cameras, "names tell no camera .* camera_rule=false"),
        (empty_queries, "query: "),
        (other_people, "no query has a valid positive: 25 query labels .* 0 in common"),
    ],
)
def test_bad_data_is_explained(
    bundle_path: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoil: Any, message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import re

    monkeypatch.chdir(tmp_path)
    spoil(copied)
    assert main(["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not Path("reports").exists()


def test_without_cameras_all_references_are_ranked_when_asked(
    bundle_path: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil_cameras(copied)
    command = ["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test", "output=o.json", "worst=0"]
    assert main([*command, "camera_rule=false"]) == 0
    report = json.loads(Path("o.json").read_text())
    assert "no camera rule" in report["protocol"]
    assert report["metrics"]["accuracy"] == report["metrics"]["cmc@1"]


def test_files_that_are_query_and_reference_are_counted(
    bundle_path: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in sorted((copied / "query").iterdir())[:3]:
        shutil.copyfile(file, copied / "bounding_box_test" / f"{file.stem}99.jpg")
    command = ["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test", "output=o.json", "worst=0"]
    assert main(command) == 0
    assert "3 query file(s) are also among the references (first: query/" in capsys.readouterr().err
    assert json.loads(Path("o.json").read_text())["duplicated_files"] == 3


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
    known = predict(
        encoder, gallery, [gallery.file(0), Path("far.png")], 3, source="t", threshold=0.9999 * float(seen @ seen)
    )
    assert [item.label for item in known.items] == [gallery.labels[0], "unknown"]
    assert [item.score is None for item in known.items] == [False, True]
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=3", "false_accept_rate=0.03"]) == 2
    assert "false_accept_rate=0.03: models/t has thresholds for 0.01, 0.02, 0.05, 0.07" in capsys.readouterr().err


def test_pairs_of_cameras_are_reported(few_market: Path) -> None:
    module, data = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    assert module.identification is not None
    pairs = module.identification.to_dict()["per_camera_pair"]
    cameras = set(data.manifest.table["camera"])
    assert {(row["query_camera"], row["reference_camera"]) for row in pairs} == {
        (one, other) for one in cameras for other in cameras if one != other
    }
    assert all(0 < row["map"] <= 1 and row["queries"] > 0 for row in pairs)


def test_stored_embeddings_of_different_models_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((6, 4)).astype(np.float32), list("aabbcc")
    one = References(rows, labels, [f"{n}.jpg" for n in range(6)], Path("/x"), "f" * 64)
    other = References(rows[:2], labels[:2], ["0.jpg", "new.jpg"], Path("/x"), "f" * 64)
    found = evaluate_galleries(other, one, ks=(1,))
    assert found.per_query["positives"].tolist() == [1, 2]  # 0.jpg is a reference itself
    assert (
        found.metrics == evaluate(rows[:2], rows, labels[:2], labels, exclude_self=np.array([0, -1]), ks=(1,)).metrics
    )
    with pytest.raises(GalleryError, match=r"queries were made by eeee.*, the references by ffff.*: embeddings"):
        evaluate_galleries(replace(other, fingerprint="e" * 64), one)


def test_validation_of_a_module_by_itself(few_market: Path) -> None:
    """Without settings of ours: the module and the data module in Lightning's own loop."""
    data = MarketDataModule(few_market, pixels=PixelSettings(32, 32), validation_share=0.2)
    module = MetricLearningModule(Embedder("test_resnet", 16))
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).validate(
        module, data, verbose=False
    )
    module.eval()
    protocol = data.protocol
    assert set(protocol.queries["label"]) <= set(protocol.references["label"])
    assert len(module.history) == 1
    with torch.inference_mode():
        loaders = [torch.cat([module.embedder.embed(x) for x, _ in loader]).numpy() for loader in data.val_dataloader()]
    expected = evaluate_rows(loaders[1], loaders[0], protocol).metrics
    assert module.history[0]["validation/map"] == expected["map"]


@pytest.mark.slow
def test_thresholds_are_chosen_in_the_gallery_that_is_searched(few_market: Path, trained: Path) -> None:
    """People held out are unknown to a gallery of training people: at most the wanted share of them comes through."""
    bundle = load_bundle(trained / "models/r")
    data = MarketDataModule(few_market, pixels=bundle.pixels)
    rows = pd.concat([data.protocol.queries, data.protocol.references])
    assert not set(rows["label"]) & set(bundle.references.labels)
    files = [data.manifest.file(path) for path in rows["path"]]
    nearest = (openvino_encoder(bundle).embed(files) @ bundle.references.embeddings.T).max(1)
    for entry in bundle.config.open_set.thresholds:
        accepted = (nearest > entry.similarity + 1e-6).mean()
        assert entry.false_accept_rate - 1.5 / len(rows) <= accepted <= entry.false_accept_rate + 1e-9
        assert entry.queries == len(rows)


def test_sequences_taken_for_cameras_make_no_endless_table(few_market: Path) -> None:
    data = MarketDataModule(few_market, pixels=PixelSettings(32, 32))
    protocol = data.test_protocol
    queries = protocol.queries.assign(camera=pd.array(range(len(protocol.queries)), "Int64"))
    many = replace(protocol, queries=queries)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((len(part), 8)).astype(np.float32) for part in (many.queries, many.references)]
    found = identify(*arrays, many, Rules())
    assert found.to_dict()["per_camera_pair"] == []
    assert len(identify(*arrays, protocol, Rules()).to_dict()["per_camera_pair"]) == 30


def test_the_report_must_be_json(few_market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "bundle=b", f"data.root={few_market}", "output=r.parquet"]) == 2
    assert "output=r.parquet: expected a file ending in .json" in capsys.readouterr().err
