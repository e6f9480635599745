"""The table of losses, over pytorch-metric-learning, with units in the names of their settings.

Classifier losses hold one weight vector (or several) per training label and get an optimiser group of their own; pair
losses compare the images of a batch and need P x K batches (`sampler.LabelBatches`). All of them run in float32, also
under autocast: in bf16 pytorch-metric-learning recasts the class weights for good and learning stalls.

Letters in shapes: B batch, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn

from lookalike.errors import LookalikeError, did_you_mean
from lookalike.models.sampled_classes import SampledClasses

# float32 acos has an infinite slope at 1; this keeps the slope of the angle at or below 1 / sqrt(2e-7) = 2236.
_COSINE_LIMIT = 1 - 1e-7
_NEEDS_CLASSES = 2


class LossError(LookalikeError):
    """The loss cannot be built from these settings."""


class ArcFace(losses.ArcFaceLoss):
    """ArcFace (Deng et al. 2019) whose gradient stays finite when an embedding meets its class weight."""

    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        """The angles in radians, [B]."""
        return torch.acos(cosine_of_target_classes.clamp(-_COSINE_LIMIT, _COSINE_LIMIT))


class SubCenterArcFace(losses.SubCenterArcFaceLoss):
    """Sub-centre ArcFace (Deng et al. 2020) with the same guard."""

    get_angles = ArcFace.get_angles


@dataclass(frozen=True)
class _Entry:
    build: Callable[..., nn.Module]
    settings: dict[str, str]
    classes: bool = True
    unit: bool = False
    miner: Callable[..., nn.Module] | None = None
    miner_settings: tuple[tuple[str, str], ...] = ()


_TABLE: dict[str, _Entry] = {
    "arcface": _Entry(ArcFace, {"margin_degrees": "margin", "scale": "scale"}),
    "subcenter_arcface": _Entry(
        SubCenterArcFace, {"margin_degrees": "margin", "scale": "scale", "sub_centers": "sub_centers"}
    ),
    "cosface": _Entry(losses.CosFaceLoss, {"margin_cosine": "margin", "scale": "scale"}),
    "sphereface": _Entry(losses.SphereFaceLoss, {"angle_factor": "margin", "scale": "scale"}, unit=True),
    "normalized_softmax": _Entry(losses.NormalizedSoftmaxLoss, {"temperature": "temperature"}),
    "proxy_anchor": _Entry(losses.ProxyAnchorLoss, {"margin_cosine": "margin", "scale": "alpha"}),
    "triplet": _Entry(
        losses.TripletMarginLoss,
        {"margin_distance": "margin"},
        classes=False,
        miner=miners.TripletMarginMiner,
        miner_settings=(("margin_distance", "margin"), ("triplets", "type_of_triplets")),
    ),
    "multi_similarity": _Entry(
        losses.MultiSimilarityLoss,
        {"alpha": "alpha", "beta": "beta", "base": "base"},
        classes=False,
        miner=miners.MultiSimilarityMiner,
        miner_settings=(("epsilon", "epsilon"),),
    ),
    "supcon": _Entry(losses.SupConLoss, {"temperature": "temperature"}, classes=False),
    "circle": _Entry(losses.CircleLoss, {"margin_cosine": "m", "scale": "gamma"}, classes=False),
}


class MetricLoss(nn.Module):
    """One loss with its miner, in a float32 island.

    Args:
        name: One of `loss_names()`.
        settings: All settings of that loss, no others.
        classes: Number of training labels.
        embedding_size: D.
        sampled: How many labels a step compares (`sampled_classes`); None for all.
        seed: What they are drawn from.

    Raises:
        LossError: Unknown name, missing or unknown setting, or fewer than two labels.
    """

    def __init__(
        self,
        name: str,
        settings: dict[str, Any],
        classes: int,
        embedding_size: int,
        sampled: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if name not in _TABLE:
            raise LossError(f"loss.name={name}: expected one of {', '.join(_TABLE)}{did_you_mean(name, list(_TABLE))}")
        entry = _TABLE[name]
        expected = {*entry.settings, *(ours for ours, _ in entry.miner_settings)}
        if expected != set(settings):
            raise LossError(
                f"loss {name}: expected the settings {', '.join(sorted(expected))}, got {', '.join(sorted(settings))}"
            )
        if classes < _NEEDS_CLASSES:
            raise LossError(
                f"loss {name}: {classes} training label, expected at least two: there is nothing to tell apart"
            )
        self.unit = entry.unit
        options = {theirs: settings[ours] for ours, theirs in entry.settings.items()}
        sizes = {"num_classes": classes, "embedding_size": embedding_size} if entry.classes else {}
        self.loss = entry.build(**sizes, **options)
        self.sample: SampledClasses | None = None
        if sampled is not None:
            if not entry.classes:
                raise LossError(f"loss {name}: it has no class weights to draw from: give loss.sample_classes=null")
            weights = _rows_of(self.loss).data
            per_label = len(weights) // classes
            self.sample = SampledClasses(weights, per_label, min(sampled, classes), seed)
            self.loss = entry.build(**{**sizes, "num_classes": min(sampled, classes)}, **options)
        self.miner = (
            entry.miner(**{theirs: settings[ours] for ours, theirs in entry.miner_settings}) if entry.miner else None
        )

    def trained_whole(self) -> list[nn.Parameter]:
        """The parameters that every step changes: not those that stand for a sample of the class weights."""
        return [] if self.sample else list(self.parameters())

    def step_of_sample(self, rate: float) -> None:
        """Changes the class weights of the last sample by their gradient; nothing where all are trained whole.

        Args:
            rate: Learning rate.
        """
        if self.sample is None:
            return
        for weights in self.loss.parameters():
            if weights.grad is not None:
                self.sample.step(_as_rows(self.loss, weights.grad), rate)
                weights.grad = None

    def forward(self, embeddings: Tensor, labels: Tensor, step: int = 0) -> Tensor:
        """The scalar loss of a batch, in float32; of float64 embeddings in float64.

        Args:
            embeddings: [B, D] of any length.
            labels: Label ids, int64 [B].
            step: Its number, which a sample of the class weights is drawn by.
        """
        if self.sample is not None:
            rows, labels = self.sample.draw(labels, step)
            with torch.no_grad():
                _rows_of(self.loss).copy_(rows)
        with torch.autocast(embeddings.device.type, enabled=False):
            # SphereFace multiplies its logits by the embedding's length; on lengths that the network is free to grow or
            # shrink it collapsed in our trials, on unit length times `scale` it trains.
            embeddings = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
            embeddings = nn.functional.normalize(embeddings, dim=1) if self.unit else embeddings
            pairs = self.miner(embeddings, labels) if self.miner else None
            value: Tensor = self.loss(embeddings, labels, pairs)
        return value


def _as_rows(loss: nn.Module, weights: Tensor) -> Tensor:
    """Class weights [C * S, D], whichever way round a loss keeps them; the same memory."""
    return weights if hasattr(loss, "proxies") else weights.t()


def _rows_of(loss: nn.Module) -> Tensor:
    (weights,) = loss.parameters()
    return _as_rows(loss, weights)


def loss_names() -> list[str]:
    """The names `MetricLoss` accepts."""
    return list(_TABLE)


def needs_label_batches(name: str) -> bool:
    """Whether a loss compares images of a batch and so needs P x K batches."""
    return not _TABLE[name].classes
