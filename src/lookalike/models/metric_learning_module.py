"""Embedder + loss + optimiser as a Lightning module; validation and test by neighbours.

Its hyper-parameters are plain numbers, strings, lists and dicts, so every checkpoint loads with `weights_only=True`.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lookalike.data.protocol import Protocol
from lookalike.errors import ModelError
from lookalike.evaluation.identify import Identification, Rules, evaluate_rows
from lookalike.evaluation.measure import measure_protocol
from lookalike.evaluation.standard import StandardFigures
from lookalike.evaluation.tracklets import pooling_of
from lookalike.metrics.result import RetrievalResult
from lookalike.models.averaged import WeightAverage
from lookalike.models.embedder import Embedder
from lookalike.models.gathered import joined
from lookalike.models.losses import MetricLoss
from lookalike.models.synced_norms import random_parts, sync_norms
from lookalike.models.world import ALONE, World

TrainPrecision = Literal["32-true", "bf16-mixed", "bf16-products"]
MakeOptimizer = Callable[[list[dict[str, Any]], float], torch.optim.Optimizer]


def adamw(groups: list[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
    """Torch's AdamW; `training` hands in one that steps quicker on a processor.

    Args:
        groups: Parameter groups.
        weight_decay: Of the groups that give none.
    """
    return torch.optim.AdamW(groups, weight_decay=weight_decay)


def autocast(device: str, precision: TrainPrecision) -> AbstractContextManager[Any]:
    """bf16 for what runs inside, unless the precision is float32."""
    return torch.autocast(device, torch.bfloat16, enabled=precision != "32-true")


class MetricLearningModule(pl.LightningModule):
    """Trains an embedder and measures it by nearest neighbours after every epoch, and in a test.

    Args:
        embedder: The network.
        loss: The loss, with class weights of its own or not; needed for training alone.
        optimizer: `learning_rate`, `head_learning_rate`, `loss_learning_rate`, `weight_decay`, `warmup_share`, and
            `steps`, the number of steps of the whole run; needed for training alone. `averaged_share`: of the steps,
            the last ones, whose weights are averaged; the averages are validated and kept, and the rates stay at
            their peaks (None: the weights as they are, and a cosine to zero).
        protocol: References and queries of validation, in loader order; None takes those of the data module.
        precision: Of the network in training and validation; a test is in float32, and so is the loss.
        bf16_trunk: Run a frozen trunk in bf16, in training and validation.
        hyper_parameters: Plain values that every checkpoint keeps: the settings, where the first weights came from.
        rules: How embeddings are compared in a test.
        make_optimizer: Makes AdamW from parameter groups and a weight decay.
    """

    def __init__(
        self,
        embedder: Embedder,
        loss: MetricLoss | None = None,
        optimizer: dict[str, float | None] | None = None,
        protocol: Protocol | None = None,
        precision: TrainPrecision = "32-true",
        bf16_trunk: bool = False,
        hyper_parameters: dict[str, Any] | None = None,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        make_optimizer: MakeOptimizer = adamw,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(hyper_parameters or {})
        self.embedder, self.loss = embedder, loss
        self._optimizer = optimizer or {}
        self.average = _average_of(self._optimizer)
        self._averaged = ExitStack()
        self._precision, self._bf16_trunk, self._make_optimizer = precision, bf16_trunk, make_optimizer
        self._protocol, self._rules = protocol, rules
        self.identification: Identification | None = None
        self.standard: StandardFigures | None = None
        self._embeddings: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._loss_sum, self._loss_count = 0.0, 0
        self._random_state: tuple[Tensor, list[Tensor]] | None = None
        self._world, self._drawn_from = ALONE, 0
        self.history: list[dict[str, float]] = []

    def share(self, world: World, seed: int) -> None:
        """Trains together with other processes from now on, as one process with the whole batch would.

        Args:
            world: Which process this is.
            seed: What the network draws (dropout), it draws from this number, the step and the rank.
        """
        self._world = world
        if not world.alone:
            sync_norms(self.embedder)
            self._drawn_from = seed if random_parts(self.embedder) else -1

    def on_fit_start(self) -> None:
        """Refuses a trainer that has another number of processes than the module was told of."""
        if self.trainer.world_size != self._world.size:
            raise ModelError(
                f"Trainer(devices=...) makes {self.trainer.world_size} processes, and the module and its data know of "
                f"{self._world.size}: train on several devices with lookalike train trainer.devices=..."
            )

    def on_train_start(self) -> None:
        """Takes up the random state of a resumed run, after everything that was set up drew from it."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state[0].cpu())
            torch.cuda.set_rng_state_all([state.cpu() for state in self._random_state[1]])
            self._random_state = None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch of (uint8 [B, H, W, 3] or what the trunk made of it, int64 [B])."""
        images, labels = batch
        assert self.loss is not None, "MetricLearningModule(loss=...) is needed for training"
        if not self._world.alone and self._drawn_from >= 0:
            torch.manual_seed(
                int(np.random.SeedSequence([self._drawn_from, self.global_step, self._world.rank]).generate_state(1)[0])
            )
        embedding = self._embedding(images)
        if not self._world.alone:
            embedding, labels = joined(embedding), joined(labels)
        loss: Tensor = self.loss(embedding, labels, self.global_step)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} in epoch {self.current_epoch + 1}")
        self._loss_sum += loss.item()
        self._loss_count += 1
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forgets the embeddings of the last epoch; averaged weights take the place of the last ones."""
        self._embeddings = ([], [])
        if self.average:
            self._averaged.enter_context(self.average.inside(self.embedder))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collects unit embeddings [B, D]."""
        embedding = self._embedding(batch[0])
        self._embeddings[dataloader_idx].append(nn.functional.normalize(embedding.float(), dim=1).cpu())

    def _embedding(self, images: Tensor) -> Tensor:
        return forward(self.embedder, self._precision, images, self._bf16_trunk)

    def _of_all(self, parts: list[tuple[list[Tensor], list[Tensor]]]) -> tuple[list[Tensor], list[Tensor]]:
        """The batches of references and queries of all processes, in the order of one."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        counts = (math.ceil(len(rows) / data.eval_batch) for rows in data.validation_rows)
        references, queries = (
            self._world.undealt(list(side), count) for side, count in zip(zip(*parts, strict=True), counts, strict=True)
        )
        return references, queries

    def validation_result(self) -> RetrievalResult:
        """How the queries found their label among the references in the epoch that was collected."""
        references, queries = (torch.cat(parts).numpy() for parts in self._embeddings)
        if not (np.isfinite(references).all() and np.isfinite(queries).all()):
            raise FloatingPointError(f"the weights became no numbers in epoch {self.current_epoch + 1}")
        protocol = self._protocol or self.trainer.datamodule.protocol  # type: ignore[attr-defined]
        return evaluate_rows(queries, references, protocol)

    def on_test_epoch_start(self) -> None:
        """Forgets other embeddings."""
        self._embeddings = ([], [])

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collects unit embeddings [B, D]: loader 0 has the references, loader 1 the queries."""
        self._embeddings[dataloader_idx].append(self.embedder.embed(batch[0]).float().cpu())

    def on_test_epoch_end(self) -> None:
        """Identifies every query from all references; logs `test/accuracy` and all metrics by protocol.

        Names have `_at_` for `@`, which MLflow refuses; `identification` keeps everything, and `standard` what the
        papers print that use the data set, galleries drawn where they draw them.
        """
        references, queries = (torch.cat(parts).numpy() for parts in self._embeddings)
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        by_image, rules = data.test_protocol, self._rules
        pooling = pooling_of(by_image, rules.pool)
        made = measure_protocol(data.manifest, by_image, (queries, references), rules, pooling)
        self.identification, self.standard = made.identification, made.standard
        self._embeddings = ([], [])
        figures, _ = made.identification.named_by_protocol()
        figures |= made.standard.named() if made.standard else {}
        metrics = {f"test/{name.replace('@', '_at_')}": value for name, value in figures.items()}
        self.log_dict(metrics, batch_size=1)

    def on_validation_epoch_end(self) -> None:
        """Adds a line to the history; the loss is the mean over the epoch's batches."""
        parts = self._world.collected(self._embeddings)
        if parts and not self._world.alone:
            self._embeddings = self._of_all(parts)
        metrics = self._world.told(lambda: self.validation_result().metrics)
        line = {
            "epoch": float(self.current_epoch + 1),
            "train/loss": self._loss_sum / max(1, self._loss_count),
            "validation/accuracy@1": metrics["accuracy@1"],
            "validation/accuracy@5": metrics["accuracy@5"],
            "validation/map": metrics.get("map", 0.0),
        }
        self.history.append(line)
        self._loss_sum, self._loss_count = 0.0, 0
        self._embeddings = ([], [])
        self._averaged.close()

    def kept_weights(self) -> dict[str, Tensor]:
        """The embedder's state as it is validated: with averaged weights, where there are some."""
        if self.average is None:
            return self.embedder.state_dict()
        return {**self.embedder.state_dict(), **self.average.state()["means"]}

    def configure_optimizers(self) -> Any:
        """AdamW with groups of their own for head and class weights, linear warm-up, then a cosine to zero.

        Where weights are averaged, the rates stay at their peaks instead.
        """
        settings = {name: value for name, value in self._optimizer.items() if value is not None}
        embedder, flat = self.embedder, self.average is not None
        head = [*embedder.head.parameters(), *embedder.neck.parameters()]
        parts = ((embedder.backbone.parameters(), "learning_rate"), (head, "head_learning_rate"))
        groups: list[dict[str, Any]] = [
            *({"params": [p for p in part if p.requires_grad], "lr": settings[rate]} for part, rate in parts),
            {
                "params": self.loss.trained_whole() if self.loss else [],
                "lr": settings["loss_learning_rate"],
                "weight_decay": 0.0,
            },
        ]
        optimizer = self._make_optimizer([group for group in groups if group["params"]], settings["weight_decay"])
        # Not `trainer.estimated_stepping_batches`: it builds the loaders before a resumed run restores their position.
        steps = int(settings["steps"])
        warmup = max(1, round(steps * settings["warmup_share"]))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            if flat:
                return 1.0
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """A step, that of a sample of the class weights by the same schedule, and what it adds to the average."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.loss is not None and self.loss.sample is not None:
            group = optimizer.param_groups[0]
            self.loss.step_of_sample((self._optimizer["loss_learning_rate"] or 0.0) * group["lr"] / group["initial_lr"])
        if self.average:
            self.average.add(self.embedder, self.global_step + 1)  # Lightning counts this step afterwards

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a resumed run needs beyond Lightning's own state."""
        checkpoint["lookalike"] = {
            "loss_sum": self._loss_sum,
            "loss_count": self._loss_count,
            "history": self.history,
            "random_state": torch.get_rng_state(),
            "cuda_random_state": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }
        if self.loss is not None and self.loss.sample is not None:
            checkpoint["lookalike"]["class_weights"] = self.loss.sample.optimiser_state()
        if self.average:
            checkpoint["lookalike"]["average"] = self.average.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        state = checkpoint["lookalike"]
        self._loss_sum, self._loss_count, self.history = state["loss_sum"], state["loss_count"], state["history"]
        self._random_state = (state["random_state"], state["cuda_random_state"])
        if self.loss is not None and self.loss.sample is not None:
            self.loss.sample.load_optimiser_state(state["class_weights"])
        if self.average:
            self.average.load(state["average"])


def _average_of(optimizer: dict[str, float | None]) -> WeightAverage | None:
    share = optimizer.get("averaged_share")
    return WeightAverage(math.floor((1 - share) * (optimizer["steps"] or 0)) + 1) if share else None


def forward(embedder: Embedder, precision: TrainPrecision, images: Tensor, bf16_trunk: bool) -> Tensor:
    """The network in training: a frozen trunk needs no gradients, and its output may be known already.

    Args:
        embedder: The network.
        precision: Of everything but a frozen trunk.
        images: uint8 [B, H, W, 3], or what the trunk made of it, bf16.
        bf16_trunk: Run a frozen trunk in bf16.

    Returns:
        Embedding [B, D] of any length.
    """
    device, features = images.device.type, images
    if images.dtype == torch.uint8:
        if not embedder.trunk_takes((images.shape[1], images.shape[2])):
            with autocast(device, precision):
                whole: Tensor = embedder(images)
            return whole
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=bf16_trunk):
            features = embedder.trunk(images)
    with autocast(device, precision):
        features = features.to(torch.bfloat16)  # as a cache keeps it: a run is the same with and without one
        return embedder.rest(features.float() if precision == "32-true" else features)
