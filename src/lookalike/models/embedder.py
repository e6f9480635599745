"""Backbone -> pooling -> linear -> embedding, and which part of it is trained.

Where everything before the first trained stage is frozen, the network can be run in two halves: the trunk, whose
output never changes for the same pixels, and the rest.

The model takes uint8 RGB [B, H, W, 3] everywhere: mean and std are part of it, so no caller can get them wrong.

Letters in shapes: B batch, H height, W width, C channels, D embedding.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lookalike.data.pixels import PixelSettings
from lookalike.errors import ModelError, did_you_mean, one_line
from lookalike.inference.bundle_config import NetworkConfig
from lookalike.models.backbone import Size, make_backbone, own_size, width_of
from lookalike.models.gem import GeM, use_gem
from lookalike.models.image_network import ImageNetwork
from lookalike.models.trunk import SEQUENCES, NotSplitError, Trunk, frozen_parts, frozen_trunk

HEAD_NAMES = ("head", "fc")


class Embedder(ImageNetwork):
    """An image embedding model.

    Args:
        backbone: A timm model name.
        embedding_size: D, or None for no linear layer: the embedding is what the pooling gives, D its width.
        pooling: `avg` (timm's own) or `gem`.
        bn_neck: Batch normalisation after the linear layer (Luo et al. 2019).
        trainable: Names of backbone stages and `head` (or `fc`): the linear layer, the neck, the power of `gem` and
            the backbone's own head, where it has one. `["all"]` or None trains everything.
        mean: Per channel, in 0..1, or None for timm's.
        std: Same.
        size: Height and width of the images, in pixels; None for the backbone's own.
        frozen_batch_norm: In training, batch norms of trained stages use their running statistics and leave them
            as they are; scale and shift are trained.

    Raises:
        ModelError: Unknown backbone, one that does not run at this size, pooling it has not, or unknown stages; the
            text names what exists.
    """

    backbone: Any  # a timm model: what it offers differs by family
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str,
        embedding_size: int | None = 128,
        pooling: Literal["avg", "gem"] = "avg",
        bn_neck: bool = False,
        trainable: list[str] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        size: Size | None = None,
        frozen_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.frozen_batch_norm = frozen_batch_norm
        self.backbone = make_backbone(backbone, size)
        self.image_size = size or own_size(self.backbone)
        if pooling == "gem":
            use_gem(self.backbone, backbone)
        defaults = self.backbone.pretrained_cfg
        for name, given in (("mean", mean), ("std", std)):
            value = torch.tensor(list(given or defaults[name]), dtype=torch.float32) * 255
            self.register_buffer(name, value.view(1, 3, 1, 1), persistent=False)
        width = self.head_width
        self._size = width if embedding_size is None else embedding_size
        self.head: nn.Module = nn.Identity() if embedding_size is None else nn.Linear(width, embedding_size)
        self.neck = nn.BatchNorm1d(self._size) if bn_neck else nn.Identity()
        self._set_trainable(["all"] if trainable is None else trainable)
        self._only_head = not any(parameter.requires_grad for parameter in self.backbone.parameters())
        self._trunk: Trunk | None = None
        self._not_split: str | None = None
        if not self._only_head:
            try:
                self._trunk = frozen_trunk(self.backbone, self.image_size)
            except NotSplitError as error:
                self._not_split = str(error)
        self.train()  # frozen parts go to eval mode from the start: Lightning keeps the modes it finds

    @property
    def embedding_size(self) -> int:
        """D, also where there is no linear layer."""
        return self._size

    @property
    def headless(self) -> bool:
        """Whether it has no linear layer."""
        return isinstance(self.head, nn.Identity)

    @property
    def head_width(self) -> int:
        """W, the width of the backbone's features."""
        return width_of(self.backbone)

    @property
    def trunk_end(self) -> str | None:
        """The first trained stage, or None when the network cannot be run in two halves."""
        return "head" if self._only_head else self._trunk.end.name if self._trunk else None

    @property
    def not_split(self) -> str | None:
        """Why a network with frozen weights in front cannot be run in two halves; None where it can, or has none."""
        return self._not_split

    def trunk_takes(self, size: Size) -> bool:
        """Whether there are `trunk` and `rest` for images of this height and width: some are for `image_size` alone."""
        if self._trunk is None:
            return self._only_head
        return self._trunk.size in (None, size)

    @property
    def last_frozen(self) -> str | None:
        """The last stage of the frozen trunk that has weights: `layer3`, or `blocks.4` where blocks.5 is trained."""
        if self._only_head:
            return "the pooling"
        if self._trunk is None:
            return None
        last = [stage.name for stage in self._trunk.front if stage.weighty][-1]
        whole = last.partition(".")[0]
        return last if whole == self._trunk.end.name.partition(".")[0] else whole

    def frozen_state(self) -> dict[str, Tensor]:
        """Weights and running statistics of the backbone that training does not change, and mean and std."""
        frozen = {id(part) for part in frozen_parts(self.backbone)}
        state: dict[str, Tensor] = {
            name: value for name, value in self.backbone.named_parameters() if not value.requires_grad
        }
        for name, part in self.backbone.named_modules():
            if id(part) in frozen:
                state |= {f"{name}.{own}": value for own, value in part.state_dict().items()}
        return {**state, "mean": self.mean, "std": self.std}

    def trunk(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> what enters the first trained stage; needs `trunk_end`.

        Several threads may run it at once, but not while one runs `rest`.
        """
        pixels = self._normalised(images)
        if self._only_head:
            pooled: Tensor = self.backbone(pixels)
            return pooled
        assert self._trunk, "asked for the trunk of a network that has none"
        return self._trunk.run(self.backbone, pixels)

    def rest(self, features: Tensor) -> Tensor:
        """The trunk's output -> embedding [B, D] of any length."""
        if self._only_head:
            unbounded: Tensor = self.neck(self.head(features))
            return unbounded
        assert self._trunk, "asked for the rest of a network that has no trunk"
        embedding: Tensor = self.neck(self.head(self._trunk.rest(self.backbone, features)))
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> embedding [B, D] of any length, as the losses expect."""
        embedding: Tensor = self.neck(self.head(self.backbone(self._normalised(images))))
        return embedding

    def _normalised(self, images: Tensor) -> Tensor:
        return (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std

    def train(self, mode: bool = True) -> "Embedder":
        """As in torch, but frozen parts (their batch norm, dropout and stochastic depth) stay in eval mode.

        So do all batch norms of the backbone where they are frozen.
        """
        super().train(mode)
        if mode:
            for part in [*frozen_parts(self), *(stage.module for stage in (self._trunk.front if self._trunk else []))]:
                part.eval()
            for part in self.backbone.modules() if self.frozen_batch_norm else ():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self

    def _set_trainable(self, names: list[str]) -> None:
        head = {"all", *HEAD_NAMES}
        stages = [name for name in names if name not in head]
        existing = [name for name in stage_names(self.backbone) if name not in head]
        for name in stages:
            if not any(stage == name or stage.startswith(f"{name}.") for stage in existing):
                raise ModelError(
                    f"model.trainable: this backbone has no stage {name!r}{did_you_mean(name, existing)}; "
                    f"it has {', '.join(existing)} and head"
                )
        whole = "all" in names
        if not head.isdisjoint(names):
            stages += [*HEAD_NAMES, *(name for name, part in self.backbone.named_modules() if isinstance(part, GeM))]
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(whole or any(name == stage or name.startswith(f"{stage}.") for stage in stages))
        for parameter in [*self.head.parameters(), *self.neck.parameters()]:
            parameter.requires_grad_(not head.isdisjoint(names))
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ModelError(
                f"model.trainable=[{', '.join(names)}]: with model.embedding_size=null there is no head, so nothing "
                "would be trained: name stages or all"
                if names
                else "model.trainable is empty, so nothing would be trained: name stages, head or all"
            )


def stage_names(backbone: nn.Module) -> list[str]:
    """Names that `trainable` accepts: children with parameters, sequences also element by element."""
    stages: list[tuple[str, nn.Module]] = []
    for name, child in backbone.named_children():
        stages.append((name, child))
        if isinstance(child, SEQUENCES):
            stages += [(f"{name}.{part}", inner) for part, inner in child.named_children()]
    return [name for name, stage in stages if any(True for _ in stage.parameters())]


def load_embedder(weights: Path, model: NetworkConfig, pixels: PixelSettings) -> Embedder:
    """Rebuilds the embedder of a bundle from its weights.

    Args:
        weights: The file.
        model: What the network is.
        pixels: How its images are read.

    Raises:
        ModelError: The file cannot be read, or its tensors do not fit the settings.
    """
    embedder = Embedder(**model.embedder_arguments(), size=(pixels.height, pixels.width))
    try:
        embedder.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights}: cannot be read ({one_line(error)}): copy it again") from error
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{weights}: does not fit {model.backbone} ({reason})") from error
    return embedder
