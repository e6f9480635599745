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

    Raises:
        LossError: Unknown name, missing or unknown setting, or fewer than two labels.
    """

    def __init__(self, name: str, settings: dict[str, Any], classes: int, embedding_size: int) -> None:
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
        sizes = {"num_classes": classes, "embedding_size": embedding_size} if entry.classes else {}
        self.loss = entry.build(**sizes, **{theirs: settings[ours] for ours, theirs in entry.settings.items()})
        self.miner = (
            entry.miner(**{theirs: settings[ours] for ours, theirs in entry.miner_settings}) if entry.miner else None
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The scalar float32 loss of embeddings [B, D] of any length and label ids int64 [B]; of float64 in float64."""
        with torch.autocast(embeddings.device.type, enabled=False):
            # SphereFace multiplies its logits by the embedding's length; on lengths that the network is free to grow or
            # shrink it collapsed in our trials, on unit length times `scale` it trains.
            embeddings = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
            embeddings = nn.functional.normalize(embeddings, dim=1) if self.unit else embeddings
            pairs = self.miner(embeddings, labels) if self.miner else None
            value: Tensor = self.loss(embeddings, labels, pairs)
        return value


def loss_names() -> list[str]:
    """The names `MetricLoss` accepts."""
    return list(_TABLE)


def needs_label_batches(name: str) -> bool:
    """Whether a loss compares images of a batch and so needs P x K batches."""
    return not _TABLE[name].classes
