"""Backbone -> pooling -> linear -> embedding, and which part of it is trained.

The model takes uint8 RGB [B, H, W, 3] everywhere: mean and std are part of it, so no caller can get them wrong.

Letters in shapes: B batch, H height, W width, C channels, D embedding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lookalike.errors import LookalikeError, did_you_mean

HEAD_NAMES = ("head", "fc")


class ModelError(LookalikeError):
    """The model cannot be built from these settings."""


class GeM(nn.Module):
    """Generalised mean pooling with a learned power (Radenovic et al. 2018): [B, C, H, W] -> as timm's pooling."""

    def __init__(self, flatten: bool, power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))
        self.flatten = flatten

    def forward(self, features: Tensor) -> Tensor:
        """Pools [B, C, H, W] to [B, C], or [B, C, 1, 1] where timm's head expects that."""
        pooled = features.clamp(min=1e-6).pow(self.power).mean((2, 3), keepdim=not self.flatten)
        return pooled.pow(1 / self.power)


class Embedder(nn.Module):
    """An image embedding model.

    Args:
        backbone: A timm model name.
        embedding_size: D.
        pooling: `avg` (timm's own) or `gem`.
        bn_neck: Batch normalisation after the linear layer (Luo et al. 2019).
        trainable: Names of backbone stages and `head` (or `fc`), or `["all"]`; the rest is frozen.
        mean: Per channel, in 0..1, or None for timm's.
        std: Same.

    Raises:
        ModelError: Unknown backbone, pooling it has not, or unknown stages; the text names what exists.
    """

    def __init__(
        self,
        backbone: str,
        embedding_size: int = 128,
        pooling: Literal["avg", "gem"] = "avg",
        bn_neck: bool = False,
        trainable: list[str] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
    ) -> None:
        super().__init__()
        if not timm.is_model(backbone):
            raise ModelError(
                f"model.backbone={backbone}: timm {timm.__version__} has no such model"
                f"{did_you_mean(backbone, timm.list_models()) or '; timm.list_models() names all'}"
            )
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0)
        if pooling == "gem":
            _use_gem(self.backbone, backbone)
        defaults = self.backbone.pretrained_cfg
        for name, given in (("mean", mean), ("std", std)):
            value = torch.tensor(list(given or defaults[name]), dtype=torch.float32) * 255
            self.register_buffer(name, value.view(1, 3, 1, 1), persistent=False)
        width = int(getattr(self.backbone, "head_hidden_size", self.backbone.num_features))
        self.head = nn.Linear(width, embedding_size)
        self.neck = nn.BatchNorm1d(embedding_size) if bn_neck else nn.Identity()
        self._set_trainable(trainable or ["all"])

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> embedding [B, D] of any length, as the losses expect."""
        pixels = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        embedding: Tensor = self.neck(self.head(self.backbone(pixels)))
        return embedding

    def embed(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> unit embedding [B, D]."""
        return nn.functional.normalize(self(images), dim=1)

    def train(self, mode: bool = True) -> "Embedder":
        """As in torch, but frozen parts (their batch norm, dropout and stochastic depth) stay in eval mode."""
        super().train(mode)
        if mode:
            for part in _frozen_parts(self.backbone):
                part.eval()
        return self

    def _set_trainable(self, names: list[str]) -> None:
        head = {"all", *HEAD_NAMES}
        stages = [name for name in names if name not in head]
        known = stage_names(self.backbone)
        for name in stages:
            if not any(stage == name or stage.startswith(f"{name}.") for stage in known):
                raise ModelError(
                    f"model.trainable: this backbone has no stage {name!r}{did_you_mean(name, known)}; "
                    f"it has {', '.join(known)} and head"
                )
        whole = "all" in names
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(whole or any(name == stage or name.startswith(f"{stage}.") for stage in stages))
        for parameter in [*self.head.parameters(), *self.neck.parameters()]:
            parameter.requires_grad_(not head.isdisjoint(names))
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ModelError("model.trainable is empty, so nothing would be trained: name stages, head or all")


def stage_names(backbone: nn.Module) -> list[str]:
    """Names that `trainable` accepts: children with parameters, sequences also element by element."""
    names = []
    for name, child in backbone.named_children():
        if not any(True for _ in child.parameters()):
            continue
        names.append(name)
        if isinstance(child, nn.Sequential):
            names += [f"{name}.{part}" for part, _ in child.named_children()]
    return names


def load_embedder(weights: Path, model: dict[str, Any]) -> Embedder:
    """Rebuilds the embedder of a bundle from its `model` settings and `model.safetensors`.

    Raises:
        ModelError: The tensors do not fit the settings.
    """
    names = ("backbone", "embedding_size", "pooling", "bn_neck", "trainable", "mean", "std")
    embedder = Embedder(**{name: model[name] for name in names if name in model})
    try:
        embedder.load_state_dict(load_file(weights))
    except RuntimeError as error:
        raise ModelError(f"{weights}: does not fit {model['backbone']} ({str(error).splitlines()[-1].strip()})") from error
    return embedder


def _use_gem(backbone: nn.Module, name: str) -> None:
    for owner in backbone.modules():
        pool = getattr(owner, "global_pool", None)
        if isinstance(pool, nn.Module) and hasattr(pool, "pool_type"):
            owner.global_pool = GeM(flatten=not isinstance(getattr(pool, "flatten", None), nn.Identity))
            return
    raise ModelError(f"model.pooling=gem needs a convolutional backbone, {name} pools tokens: use model.pooling=avg")


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest submodules none of whose parameters is trained."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from _frozen_parts(child)
