"""`Model.from_checkpoint`: the network of any file, and the same numbers as its bundle and as Lightning's own test."""

import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lookalike import Dataset, LookalikeError, Model
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.datamodules.sampler import ShuffledBatches
from lookalike.errors import ModelError
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.settings.check import SettingsError

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
    "devices": 1,
}


@pytest.fixture(scope="module")
def exact(bundle_path: Path) -> Model:
    return Model.load(bundle_path, precision="float32")


@pytest.fixture(scope="module")
def checkpoints(bundle_path: Path) -> Path:
    """Where the run of the bundle left its state."""
    return bundle_path.parents[1] / "checkpoint" / bundle_path.name


@pytest.fixture(scope="module")
def files(digits: Path) -> list[Path]:
    return sorted(digits.glob("test/*/*.png"))


@pytest.fixture(scope="module")
def of_checkpoint(checkpoints: Path) -> Model:
    return Model.from_checkpoint(checkpoints / "best.safetensors", device="cpu")


def state_of(embedder: Embedder) -> dict[str, torch.Tensor]:
    return {f"net.{name}": tensor.contiguous() for name, tensor in embedder.state_dict().items()}


@pytest.fixture
def foreign(tmp_path: Path) -> tuple[Embedder, Path]:
    """A network of somebody else, and the file of its weights."""
    torch.manual_seed(3)
    theirs = Embedder("test_resnet", 24).eval()
    torch.save(state_of(theirs), tmp_path / "theirs.pt")
    return theirs, tmp_path / "theirs.pt"


def in_torch(embedder: Embedder, files: list[Path], pixels: PixelSettings) -> np.ndarray:
    images = np.stack([read_image(file, pixels) for file in files])
    with torch.inference_mode():
        return embedder.eval().embed(torch.from_numpy(images)).numpy()


def test_a_bundle_and_the_checkpoint_it_was_made_of_give_the_same_numbers(
    exact: Model, of_checkpoint: Model, digits: Path
) -> None:
    assert of_checkpoint.encoder.fingerprint == exact.encoder.fingerprint
    assert (of_checkpoint.encoder.precision, of_checkpoint.encoder.pixels) == ("float32", exact.encoder.pixels)
    for split in ("validation", "test"):
        of_bundle, of_file = exact.evaluate(digits, split), of_checkpoint.evaluate(digits, split)  # type: ignore[arg-type]
        assert np.array_equal(of_bundle.embedded.queries, of_file.embedded.queries)
        assert np.array_equal(of_bundle.embedded.references, of_file.embedded.references)
        assert of_bundle.metrics == of_file.metrics
        assert of_bundle.identification.to_dict() == of_file.identification.to_dict()


def test_a_checkpoint_of_lookalike_brings_its_own_settings(
    of_checkpoint: Model, checkpoints: Path, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    others: dict[str, Any] = {"model": {"backbone": "resnet50"}, "pixels": {"height": 64}}
    last = Model.from_checkpoint(str(checkpoints / "last.ckpt"), **others, device="cpu")
    said = " ".join(capsys.readouterr().err.split())
    assert "a checkpoint of lookalike; its own model and pixel settings are used" in said
    assert repr(last) == "Model('tiny-last': 16 dimensions from 32 x 32 pixels, float32)"
    assert last.about["model.backbone"] == "test_resnet"
    assert last.about["pixels.height"] == 32
    assert last.about["ckpt_path"] == str(checkpoints / "last.ckpt")
    weights = torch.load(checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    embedder = Embedder("test_resnet", 16)
    embedder.load_state_dict(
        {name.removeprefix("embedder."): value for name, value in weights.items() if name.startswith("embedder.")}
    )
    assert np.abs(last.embed(files) - in_torch(embedder, files, PixelSettings(32, 32))).max() < 1e-5
    assert of_checkpoint.name == "tiny-best"


def test_a_network_without_a_bundle_knows_no_images(of_checkpoint: Model, files: list[Path]) -> None:
    assert (of_checkpoint.labels, of_checkpoint.bundle, of_checkpoint.held_out.validation_share) == ([], None, 0)
    text = r"^tiny-best: knows no images: put some into a Gallery, or load a bundle$"
    with pytest.raises(LookalikeError, match=text):
        _ = of_checkpoint.references
    with pytest.raises(LookalikeError, match=text):
        of_checkpoint.predict(files[0])


def test_weights_of_another_project_whose_head_may_be_a_classifier(
    foreign: tuple[Embedder, Path], files: list[Path], digits: Path
) -> None:
    theirs, file = foreign
    with pytest.raises(ModelError, match=r"recognised test_resnet; net\.head \(24 x \d+\) may be its head or a class"):
        Model.from_checkpoint(file)
    settings: dict[str, Any] = {"backbone": "test_resnet", "embedding_size": 24}
    model = Model.from_checkpoint(file, model=settings, pixels={"height": 32, "width": 32}, device="cpu")
    assert model.encoder.size == 24
    assert np.abs(model.embed(files) - in_torch(theirs, files, PixelSettings(32, 32))).max() < 1e-5
    cropped = Model.from_checkpoint(file, model=settings, pixels={"height": 24, "width": 32, "resize": "crop"})
    assert cropped.encoder.pixels == PixelSettings(24, 32, "crop", "bilinear")
    assert cropped.encoder.fingerprint != model.encoder.fingerprint
    shifted = Model.from_checkpoint(
        file, model={**settings, "mean": [0.5] * 3, "std": [0.25] * 3}, pixels={"height": 32, "width": 32}
    )
    assert not np.allclose(shifted.embed(files[0]), model.embed(files[0]), atol=1e-3)
    assert 0 < model.evaluate(digits).metrics["accuracy@1"] <= 1


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"model": {"backbon": "test_resnet"}},
            SettingsError,
            r"^model\.backbon: unknown setting; did you mean backbone",
        ),
        (
            {"model": {"backbone": "test_resnet", "poling": "gem"}, "pixels": {"heigth": 3, "width": 2}},
            SettingsError,
            r"^3 wrong settings:\n  model\.poling: .*pooling\?.*\n  pixels\.width=2: .*\n  pixels\.heigth: ",
        ),
        (
            {"model": {"backbone": "test_resnt"}},
            ModelError,
            r"model\.backbone=test_resnt: timm .* has no such model; did",
        ),
        ({"model": {"backbone": "test_resnet"}}, LookalikeError, r"model\.embedding_size=24"),
        (
            {"model": {"backbone": "test_vit"}},
            LookalikeError,
            r"model\.backbone=test_vit: its tensors are not those in the file",
        ),
        ({"device": "gpu"}, LookalikeError, r"^device='gpu': expected one of auto, cpu, cuda$"),
    ],
)
def test_settings_that_do_not_fit_a_file_are_refused(
    foreign: tuple[Embedder, Path], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Model.from_checkpoint(foreign[1], **options)


def test_a_file_with_a_part_of_the_network_must_be_asked_for(foreign: tuple[Embedder, Path], tmp_path: Path) -> None:
    theirs, _ = foreign
    partial = {name: tensor for name, tensor in state_of(theirs).items() if ".layer4." not in name}
    save_file(partial, tmp_path / "partial.safetensors")
    settings = {"backbone": "test_resnet", "embedding_size": 24}
    with pytest.raises(LookalikeError, match=r"allow_partial=true"):
        Model.from_checkpoint(tmp_path / "partial.safetensors", model=settings)
    assert (
        Model.from_checkpoint(tmp_path / "partial.safetensors", model=settings, allow_partial=True).encoder.size == 24
    )


@pytest.mark.parametrize("name", ["gone.ckpt", "", "empty.ckpt", "text.ckpt"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(LookalikeError, match=rf"^{tmp_path / name}: "):
        Model.from_checkpoint(tmp_path / name, model={"backbone": "test_resnet"})


def test_a_checkpoint_of_the_module_in_somebody_elses_trainer(digits: Path, files: list[Path], tmp_path: Path) -> None:
    """`MetricLearningModule` in Lightning's own loop keeps no settings of ours."""
    torch.manual_seed(0)
    rates = {"learning_rate": 1e-3, "head_learning_rate": 1e-3, "loss_learning_rate": 1e-2, "weight_decay": 0.0}
    module = MetricLearningModule(
        Embedder("test_resnet", 16),
        MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 10.0}, 5, 16),
        {**rates, "warmup_share": 0.1, "steps": 7.0},
    )
    data = ImageDataModule(
        Dataset(digits).manifest, PixelSettings(32, 32), batches=lambda ids: ShuffledBatches(len(ids), 8, 0)
    )
    trainer = pl.Trainer(max_epochs=1, num_sanity_val_steps=0, **QUIET)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "other.ckpt")
    shown = Model.from_checkpoint(tmp_path / "other.ckpt", pixels={"height": 32, "width": 32}, device="cpu")
    assert np.abs(shown.embed(files) - in_torch(module.embedder, files, PixelSettings(32, 32))).max() < 1e-5
    model = Model.from_checkpoint(
        tmp_path / "other.ckpt",
        model={"backbone": "test_resnet", "embedding_size": 16},
        pixels={"height": 32, "width": 32},
        device="cpu",
    )
    assert np.abs(model.embed(files) - in_torch(module.embedder, files, PixelSettings(32, 32))).max() < 1e-5


@pytest.fixture(scope="module")
def eight_people(few_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Market-1501's layout eight people to test on, with the junk and half of the distractors."""
    root = Path(shutil.copytree(few_market, tmp_path_factory.mktemp("market") / "eight"))
    people = sorted({file.name.partition("_")[0] for file in (root / "query").iterdir()})[8:]
    for file in [*(root / "query").iterdir(), *(root / "bounding_box_test").iterdir()]:
        label = file.name.partition("_")[0]
        if label in people or (label == "0000" and file.stat().st_size % 2):
            file.unlink()
    return root


@pytest.mark.parametrize("layout", ["folders", "market"])
def test_lightnings_own_test_gives_the_same_metrics(
    layout: str, of_checkpoint: Model, checkpoints: Path, digits: Path, eight_people: Path
) -> None:
    """OpenVINO rounds otherwise than torch; no near tie of these data is decided by it."""
    root, pixels = digits if layout == "folders" else eight_people, of_checkpoint.encoder.pixels
    embedder = Embedder("test_resnet", 16)
    embedder.load_state_dict(load_file(checkpoints / "best.safetensors"))
    if layout == "folders":
        data = ImageDataModule(Dataset(root).manifest, pixels)
    else:
        data = MarketDataModule(root, pixels=pixels)
    module, trainer = MetricLearningModule(embedder), pl.Trainer(**QUIET)
    trainer.test(module, data, verbose=False)
    assessment = of_checkpoint.evaluate(root, "test")
    assert module.identification is not None
    assert module.identification.metrics == pytest.approx(assessment.metrics, abs=1e-9)
    assert module.identification.result.counts == assessment.identification.result.counts
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    figures, _ = assessment.identification.named_by_protocol()
    expected = {f"test/{name.replace('@', '_at_')}": value for name, value in figures.items()}
    assert logged == pytest.approx(expected, abs=1e-6), "Lightning logs float32"
    embedder.eval()
    with torch.inference_mode():
        references, queries = (
            torch.cat([embedder.embed(images) for images, _ in loader]).numpy() for loader in data.test_dataloader()
        )
    assert np.abs(references - assessment.embedded.references).max() < 1e-5
    assert np.abs(queries - assessment.embedded.queries).max() < 1e-5
