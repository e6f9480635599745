"""Embedder + loss + optimiser as a Lightning module; validation and test by neighbours.

Its hyper-parameters are plain numbers, strings, lists and dicts, so every checkpoint loads with `weights_only=True`.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import math
from contextlib import nullcontext
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from lookalike.evaluate import RetrievalResult
from lookalike.manifest import Protocol
from lookalike.measure import Identification, Rules, evaluate_rows, identify
from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss

_TRUNK_MEMORY = 1 << 30  # bytes


class MetricLearningModule(pl.LightningModule):
    """Trains an embedder and measures it by nearest neighbours after every epoch, and in a test.

    Args:
        embedder: The network.
        loss: The loss, with class weights of its own or not; needed for training alone.
        optimizer: `learning_rate`, `loss_learning_rate`, `weight_decay`, `warmup_share`, and `steps`, the
            number of steps of the whole run; needed for training alone.
        protocol: References and queries of validation, in loader order; None takes those of the data module.
        bf16_trunk: Run the frozen trunk in bf16 while training (validation and test stay float32).
        hyper_parameters: Plain values that every checkpoint keeps: the settings, where the first weights came from.
        rules: How embeddings are compared in a test.
    """

    def __init__(
        self,
        embedder: Embedder,
        loss: MetricLoss | None = None,
        optimizer: dict[str, float] | None = None,
        protocol: Protocol | None = None,
        bf16_trunk: bool = False,
        hyper_parameters: dict[str, Any] | None = None,
        rules: Rules = Rules(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.save_hyperparameters(hyper_parameters or {})
        self.embedder, self.loss = embedder, loss
        self._optimizer, self._bf16_trunk = optimizer or {}, bf16_trunk
        self._protocol, self._rules = protocol, rules
        self.identification: Identification | None = None
        self._embeddings: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._trunk_outputs: dict[tuple[int, int], Tensor] = {}
        self._loss_sum, self._loss_count = 0.0, 0
        self._random_state: tuple[Tensor, list[Tensor]] | None = None
        self.history: list[dict[str, float]] = []

    def on_train_start(self) -> None:
        """Takes up the random state of a resumed run, after everything that was set up drew from it."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state[0].cpu())
            torch.cuda.set_rng_state_all([state.cpu() for state in self._random_state[1]])
            self._random_state = None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch of (uint8 [B, H, W, 3], int64 [B])."""
        images, labels = batch
        assert self.loss is not None, "MetricLearningModule(loss=...) is needed for training"
        loss: Tensor = self.loss(self._embedding(images), labels)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} in epoch {self.current_epoch}")
        self._loss_sum += loss.item()
        self._loss_count += 1
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forgets the embeddings of the last epoch."""
        self._embeddings = ([], [])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collects unit embeddings [B, D]."""
        if self.embedder.trunk_end is None:
            embedding = self.embedder(batch[0])
        else:
            embedding = self.embedder.rest(self._trunk_output((dataloader_idx, batch_idx), batch[0]))
        self._embeddings[dataloader_idx].append(nn.functional.normalize(embedding.float(), dim=1).cpu())

    def _embedding(self, images: Tensor) -> Tensor:
        """The network for training: a frozen trunk needs no gradients, and bf16 where the processor multiplies it."""
        if self.embedder.trunk_end is None:
            whole: Tensor = self.embedder(images)
            return whole
        bf16 = torch.autocast(images.device.type, torch.bfloat16) if self._bf16_trunk else nullcontext()
        with torch.no_grad(), bf16:
            features = self.embedder.trunk(images)
        return self.embedder.rest(features.float())

    def _trunk_output(self, batch: tuple[int, int], images: Tensor) -> Tensor:
        """The validation images never change, nor does a frozen trunk: its output is kept in memory up to a limit."""
        if batch not in self._trunk_outputs:
            features = self.embedder.trunk(images)
            kept = sum(output.nbytes for output in self._trunk_outputs.values())
            if kept + features.nbytes > _TRUNK_MEMORY:
                return features
            self._trunk_outputs[batch] = features
        return self._trunk_outputs[batch]

    def validation_result(self) -> RetrievalResult:
        """How the queries found their label among the references in the epoch that was collected."""
        references, queries = (torch.cat(parts).numpy() for parts in self._embeddings)
        protocol = self._protocol or self.trainer.datamodule.protocol  # type: ignore[attr-defined]
        return evaluate_rows(queries, references, protocol)

    def on_test_epoch_start(self) -> None:
        """Forgets other embeddings."""
        self._embeddings = ([], [])

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collects unit embeddings [B, D]: loader 0 has the references, loader 1 the queries."""
        self._embeddings[dataloader_idx].append(self.embedder.embed(batch[0]).float().cpu())

    def on_test_epoch_end(self) -> None:
        """Identifies every query from all references; logs `test/accuracy` and all retrieval metrics.

        Names have `_at_` for `@`, which MLflow refuses; `identification` keeps everything.
        """
        references, queries = (torch.cat(parts).numpy() for parts in self._embeddings)
        protocol = self.trainer.datamodule.test_protocol  # type: ignore[attr-defined]
        self.identification = identify(queries, references, protocol, self._rules)
        self._embeddings = ([], [])
        metrics = {f"test/{name.replace('@', '_at_')}": value for name, value in self.identification.metrics.items()}
        self.log_dict(metrics, batch_size=1)

    def on_validation_epoch_end(self) -> None:
        """Adds a line to the history; the loss is the mean over the epoch's batches."""
        metrics = self.validation_result().metrics
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

    def configure_optimizers(self) -> Any:
        """AdamW with a group of its own for the class weights, linear warm-up, then a cosine to zero."""
        settings = self._optimizer
        groups = [
            {"params": [p for p in self.embedder.parameters() if p.requires_grad], "lr": settings["learning_rate"]},
            {
                "params": list(self.loss.parameters()) if self.loss else [],
                "lr": settings["loss_learning_rate"],
                "weight_decay": 0.0,
            },
        ]
        optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=settings["weight_decay"])
        # Not `trainer.estimated_stepping_batches`: it builds the loaders before a resumed run restores their position.
        steps = int(settings["steps"])
        warmup = max(1, round(steps * settings["warmup_share"]))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a resumed run needs beyond Lightning's own state."""
        checkpoint["lookalike"] = {
            "loss_sum": self._loss_sum,
            "loss_count": self._loss_count,
            "history": self.history,
            "random_state": torch.get_rng_state(),
            "cuda_random_state": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        state = checkpoint["lookalike"]
        self._loss_sum, self._loss_count, self.history = state["loss_sum"], state["loss_count"], state["history"]
        self._random_state = (state["random_state"], state["cuda_random_state"])
