"""TransReID (damo-cv): the transformer under `base.`, batch norms, and the jigsaw branch (JPM).

Letters in shapes: B batch, P patches, C width, H and W of the image.
"""

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from lookalike.models.networks.side_transformer import SideTransformer, TransformerOptions


class TransReid(nn.Module):
    """`build_transformer`: class token, batch norm: normalised RGB [B, 3, H, W] -> [B, C].

    Args:
        options: Of the transformer.
        taken: From before or behind the batch norm (TEST.NECK_FEAT; `before` in all configurations).
    """

    def __init__(self, options: TransformerOptions | None = None, taken: Literal["before", "after"] = "before") -> None:
        super().__init__()
        self.base = SideTransformer(options)
        self.bottleneck = nn.BatchNorm1d(self.base.options.width)
        self.taken = taken

    @property
    def embedding_size(self) -> int:
        """C."""
        return self.base.options.width

    def forward(self, pixels: Tensor, sides: Tensor | None = None) -> Tensor:
        """The embedding, before any normalisation; `sides` as in `SideTransformer`."""
        token: Tensor = self.base(pixels, sides)
        if self.taken == "before":
            return token
        embedding: Tensor = self.bottleneck(token)
        return embedding


class TransReidLocal(nn.Module):
    """`build_transformer_local`: the class token, and those of four groups of shuffled patches: -> [B, 5 C].

    The four local ones are divided by 4 (model/make_model.py).

    Args:
        options: Of the transformer.
        taken: As for `TransReid`.
        shift: Patches that move to the end before the shuffling (SHIFT_NUM).
        shuffled: Groups that are dealt in turn (SHUFFLE_GROUP).
        groups: Of patches (DEVIDE_LENGTH).
        rearranged: Whether patches are shuffled at all (RE_ARRANGE).
    """

    def __init__(
        self,
        options: TransformerOptions | None = None,
        taken: Literal["before", "after"] = "before",
        shift: int = 5,
        shuffled: int = 2,
        groups: int = 4,
        rearranged: bool = True,
    ) -> None:
        super().__init__()
        self.base = SideTransformer(options, last=False)
        self.b1, self.b2 = (
            nn.Sequential(copy.deepcopy(self.base.blocks[-1]), copy.deepcopy(self.base.norm)) for _ in range(2)
        )
        width = self.base.options.width
        self.bottleneck = nn.BatchNorm1d(width)
        self.bottleneck_1, self.bottleneck_2, self.bottleneck_3, self.bottleneck_4 = (
            nn.BatchNorm1d(width) for _ in range(4)
        )
        self.taken, self.shift, self.shuffled, self.groups = taken, shift, shuffled, groups
        self.rearranged = rearranged

    @property
    def embedding_size(self) -> int:
        """5 C."""
        return 5 * self.base.options.width

    def forward(self, pixels: Tensor, sides: Tensor | None = None) -> Tensor:
        """The embedding, before any normalisation; `sides` as in `SideTransformer`."""
        tokens: Tensor = self.base(pixels, sides)
        count = (tokens.shape[1] - 1) // self.groups
        patches = self._shuffled(tokens) if self.rearranged else tokens[:, 1:]
        classes = [self.b1(tokens)[:, 0]]
        for group in range(4):
            part = patches[:, group * count : (group + 1) * count]
            classes.append(self.b2(torch.cat([tokens[:, :1], part], 1))[:, 0])
        if self.taken == "after":
            necks = (self.bottleneck, self.bottleneck_1, self.bottleneck_2, self.bottleneck_3, self.bottleneck_4)
            classes = [neck(token) for neck, token in zip(necks, classes, strict=True)]
        return torch.cat([classes[0], *(token / 4 for token in classes[1:])], 1)

    def _shuffled(self, tokens: Tensor) -> Tensor:
        """Patches shifted, then dealt from so many groups in turn; one is doubled where they do not divide.

        The first `shift` places of all tokens, the class token among them, are left out or go to the end, as the
        project's `shuffle_unit` does with `begin=1`.
        """
        moved = torch.cat([tokens[:, self.shift :], tokens[:, 1 : self.shift]], 1)
        if moved.shape[1] % self.shuffled:
            moved = torch.cat([moved, moved[:, -2:-1]], 1)
        groups = moved.reshape(len(moved), self.shuffled, -1, moved.shape[2])
        return groups.transpose(1, 2).flatten(1, 2)
