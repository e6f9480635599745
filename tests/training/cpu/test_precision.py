"""The precision of training: every choice trains, the quickest that keeps the loss is taken and remembered."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookalike.cli.main import main
from lookalike.files import write_once
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import TrainPrecision, autocast, forward
from lookalike.training.cpu import precision
from lookalike.training.cpu.precision import CHOICES, fastest_precision, prepare
from processes import SERVER

ARCFACE = {"margin_degrees": 28.6, "scale": 30.0}


@pytest.fixture(autouse=True)
def _with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What chooses is the same on all processors; those without bf16 choose nothing."""
    monkeypatch.setattr(precision, "torch_runs_bf16", lambda: True)


def batch(size: int = 8, side: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8, generator=generator)
    return images, torch.arange(size) % 4


def run(embedder: Embedder, chosen: TrainPrecision, images: Tensor) -> Tensor:
    return forward(embedder, chosen, images, False)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_vit"])
@pytest.mark.parametrize("chosen", CHOICES[1:])
def test_every_arithmetic_keeps_embedding_and_gradients(backbone: str, chosen: TrainPrecision) -> None:
    side = 160 if backbone == "test_vit" else 64
    images, labels = batch(side=side)
    results: dict[str, tuple[Tensor, list[Tensor]]] = {}
    for name in ("32-true", chosen):
        torch.manual_seed(0)
        embedder = Embedder(backbone, 16, trainable=["all"])
        loss = MetricLoss("arcface", ARCFACE, 4, 16)
        prepare(embedder, name)  # type: ignore[arg-type]
        embedding = run(embedder, name, images)  # type: ignore[arg-type]
        loss(embedding, labels).backward()
        gradients = [parameter.grad for parameter in [*embedder.parameters(), *loss.parameters()]]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
        results[name] = (nn.functional.normalize(embedding.detach().float(), dim=1), gradients)  # type: ignore[assignment]
    exact, quick = results["32-true"], results[chosen]
    assert (exact[0] * quick[0]).sum(1).min() > 0.99
    flat = [torch.cat([gradient.flatten() for gradient in gradients]) for gradients in (exact[1], quick[1])]
    assert float(nn.functional.cosine_similarity(flat[0], flat[1], dim=0)) > 0.95


def test_a_choice_is_measured_remembered_and_changes_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    before = {name: value.clone() for name, value in embedder.state_dict().items()}
    random = torch.get_rng_state()
    timed = fastest_precision(tmp_path, {"model": "a"}, embedder, loss, run, batch())
    assert timed.chosen in CHOICES
    assert set(timed.milliseconds) == set(CHOICES) == set(timed.loss_difference)
    assert timed.loss_difference["32-true"] == 0
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in embedder.state_dict().items())
    assert all(parameter.grad is None for parameter in embedder.parameters())
    (file,) = tmp_path.glob("*.json")
    changed = {**json.loads(file.read_text()), "chosen": "bf16-mixed", "milliseconds": {"bf16-mixed": 1.0}}
    del changed["checksum"]  # as an earlier version wrote it
    file.write_text(json.dumps(changed))
    again = fastest_precision(tmp_path, {"model": "a"}, embedder, loss, run, batch())
    assert (again.chosen, again.milliseconds) == ("bf16-mixed", {"bf16-mixed": 1.0}), "remembered, not measured"
    fastest_precision(tmp_path, {"model": "b"}, embedder, loss, run, batch())
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'{"chosen": "float8"}', b"\xff", b'{"chosen": "32-true"}'])
def test_a_memory_that_cannot_be_read_is_measured_again(tmp_path: Path, content: bytes) -> None:
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    fastest_precision(tmp_path, {}, embedder, loss, run, batch())
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(content)
    assert fastest_precision(tmp_path, {}, embedder, loss, run, batch()).chosen in CHOICES
    assert json.loads(file.read_bytes())["chosen"] in CHOICES


def test_a_processor_without_bf16_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "torch_runs_bf16", lambda: False)

    def runs(*_: object) -> Tensor:
        raise AssertionError("nothing is to be measured")

    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    timed = fastest_precision(tmp_path / "cache", {}, embedder, loss, runs, batch())
    assert (timed.chosen, str(timed)) == ("32-true", "32-true, as this machine has no units for bf16")
    assert not (tmp_path / "cache").exists()


def test_what_takes_many_times_as_long_is_soon_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, steps = 0.0, dict.fromkeys(CHOICES, 0)

    def takes(embedder: Embedder, chosen: TrainPrecision, images: Tensor) -> Tensor:
        nonlocal now
        steps[chosen] += 1
        now += {"32-true": 0.01, "bf16-mixed": 0.03, "bf16-products": 0.05}[chosen]
        return run(embedder, chosen, images)

    monkeypatch.setattr(precision.time, "perf_counter", lambda: now)
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    timed = fastest_precision(tmp_path, {}, embedder, loss, takes, batch())
    assert steps == {"32-true": 7, "bf16-mixed": 7, "bf16-products": 2}
    assert timed.milliseconds == {"32-true": 10.0, "bf16-mixed": 30.0, "bf16-products": 50.0}
    assert timed.chosen == "32-true"


def test_an_arithmetic_that_changes_the_loss_is_not_taken() -> None:
    best = precision._best
    steady = [10.0, 9.0, 8.0]
    fast_and_wrong = {"32-true": (1.0, steady), "bf16-mixed": (0.1, [10.0, 9.0, 9.0]), "bf16-products": (0.5, steady)}
    assert best(fast_and_wrong).chosen == "bf16-products"  # type: ignore[arg-type]
    hardly_faster = {"32-true": (1.0, steady), "bf16-mixed": (0.97, steady), "bf16-products": (1.2, steady)}
    assert best(hardly_faster).chosen == "32-true"  # type: ignore[arg-type]
    not_finite = {"32-true": (1.0, steady), "bf16-mixed": (0.1, [10.0, float("nan"), float("nan")])}
    assert best(not_finite).chosen == "32-true"  # type: ignore[arg-type]


def _write(place: tuple[Path, int]) -> None:
    write_once(place[0], str(place[1]).encode())


def test_the_first_to_write_wins(tmp_path: Path) -> None:
    with SERVER.Pool(4) as pool:
        pool.map(_write, [(tmp_path / "one", number) for number in range(20)])
    first = (tmp_path / "one").read_bytes()
    write_once(tmp_path / "one", b"other")
    assert (tmp_path / "one").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_asked_for_arithmetic_is_used_kept_and_told(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from conftest import TINY

    weights = {}
    for chosen in CHOICES:
        folders = (f"models_dir={tmp_path / chosen}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
        arguments = ["train", f"data.root={digits}", f"run={chosen}", *folders, *TINY, f"trainer.precision={chosen}"]
        assert main(arguments) == 0
        config = json.loads((tmp_path / chosen / chosen / "config.json").read_text())
        assert config["training"]["arithmetic"] == chosen
        weights[chosen] = (tmp_path / chosen / chosen / "model.safetensors").read_bytes()
    assert "arithmetic:" not in capsys.readouterr().err, "what was asked for is not measured"
    assert len(set(weights.values())) == len(CHOICES)
    state = torch.load(tmp_path / "checkpoint" / "32-true" / "last.ckpt", weights_only=True)
    assert state["hyper_parameters"]["arithmetic"] == "32-true"


def test_autocast_is_for_bf16_only() -> None:
    ones = torch.ones(2, 2)
    for chosen, kind in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("bf16-products", torch.bfloat16)):
        with autocast("cpu", chosen):  # type: ignore[arg-type]
            assert (ones @ ones).dtype == kind


@pytest.mark.parametrize("full", [True, False])
def test_what_cannot_be_remembered_is_measured_and_used(
    tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    if full:
        monkeypatch.setattr("shutil.copyfile", refuse)
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    assert fastest_precision(tmp_path / "cache", {}, embedder, loss, run, batch()).chosen in CHOICES
    assert len(list((tmp_path / "cache").glob("*.json"))) == (0 if full else 1)
    assert ("cannot be remembered" in " ".join(capsys.readouterr().err.split())) == full


def test_an_answer_that_was_damaged_is_measured_anew(tmp_path: Path) -> None:
    embedder, loss = Embedder("test_resnet", 16), MetricLoss("arcface", ARCFACE, 4, 16)
    fastest_precision(tmp_path, {}, embedder, loss, run, batch())
    (file,) = tmp_path.glob("*.json")
    whole = file.read_text()
    wrong = whole.replace('"32-true": ', '"32-true": 9', 1)
    for changed in (
        *(wrong, wrong.replace("lookalike-sha256:", "lookalike-sha255:"), wrong.replace('"checksum"', '"chechsum"')),
        *(wrong.replace("lookalike-sha256:", "?"), whole.replace("{", "[", 1), "[" * 100_000, "3"),
    ):
        file.write_text(changed)
        fastest_precision(tmp_path, {}, embedder, loss, run, batch())
        again = json.loads(file.read_text())
        assert again["checksum"].startswith("lookalike-sha256:")
        assert again["checksum"] not in changed
