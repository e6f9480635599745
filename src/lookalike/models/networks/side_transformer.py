"""TransReID's vision transformer (He et al. 2021): overlapping patches, and an embedding of the camera and the view.

Names as in timm's, so one without side information and with `stride` 16 is timm's `vit_base_patch16_224`.

Letters in shapes: B batch, P patches, C width, H and W of the image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.init import trunc_normal_

from lookalike.errors import ModelError

Size = tuple[int, int]


@dataclass(frozen=True)
class TransformerOptions:
    """What a transformer is made of.

    Attributes:
        size: Height and width of the images, in pixels.
        patch: Side of a patch, in pixels.
        stride: Between patches, down and across.
        width: C.
        depth: Blocks.
        heads: Of the attention.
        mlp_ratio: Width inside a block's second half, over C.
        qkv_bias: Whether queries, keys and values have a bias.
        scale: Of the products of queries and keys; None for one over the root of a head's width.
        sides: Rows of the side embedding: cameras, views, or cameras x views; 0 for none.
        side_weight: What it is multiplied by (SIE_COE).
    """

    size: Size = (256, 128)
    patch: int = 16
    stride: Size = (16, 16)
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    scale: float | None = None
    sides: int = 0
    side_weight: float = 3.0

    @property
    def patches(self) -> int:
        """P."""
        down, across = ((side - self.patch) // step + 1 for side, step in zip(self.size, self.stride, strict=True))
        return down * across


class Attention(nn.Module):
    """Self-attention of [B, P + 1, C].

    Args:
        options: Of the transformer.
    """

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        self.heads, self.scale = options.heads, options.scale
        self.qkv = nn.Linear(options.width, options.width * 3, bias=options.qkv_bias)
        self.proj = nn.Linear(options.width, options.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The same shape."""
        parts = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        mixed: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return mixed


class TransformerBlock(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a shortcut.

    Args:
        options: Of the transformer.
    """

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        width, inner = options.width, int(options.width * options.mlp_ratio)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(options)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, tokens: Tensor) -> Tensor:
        """The same shape."""
        tokens = tokens + self.attn(self.norm1(tokens))
        inside: Tensor = functional.gelu(self.mlp["fc1"](self.norm2(tokens)))
        whole: Tensor = tokens + self.mlp["fc2"](inside)
        return whole


class SideTransformer(nn.Module):
    """Normalised RGB [B, 3, H, W] -> the class token behind the last norm [B, C].

    Args:
        options: What it is made of.
        last: Whether it has run all blocks and the norm; else all but the last block, and gives [B, P + 1, C].
    """

    def __init__(self, options: TransformerOptions | None = None, last: bool = True) -> None:
        super().__init__()
        self.options = options = options or TransformerOptions()
        width = options.width
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, options.patch, options.stride)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, options.patches + 1, width))
        self.sie_embed = nn.Parameter(torch.zeros(options.sides, 1, width)) if options.sides else None
        self.blocks = nn.ModuleList(TransformerBlock(options) for _ in range(options.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.last = last
        for parameter in (self.cls_token, self.pos_embed, self.sie_embed):
            if parameter is not None:
                trunc_normal_(parameter, std=0.02)

    def tokens(self, pixels: Tensor, sides: Tensor | None) -> Tensor:
        """What enters the first block, [B, P + 1, C].

        Raises:
            ModelError: It has a side embedding and no sides are given, or images are of another size.
        """
        options = self.options
        if tuple(pixels.shape[2:]) != options.size:
            height, width = options.size
            raise ModelError(
                f"this transformer was made for {height} x {width} pixels, found "
                f"{' x '.join(map(str, pixels.shape[2:]))}: give pixels.height={height} pixels.width={width}"
            )
        patches = self.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches], 1) + self.pos_embed
        if self.sie_embed is None:
            return tokens
        return tokens + options.side_weight * chosen_sides(self.sie_embed, sides)

    def forward(self, pixels: Tensor, sides: Tensor | None = None) -> Tensor:
        """See above.

        Args:
            pixels: [B, 3, H, W].
            sides: int64 [B], rows of the side embedding: cameras counted from 0, or camera x views + view.
        """
        tokens = self.tokens(pixels, sides)
        for block in self.blocks if self.last else list(self.blocks)[:-1]:
            tokens = block(tokens)
        if not self.last:
            return tokens
        embedding: Tensor = self.norm(tokens)[:, 0]
        return embedding


def chosen_sides(table: Tensor, sides: Tensor | None) -> Tensor:
    """Rows of a side embedding.

    Args:
        table: [rows, ...].
        sides: int64 [B].

    Raises:
        ModelError: No sides, or some that the table has not.
    """
    way_out = "give the camera of every image, counted from 0 in the order of training"
    if sides is None:
        raise ModelError(f"this network embeds the camera, of which it knows {len(table)}; found none: {way_out}")
    if sides.numel() and not 0 <= int(sides.min()) <= int(sides.max()) < len(table):
        given = f"{int(sides.min())} to {int(sides.max())}"
        raise ModelError(f"this network knows cameras 0 to {len(table) - 1}, found {given}: {way_out}")
    return table[sides]
