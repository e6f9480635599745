"""The module in Lightning's own loop, without settings of ours."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.market_datamodule import MarketDataModule
from lookalike.datamodules.sampler import ShuffledBatches
from lookalike.errors import ModelError
from lookalike.evaluation.identify import Rules, evaluate_rows, identify
from lookalike.evaluation.standard import standard_figures
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.models.metric_learning_module import MetricLearningModule, forward
from lookalike.models.world import World
from made_layouts import Pictures, vehicleid


def embeddings(embedder: Embedder, root: Path, pixels: PixelSettings) -> tuple[MetricLearningModule, MarketDataModule]:
    module, data = MetricLearningModule(embedder), MarketDataModule(root, pixels=pixels, eval_batch=32)
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).test(module, data, verbose=False)
    return module, data


def test_lightning_logs_the_metrics_of_a_test(few_market: Path) -> None:
    module, data = embeddings(Embedder("test_resnet", 16), few_market, PixelSettings(32, 32))
    assert module.identification is not None
    logged = module.trainer.callback_metrics
    metrics = module.identification.metrics
    assert float(logged["test/accuracy"]) == pytest.approx(metrics["accuracy"], abs=1e-6)
    for name in ("accuracy_at_5", "cmc_at_10", "map", "map_trapezoid", "minp"):
        value = metrics[name.replace("_at_", "@")]
        assert float(logged[f"test/cross_camera/{name}"]) == pytest.approx(value, abs=1e-6)
    whole = module.identification.whole
    assert whole.metrics["accuracy@1"] == module.identification.metrics["accuracy"]
    assert "no camera rule" in whole.protocol
    assert "same label and camera left out" in module.identification.result.protocol
    people = {
        part: set(data.manifest.table["label"][data.manifest.table["split"] == part]) for part in ("train", "test")
    }
    assert not people["train"] & people["test"]
    assert data.train_rows.label_ids.min() == 0


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


RATES = {"learning_rate": 1e-3, "head_learning_rate": 2e-3, "loss_learning_rate": 4e-3, "weight_decay": 0.1}
ARCFACE = {"margin_degrees": 28.6, "scale": 10.0}


def module(steps: int = 20, warmup: float = 0.1, **more: Any) -> MetricLearningModule:
    torch.manual_seed(0)
    embedder = Embedder("test_resnet", 16, bn_neck=True, trainable=["layer4", "head"])
    schedule = {**RATES, "warmup_share": warmup, "steps": float(steps)}
    return MetricLearningModule(embedder, MetricLoss("arcface", ARCFACE, 5, 16), schedule, **more)


def digits_module(digits: Path, batch: int = 10) -> ImageDataModule:
    return ImageDataModule(
        read_manifest(digits), PixelSettings(32, 32), batches=lambda ids: ShuffledBatches(len(ids), batch, 0)
    )


def trainer(**more: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    return pl.Trainer(
        accelerator="cpu", devices=1, enable_model_summary=False, num_sanity_val_steps=0, **{**quiet, **more}
    )


def test_it_trains_in_lightnings_own_loop(digits: Path) -> None:
    learner, data = module(steps=15), digits_module(digits)
    frozen = learner.embedder.backbone.conv1[0].weight.clone()
    trainer(max_epochs=3).fit(learner, data)
    assert [line["epoch"] for line in learner.history] == [1.0, 2.0, 3.0]
    assert learner.history[2]["train/loss"] < learner.history[0]["train/loss"]
    assert all(0 <= line["validation/accuracy@5"] <= 1 for line in learner.history)
    assert torch.equal(learner.embedder.backbone.conv1[0].weight, frozen)


def test_a_trainer_of_other_processes_than_the_module_knows_of_is_refused(digits: Path) -> None:
    learner = module(steps=15)
    learner.share(World(0, 2, 0, 2), seed=0)
    with pytest.raises(
        ModelError, match=r"makes 1 processes, and the module and its data know of 2: .* trainer\.devices="
    ):
        trainer(max_epochs=1).fit(learner, digits_module(digits))


def test_groups_have_rates_of_their_own_and_class_weights_no_decay() -> None:
    learner = module()
    chosen = learner.configure_optimizers()
    groups = chosen["optimizer"].param_groups
    assert [group["initial_lr"] for group in groups] == [1e-3, 2e-3, 4e-3]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.1, 0.0]
    assert isinstance(chosen["optimizer"], torch.optim.AdamW)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len({id(parameter) for parameter in grouped}) == len(grouped)
    wanted = [p for p in [*learner.embedder.parameters(), *learner.loss.parameters()] if p.requires_grad]  # type: ignore[union-attr]
    assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in wanted}


def test_rates_rise_and_fall_to_nothing() -> None:
    chosen = module(steps=20, warmup=0.2).configure_optimizers()
    schedule, rates = chosen["lr_scheduler"]["scheduler"], []
    for _ in range(21):
        rates.append(schedule.get_last_lr()[0])
        chosen["optimizer"].step()
        schedule.step()
    assert rates[:5] == pytest.approx([1e-3 * part / 5 for part in (1, 2, 3, 4, 5)])
    assert rates[4] == max(rates)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[20] == pytest.approx(0, abs=1e-12)
    assert chosen["lr_scheduler"]["interval"] == "step"


def test_an_optimiser_of_somebody_elses_choice() -> None:
    def sgd(groups: list[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, weight_decay=weight_decay)

    assert isinstance(module(make_optimizer=sgd).configure_optimizers()["optimizer"], torch.optim.SGD)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_training(digits: Path, bad: float) -> None:
    learner = module()
    with torch.no_grad():
        learner.loss.loss.W.fill_(bad)  # type: ignore[union-attr]
    with pytest.raises(FloatingPointError, match=r"^the loss became (nan|inf) in epoch 1$"):
        trainer(max_epochs=1).fit(learner, digits_module(digits))


def test_weights_that_are_no_numbers_are_found_by_validation(digits: Path) -> None:
    learner = module()
    with torch.no_grad():
        learner.embedder.head.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"^the weights became no numbers in epoch 1$"):
        trainer().validate(learner, digits_module(digits), verbose=False)


def test_without_a_loss_it_cannot_be_trained(digits: Path) -> None:
    learner = MetricLearningModule(Embedder("test_resnet", 16), None, {**RATES, "warmup_share": 0.1, "steps": 5.0})
    with pytest.raises(AssertionError, match=r"MetricLearningModule\(loss=\.\.\.\) is needed for training"):
        trainer(max_epochs=1).fit(learner, digits_module(digits))


def test_its_state_is_plain_and_comes_back(digits: Path, tmp_path: Path) -> None:
    learner = module(steps=10, hyper_parameters={"settings": {"model.backbone": "test_resnet"}, "seeds": [1, 2]})
    own = trainer(max_epochs=2)
    own.fit(learner, digits_module(digits))
    own.save_checkpoint(tmp_path / "x.ckpt")
    state = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert state["hyper_parameters"] == {"settings": {"model.backbone": "test_resnet"}, "seeds": [1, 2]}
    assert state["lookalike"]["history"] == learner.history
    fresh = module(steps=10)
    trainer(max_epochs=2).validate(fresh, digits_module(digits), ckpt_path=str(tmp_path / "x.ckpt"), verbose=False)
    assert fresh.history[:2] == learner.history
    weights = zip(learner.state_dict().values(), fresh.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in weights)


def test_a_frozen_trunk_gives_the_same_through_its_features() -> None:
    """What the trunk made of a batch, rounded as a cache keeps it, gives what the images themselves give."""
    embedder = Embedder("test_resnet", 16, trainable=["layer4", "head"]).eval()
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = embedder.trunk(images).to(torch.bfloat16)
        assert torch.equal(forward(embedder, "32-true", images, False), forward(embedder, "32-true", features, False))
    whole = Embedder("test_resnet", 16).eval()
    with torch.no_grad():
        assert torch.equal(forward(whole, "32-true", images, True), whole(images)), "nothing is frozen"


@pytest.mark.parametrize("rules", [Rules(), Rules(camera_rule=False), Rules(similarity="euclidean")])
def test_a_test_follows_the_rules_it_was_given(few_market: Path, rules: Rules) -> None:
    learner = MetricLearningModule(Embedder("test_resnet", 16), rules=rules)
    data = MarketDataModule(few_market, pixels=PixelSettings(32, 32))
    trainer().test(learner, data, verbose=False)
    assert learner.identification is not None
    learner.eval()
    with torch.inference_mode():
        references, queries = (
            torch.cat([learner.embedder.embed(images) for images, _ in loader]).numpy()
            for loader in data.test_dataloader()
        )
    assert learner.identification.to_dict() == identify(queries, references, data.test_protocol, rules).to_dict()


def test_a_test_draws_the_galleries_that_papers_draw(tmp_path: Path, pictures: Pictures) -> None:
    """The figures of `eval`: drawn galleries, their mean and deviation, under the names that it logs."""
    manifest = read_manifest(vehicleid(tmp_path, pictures))
    data = ImageDataModule(manifest, PixelSettings(32, 32))
    learner = MetricLearningModule(Embedder("test_resnet", 16))
    runner = trainer()
    runner.test(learner, data, verbose=False)
    learner.eval()
    with torch.inference_mode():
        references = torch.cat([learner.embedder.embed(images) for images, _ in data.test_dataloader()[0]]).numpy()
    expected = standard_figures(manifest, Rules(), protocol=data.test_protocol, references=references)
    assert expected is not None
    assert learner.standard == expected
    assert {*expected.figures} == {"test_list_800", "test_list_1600"}
    logged = runner.callback_metrics
    for name, value in expected.named().items():
        assert float(logged[f"test/{name.replace('@', '_at_')}"]) == pytest.approx(value, abs=1e-6)
    assert learner.identification is not None
    assert "drawn with seed 0" in learner.identification.result.protocol
