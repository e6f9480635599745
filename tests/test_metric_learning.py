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

import processes
from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.data.tables import ManifestError
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.evaluation.assessment import assess
from lookalike.evaluation.identify import Rules, identify
from lookalike.export.network_encoder import encoder_of
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.metrics.evaluate import evaluate
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import MetricLearningModule

ROOT = Path(__file__).parents[1]
SMALL = [*TINY, "trainer.max_epochs=12", "trainer.learning_rate=0.003", "trainer.loss_learning_rate=0.03"]
SMALL += ["trainer.labels_per_batch=8", "trainer.images_per_label=4", "trainer.patience=12", "online=none"]


def script(name: str, where: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    code = "import runpy, sys\nrunpy.run_path(sys.argv.pop(1), run_name='__main__')"
    return processes.run(code, str(ROOT / name), *arguments, cwd=where, timeout=500)


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
@pytest.mark.parametrize(
    ("checkpoint", "folder", "more"),
    [
        ("epoch_120.ckpt", "data/Market-1501-v15.09.15", []),
        ("best.ckpt", "data/market", ["logger=none", "worst=0", "output=r.json"]),
    ],
)
def test_eval_py_takes_what_lies_in_its_usual_place(
    few_market: Path, trained: Path, tmp_path: Path, checkpoint: str, folder: str, more: list[str]
) -> None:
    (tmp_path / "models").mkdir()
    shutil.copyfile(trained / "checkpoint" / "r" / "last.ckpt", tmp_path / "models" / checkpoint)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).symlink_to(few_market)
    done = script("eval.py", tmp_path, *more)
    assert done.returncode == 0, done.stderr
    assert f"models/{checkpoint}: a checkpoint of lookalike" in done.stderr
    report = json.loads((tmp_path / ("r.json" if more else "reports/models-epoch_120-test.json")).read_text())
    assert report["ckpt_path"] == f"models/{checkpoint}"
    if not more:
        assert logged(tmp_path, "models-epoch_120-test")[0].data.params["ckpt_path"] == f"models/{checkpoint}"
    assert done.stdout.startswith("accuracy      ")


def test_eval_py_does_not_choose_among_checkpoints(tmp_path: Path) -> None:
    for name in ("", "models", "data"):
        (tmp_path / name).mkdir(exist_ok=True)
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / "models" / name).touch()
    command = [sys.executable, str(ROOT / "eval.py")]  # a real start
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    expected = "lookalike: what to measure: expected models/epoch_120.ckpt or one checkpoint in models/, "
    ways = "give bundle=<folder> or ckpt_path=<Lightning checkpoint>\n"
    assert done.stderr == f"{expected}found 2: models/a.ckpt, models/b.ckpt: {ways}"


def test_eval_py_says_that_no_checkpoint_lies_there(tmp_path: Path) -> None:
    done = script("eval.py", tmp_path, "worst=0")
    assert done.returncode == 2
    assert "expected models/epoch_120.ckpt or one checkpoint in models/, found no models/*.ckpt: give" in done.stderr
    assert script("eval.py", tmp_path, "--help").stdout.startswith("usage: lookalike eval")


@pytest.mark.slow
def test_from_training_to_the_record_in_mlflow(few_market: Path, trained: Path) -> None:
    done = script("eval.py", trained, "ckpt_path=checkpoint/r/last.ckpt", f"data.root={few_market}")
    assert done.returncode == 0, done.stderr
    assert "tensors of the embedder matched" in done.stderr
    run, files = logged(trained, "r-last-test")
    assert run.info.status == "FINISHED"
    report = json.loads((files / "r-last-test.json").read_text())
    metrics = run.data.metrics
    intervals = json.loads(run.data.tags["intervals_95"])
    assert metrics["test/accuracy"] == report["headline"]["value"] == report["metrics"]["accuracy"]
    assert done.stdout.startswith(f"accuracy      {metrics['test/accuracy']:.4f}   95 % "), "the same in the terminal"
    assert not [name for name in metrics if name.endswith(("_low", "_high"))]
    for name in ("accuracy@1", "accuracy@5", "cmc@1", "cmc@20", "map", "map_trapezoid", "minp"):
        logged_as = f"test/cross_camera/{name.replace('@', '_at_')}"
        assert metrics[logged_as] == report["metrics"][name]
        low, high = report["intervals_95"][name]
        assert intervals[logged_as] == [round(low, 6), round(high, 6)]
        assert low <= report["metrics"][name] <= high
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

    embedder = load_embedder(bundle.path / "model.safetensors", bundle.config.model, bundle.pixels)
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
    assert of_checkpoint == pytest.approx(module.identification.metrics, abs=1e-5)  # as ranks of far ones may differ
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
    data = (f"data.root={few_market}", "split=test", "output=o.json", "device=cpu")
    command = ["eval", "ckpt_path=epoch_120.ckpt", *data, *small]
    assert main([*command, "model.embedding_size=16"]) == 2
    text = capsys.readouterr().err
    assert "model.embedding_size=24" in text
    assert main([*command, "model.embedding_size=24"]) == 0
    text = capsys.readouterr().err
    assert "recognised: architecture test_resnet (given)" in text
    assert "interpolation bilinear (assumed)" in text
    pixels = PixelSettings(32, 32, interpolation="bilinear")
    manifest = MarketDataModule(few_market, pixels=pixels).manifest
    encoder = encoder_of(theirs, pixels, tmp_path / "graph", "cpu")
    expected = assess(encoder, "theirs", manifest, "test", Rules(), {})
    assert json.loads(Path("o.json").read_text())["metrics"] == expected.metrics
    files = [manifest.file(path) for path in expected.protocol.references["path"]]
    images = np.stack([read_image(file, pixels) for file in files])
    with torch.inference_mode():
        in_torch = theirs.embed(torch.from_numpy(images)).numpy()
    assert np.abs(in_torch - expected.embedded.references).max() < 1e-5


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
        (
            write_malicious,
            "bad.ckpt: no network that is known here is wholly in it: 1 tensors, net.weight: give a",
        ),
        (
            write_other,
            "bad.ckpt: model.backbone=test_resnet: its tensors are not those in the file, which are those of",
        ),
    ],
)
def test_a_bad_checkpoint_is_refused_in_one_line(
    few_market: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    write: Any,
    message: str,
) -> None:
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


def test_pairs_of_cameras_are_reported(few_market: Path) -> None:
    module, data = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    assert module.identification is not None
    pairs = module.identification.to_dict()["per_camera_pair"]
    cameras = set(data.manifest.table["camera"])
    assert {(row["query_camera"], row["reference_camera"]) for row in pairs} == {
        (asking, answering) for asking in cameras for answering in cameras if asking != answering
    }
    assert all(0 < row["map"] <= 1 and row["queries"] > 0 for row in pairs)


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
        assert entry.false_accept_rate - 2 / len(rows) <= accepted <= entry.false_accept_rate + 1e-9
        assert entry.queries == len(rows)


def test_sequences_taken_for_cameras_make_no_endless_table(few_market: Path) -> None:
    data = MarketDataModule(few_market, pixels=PixelSettings(32, 32))
    protocol = data.test_protocol
    queries = protocol.queries.assign(camera=pd.array(range(len(protocol.queries)), "Int64"))
    many = replace(protocol, queries=queries)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((len(part), 8)).astype(np.float32) for part in (many.queries, many.references)]
    identification = identify(*arrays, many, Rules())
    assert identification.to_dict()["per_camera_pair"] == []
    assert len(identify(*arrays, protocol, Rules()).to_dict()["per_camera_pair"]) == 30
