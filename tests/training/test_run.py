"""Training through the real command: what it writes, that it repeats, what it refuses."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.dataset import Dataset
from lookalike.data.images import read_image
from lookalike.inference.bundle import load_bundle
from lookalike.models.embedder import load_embedder
from runs import arguments, start


def test_training_learns_photographs(few_produce: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.cli.arguments import read_settings
    from lookalike.evaluation.split import evaluate_split
    from lookalike.inference.encoder import openvino_encoder
    from lookalike.training.run import train

    monkeypatch.chdir(tmp_path)
    quick = ["model=efficientnet_lite0", "pixels.height=96", "pixels.width=96", "trainer.max_epochs=3", "logger=none"]
    quick += ["trainer.precision=32-true"]  # what is quickest takes longer to find out than the training
    settings = read_settings(
        "train", [f"data.root={few_produce}", "run=p", *quick, "trainer.workers=0", "trainer.batch_size=16"]
    )
    bundle, result = train(settings)
    assert result is not None
    history = bundle.config.training.history
    assert history[-1]["train/loss"] < 0.5 * history[0]["train/loss"]
    assert result.metrics["accuracy@1"] >= 0.6
    again = evaluate_split(bundle, openvino_encoder(bundle), Dataset(few_produce), "validation")
    assert again.to_dict() == result.to_dict()
    stored = bundle.config.metrics["validation"].model_dump(mode="json")
    assert stored == json.loads(json.dumps(result.to_dict()))
    frozen = load_file(bundle.path / "model.safetensors")["backbone.bn1.running_mean"]
    from lookalike.models.embedder import Embedder
    from lookalike.models.pretrained import load_pretrained

    fresh = Embedder("tf_efficientnet_lite0")
    load_pretrained(fresh.backbone, "tf_efficientnet_lite0", "package")
    assert torch.equal(frozen, fresh.backbone.bn1.running_mean)


def test_two_seeded_runs_are_equal_and_another_seed_is_not(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a process of its own, the others in one that has drawn numbers before."""
    monkeypatch.chdir(tmp_path)
    assert start(tmp_path, *arguments(digits, "a", "seed=0")).returncode == 0
    for run, seed in (("c", 1), ("b", 0)):
        assert main(arguments(digits, run, f"seed={seed}")) == 0
    weights = {run: (tmp_path / f"models/{run}/model.safetensors").read_bytes() for run in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "models"]


def test_workers_do_not_change_the_weights(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for run, workers in (("none", 0), ("two", 2)):
        assert main(arguments(digits, run, f"trainer.workers={workers}")) == 0
    without, with_two = (Path(f"models/{run}/model.safetensors").read_bytes() for run in ("none", "two"))
    assert without == with_two


@pytest.fixture
def finished(bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A copy of a finished run in the current folder, and the command that made it."""
    shutil.copytree(bundle_path.parents[1], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return ["train", f"data.root={digits}", "run=tiny", *TINY]


def test_a_finished_run_is_not_run_again(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("models/tiny/config.json").stat().st_mtime_ns
    assert main(finished) == 0
    assert "run tiny is finished: nothing to do" in capsys.readouterr().err
    assert Path("models/tiny/config.json").stat().st_mtime_ns == before


def test_starting_over_keeps_the_old_run(finished: list[str]) -> None:
    old = Path("models/tiny/model.safetensors").read_bytes()
    assert main([*finished, "resume=never", "seed=5"]) == 0
    assert Path("models/tiny/model.safetensors").read_bytes() != old
    kept = [path for path in Path("models").iterdir() if path.name != "tiny"]
    assert [(path / "model.safetensors").read_bytes() for path in kept] == [old]
    assert len([path for path in Path("checkpoint").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("model.embedding_size=8", r"started with other settings: model.embedding_size was 16, is 8"),
        ("model.backbone=test_efficientnet", r"model.backbone was test_resnet, is test_efficientnet"),
        ("loss=cosface", r"loss\.\w+ was .*give run=<another name>, or resume=never"),
        ("trainer.max_epochs=3", r"trainer.max_epochs was 2, is 3"),
    ],
)
def test_other_settings_do_not_continue_a_run(
    finished: list[str], capsys: pytest.CaptureFixture[str], change: str, text: str
) -> None:
    assert main([*finished, change]) == 2
    error = capsys.readouterr().err
    assert re.search(text, error), error
    *given_twice, recognised, _ = error.strip().splitlines()
    assert all(": given twice: " in line for line in given_twice)
    assert recognised.endswith("read as class folders in test, train, validation")


def test_another_data_set_does_not_continue_a_run(
    finished: list[str], digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(digits, other)
    next((other / "train").rglob("*.png")).unlink()
    finished[1] = f"data.root={other}"
    assert main(finished) == 2
    assert "another data set, or files of it have changed" in capsys.readouterr().err


def test_two_processes_do_not_train_one_run(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    shutil.rmtree("models/tiny")
    with Path("checkpoint/.tiny.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert main(finished) == 2
    assert "run tiny is being trained by another process" in capsys.readouterr().err
    assert main(finished) == 0


def test_the_same_data_may_be_named_in_another_way(finished: list[str], digits: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(digits)
    finished[1] = "data.root=link"
    assert main(finished) == 0


def test_free_settings_may_change(finished: list[str]) -> None:
    assert main([*finished, "trainer.workers=1", "trainer.checkpoint_seconds=5", "logger=csv"]) == 0


def test_a_damaged_checkpoint_is_kept_and_named(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("checkpoint/tiny/last.ckpt")
    file.write_bytes(file.read_bytes()[:-500])
    assert main(finished) == 2
    assert "last.ckpt: cannot be read" in capsys.readouterr().err
    assert file.is_file()


def test_a_bundle_without_its_checkpoint_is_not_replaced(
    finished: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("checkpoint/tiny")
    assert main(finished) == 2
    assert "a bundle of that name exists, but no checkpoint of it" in capsys.readouterr().err


def test_a_run_that_died_before_its_export_only_exports(finished: list[str], bundle_path: Path) -> None:
    shutil.rmtree("models/tiny")
    assert main(finished) == 0
    assert Path("models/tiny/model.safetensors").read_bytes() == (bundle_path / "model.safetensors").read_bytes()


def test_a_broken_training_image_stops_before_the_first_step(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    broken = sorted((root / "train/digit 2").iterdir())[:2]
    broken[0].write_bytes(broken[0].read_bytes()[:60])
    broken[1].write_text("no image")
    monkeypatch.chdir(tmp_path)
    assert main(arguments(root)) == 2
    error = capsys.readouterr().err
    assert "2 image(s) cannot be used" in error
    assert f"{broken[0].name}: damaged" in error
    assert f"{broken[1].name}: not an image" in error
    assert not Path("checkpoint/r").exists()


def test_no_validation_images_offers_to_hold_some_out(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(digits / "train", root / "train")
    monkeypatch.chdir(tmp_path)
    assert main(arguments(root)) == 2
    assert "hold some out with data.validation_share=0.2" in capsys.readouterr().err
    assert main(arguments(root, "r", "data.validation_share=0.2")) == 0
    config = load_bundle(Path("models/r")).config
    assert config.metrics["validation"].counts["queries"] == 10
    assert main(["eval", "bundle=models/r", f"data.root={root}"]) == 0
    metrics = json.loads(Path("reports/r-validation.json").read_text())["metrics"]
    assert metrics.pop("accuracy") == metrics["accuracy@1"]
    assert metrics == config.metrics["validation"].metrics


def test_roles_cameras_and_junk_count_the_same_while_training_and_after(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["path,label,split,role,camera,ignore"]
    for file in sorted((digits / "train").rglob("*.png")):
        lines.append(f"{file},{file.parent.name},train,,,")
    for number, file in enumerate(sorted((digits / "validation").rglob("*.png"))):
        role = ("query", "reference", "reference", "reference")[number % 4]
        lines.append(f"{file},{file.parent.name},validation,{role},{1 + number % 2},{number % 4 == 2}")
    Path("data.csv").write_text("\n".join(lines))
    assert main(arguments(Path("data.csv"), "r", "trainer.max_epochs=1", "trainer.precision=32-true")) == 0
    bundle = load_bundle(Path("models/r"))
    stored = bundle.config.metrics["validation"]
    (line,) = bundle.config.training.history
    # The bundle may run in bf16: one query of five is 0.2, other rows would move the mAP by far more than this.
    assert line["validation/accuracy@1"] == pytest.approx(stored.metrics["accuracy@1"])
    assert line["validation/map"] == pytest.approx(stored.metrics["map"], abs=0.01)
    assert stored.counts | {"queries": 5, "references": 10, "ignored": 5} == stored.counts
    assert "same label and camera left out" in stored.protocol
    assert len(bundle.references) == 50, "the gallery is the training images, whoever the validation references are"
    assert all("/train/" in path for path in bundle.references.paths)


@pytest.mark.parametrize(
    "loss",
    [
        "subcenter_arcface",
        "cosface",
        "sphereface",
        "normalized_softmax",
        "proxy_anchor",
        "triplet",
        "multi_similarity",
        "circle",
    ],
)
def test_every_loss_trains(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("trainer.max_epochs=1", "trainer.labels_per_batch=4", "trainer.images_per_label=3")
    assert main(arguments(digits, "r", f"loss={loss}", *small)) == 0
    (line,) = load_bundle(Path("models/r")).config.training.history
    assert np.isfinite(line["train/loss"])


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv3_small_100", "vit_tiny_patch16_224", "convnext_atto"])
def test_every_family_trains_exports_and_embeds(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    monkeypatch.chdir(tmp_path)
    command = arguments(digits, "r", f"model.backbone={backbone}", "pixels.height=64", "pixels.width=64")
    assert main([*command, "trainer.max_epochs=1", "trainer.batch_size=25"]) == 0
    assert load_bundle(Path("models/r")).config.parity.min_cosine > 0.9999
    assert main(["embed", "bundle=models/r", f"data.root={digits / 'test'}", "output=e"]) == 0
    assert np.load("e/embeddings.npy").shape == (20, 16)


def test_a_network_made_for_one_size_trains_serves_and_goes_on_at_another(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = arguments(digits, "r", "model.backbone=test_vit3", "pixels.height=64", "pixels.width=32")
    assert main([*command, "trainer.max_epochs=1", "trainer.batch_size=25", "model.trainable=[head]"]) == 0
    bundle = load_bundle(Path("models/r"))
    assert bundle.config.parity.min_cosine > 0.9999
    images = np.stack([read_image(digits / path, bundle.pixels) for path in bundle.references.paths[:4]])
    in_torch = load_embedder(bundle.weights, bundle.config.model, bundle.pixels).eval()
    with torch.no_grad():
        embeddings = in_torch.embed(torch.from_numpy(images)).numpy()
    assert (embeddings * bundle.references.embeddings[:4]).sum(1).min() > 0.999
    assert main(["eval", "ckpt_path=checkpoint/r/last.ckpt", f"data.root={digits}", "logger=none"]) == 0
    shutil.rmtree("models")
    assert main([*command, "trainer.max_epochs=1", "trainer.batch_size=25", "model.trainable=[head]"]) == 0
    assert load_bundle(Path("models/r")).fingerprint == bundle.fingerprint


def test_the_copies_of_the_recipe_are_made_first_and_trained_on(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = [setting for setting in TINY if not setting.startswith(("online.", "model="))]
    more = ["augment.per_class=12", "trainer.max_epochs=1", f"data.root={digits}"]
    assert main(["train", "experiment=fruits", "model=timm", *tiny, *more]) == 0
    assert "60 training images, 7 steps per epoch" in capsys.readouterr().err
    copies = list(Path("data").rglob("*.jpg"))
    assert len(copies) == 5 * 2
    assert {copy.parts[0] for copy in copies} == {"data"}
    config = load_bundle(Path("models/fruits")).config
    assert config.training.images == 60
    assert len(load_bundle(Path("models/fruits")).references) == 50, "copies are never references"


def test_a_validation_of_unknown_individuals_alone_cannot_choose_an_epoch(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits, tmp_path / "d")
    for number in range(5):
        label = tmp_path / "d" / "validation" / f"digit {number}"
        label.rename(label.with_name(f"stranger {number}"))
    assert main(["train", f"data.root={tmp_path / 'd'}", "run=t", *TINY]) == 2
    error = capsys.readouterr().err
    assert "no validation image has a label among the references" in error
    assert "put images of training labels into validation too" in error
