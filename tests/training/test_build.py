"""From a plan to a module and its data: batches, first weights, the frozen trunk, the arithmetic."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.image_rows import FeatureRows, ImageRows
from lookalike.datamodules.sampler import LabelBatches, ShuffledBatches
from lookalike.errors import LookalikeError
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.models.pretrained import load_pretrained
from lookalike.models.world import World
from lookalike.training.build import build, torch_device
from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.precision import CHOICES
from lookalike.training.parents import ARITHMETIC_FILE, Parent
from lookalike.training.plan import Plan

STILL = ("online=none", "online.crop_area=1")  # the tiny settings crop


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(root: Path, *more: str, state: dict[str, Any] | None = None) -> tuple[MetricLearningModule, ImageDataModule]:
    settings = read_settings("train", [f"data.root={root}", "run=r", *TINY, *more])
    torch.manual_seed(0)
    return build(Plan(settings, read_manifest(root)), state)


def test_module_and_data_follow_the_settings(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    averaged = "trainer.averaged_share=0.7"
    module, data = built(
        digits, "model.trainable=[layer4,head]", "loss=cosface", "trainer.batch_size=10", "seed=3", averaged
    )
    assert data.batches is not None
    assert (len(data.batches), len(data.train_rows), data.train_rows.seed) == (5, 50, 3)
    assert isinstance(data.batches, ShuffledBatches)
    assert module.embedder.trunk_end == "layer4.0"
    optimizer = module.configure_optimizers()["optimizer"]
    assert isinstance(optimizer, FlatAdamW)
    said = " ".join(capsys.readouterr().err.split())
    assert "model: test_resnet, first weights: random; trained: layer4, head (" in said
    assert "loss: cosface; 5 labels, 50 training images, 5 steps per epoch" in said
    assert "weights: the mean of them over the last 70 % of the steps is what is validated and kept" in said
    assert "validation: 20 queries of split validation, 50 references: the original training images" in said


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (["loss=arcface"], ShuffledBatches),
        (["loss=triplet"], LabelBatches),
        (["loss=triplet", "trainer.batches=shuffled"], ShuffledBatches),
        (["loss=arcface", "trainer.batches=labels"], LabelBatches),
    ],
)
def test_pair_losses_get_batches_of_labels(digits: Path, more: list[str], kind: type) -> None:
    sizes = ("trainer.labels_per_batch=4", "trainer.images_per_label=3")
    assert isinstance(built(digits, *more, *sizes)[1].batches, kind)


def test_hyper_parameters_are_plain_and_say_how_it_began(digits: Path, tmp_path: Path) -> None:
    module, _ = built(digits, "trainer.precision=bf16-mixed")
    assert set(module.hparams) == {"settings", "weights_source", "arithmetic", "bf16_trunk"}
    assert (module.hparams["arithmetic"], module.hparams["weights_source"]) == ("bf16-mixed", "random")
    torch.save(dict(module.hparams), tmp_path / "x.pt")
    assert torch.load(tmp_path / "x.pt", weights_only=True) == dict(module.hparams)


def test_first_weights_are_those_of_the_package(digits: Path) -> None:
    module, _ = built(
        digits, "model.backbone=tf_efficientnet_lite0", "model.weights=package", "trainer.precision=32-true"
    )
    plain = Embedder("tf_efficientnet_lite0")
    source = load_pretrained(plain.backbone, "tf_efficientnet_lite0", "package")
    assert module.hparams["weights_source"] == source
    expected = plain.backbone.state_dict()
    assert all(torch.equal(part, expected[name]) for name, part in module.embedder.backbone.state_dict().items())


def test_a_run_that_goes_on_keeps_its_weights_and_its_arithmetic(digits: Path) -> None:
    first, _ = built(digits, "trainer.precision=bf16-mixed")
    with torch.no_grad():
        first.embedder.head.bias.fill_(7.0)
    state = {
        "hyper_parameters": {**first.hparams, "weights_source": "elsewhere", "bf16_trunk": False},
        "state_dict": first.state_dict(),
    }
    module, _ = built(digits, "trainer.precision=auto", "model.weights=/no/such/file", state=state)
    assert module.hparams["arithmetic"] == "bf16-mixed"
    assert module.hparams["weights_source"] == "elsewhere", "the hub or file need not be there a second time"
    assert (module.embedder.head.bias == 7).all()
    older = {**state, "hyper_parameters": {"settings": {}}}
    assert built(digits, "trainer.precision=auto", state=older)[0].hparams["arithmetic"] == "32-true", (
        "versions that had no choice"
    )


def test_the_trunk_is_kept_for_what_does_not_change(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frozen = ("model.trainable=[layer4,head]", "trainer.precision=32-true")
    _, still = built(digits, *frozen, *STILL)
    assert isinstance(still.train_dataloader().dataset, FeatureRows)
    assert "trunk: frozen up to layer3, cached" in " ".join(capsys.readouterr().err.split())
    _, changing = built(digits, *frozen)
    assert changing.features
    assert isinstance(changing.train_dataloader().dataset, ImageRows)
    assert all(isinstance(loader.dataset, FeatureRows) for loader in changing.val_dataloader())
    assert "online changes are new in every epoch, so only validation can be cached" in " ".join(
        capsys.readouterr().err.split()
    )
    for more in (("trainer.trunk_cache=false",), ("model.trainable=[all]",)):
        assert built(digits, *frozen, *STILL, *more)[1].features == ()
    capsys.readouterr()
    small = ("trainer.trunk_cache_gib=1e-9", "checkpoint_dir=other")
    assert built(digits, *frozen, *STILL, *small)[1].features == ()
    assert "trunk: computed in every epoch" in " ".join(capsys.readouterr().err.split())


def test_the_quickest_arithmetic_is_measured_unless_one_is_asked_for(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _ = built(digits, "trainer.precision=auto")
    assert module.hparams["arithmetic"] in CHOICES
    said = " ".join(capsys.readouterr().err.split())
    chosen = module.hparams["arithmetic"]
    assert f"arithmetic: {chosen}, " in said
    assert f"; trainer.precision={chosen} repeats the run elsewhere" in said
    asked, _ = built(digits, "trainer.precision=32-true")
    assert asked.hparams["arithmetic"] == "32-true"
    assert "arithmetic:" not in capsys.readouterr().err


def test_the_runs_of_a_comparison_share_one_arithmetic(digits: Path, here: Path) -> None:
    """Whatever the clock would say of the second loss."""
    parent = Parent("c", None, here / "c")
    chosen = []
    for loss in ("arcface", "cosface"):
        settings = read_settings(
            "train", [f"data.root={digits}", "run=r", f"loss={loss}", *TINY, "trainer.precision=auto"]
        )
        module, _ = build(Plan(settings, read_manifest(digits), parent), None)
        chosen.append(module.hparams["arithmetic"])
        (here / "c" / ARITHMETIC_FILE).write_text("bf16-products")
    assert chosen[0] in CHOICES
    assert chosen[1] == "bf16-products"


def test_a_gpu_that_is_not_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_device("cpu") == "cpu"
    if torch.cuda.is_available():
        assert torch_device("auto") == torch_device("cuda") == "cuda"
        return
    assert torch_device("auto") == "cpu"
    with pytest.raises(LookalikeError, match=r"^trainer\.device=cuda: torch finds no CUDA device here"):
        torch_device("cuda")


class Pretended(World):
    """One of two processes, which need not ask the other."""

    def told(self, decide: Any) -> Any:
        return decide()


def of_two(root: Path, *more: str) -> tuple[MetricLearningModule, ImageDataModule]:
    settings = read_settings("train", [f"data.root={root}", "run=r", *TINY, *more])
    return build(Plan(settings, read_manifest(root), world=Pretended(1, 2, 1, 2)), None)


def test_one_of_two_processes_loads_its_half_of_each_batch(digits: Path) -> None:
    _, whole = built(digits)
    _, half = of_two(digits)
    images, labels = whole.first_batch()
    second, ids = half.first_batch()
    assert torch.equal(second, images[4:])
    assert torch.equal(ids, labels[4:])
    batches, halves = list(whole.train_dataloader()), list(half.train_dataloader())
    assert half.steps == whole.steps == len(halves) == len(batches)
    assert all(torch.equal(part[0], batch[0][4:]) for part, batch in zip(halves, batches, strict=True))
    references, shard = whole.val_dataloader()[0], half.val_dataloader()[0]
    assert (len(references), len(shard)) == (1, 1), "one batch, which nobody may be without"


def test_gradients_in_bf16_are_for_one_device(digits: Path) -> None:
    line = r"^trainer\.precision=bf16-products: its gradients are in bf16, .* give trainer\.devices=1, or in a new run"
    with pytest.raises(LookalikeError, match=line):
        of_two(digits, "trainer.precision=bf16-products")
