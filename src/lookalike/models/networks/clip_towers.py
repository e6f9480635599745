"""CLIP's image towers (Radford et al. 2021) as CLIP-ReID changes them (model/clip/model.py at 4c0eb20).

The transformer takes images that are not square, overlapping patches and a side embedding; the ResNet has stage 4 at
the resolution of stage 3 and attends from every place.

Letters in shapes: B batch, P patches or places, C width, D projection, H and W of the image, h and w of the features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ModelError


@dataclass(frozen=True)
class ClipOptions:
    """What an image tower is made of.

    Attributes:
        size: Height and width of the images, in pixels.
        patch: Side of a patch, in pixels; of the ResNet, pixels per place.
        stride: Between patches; of the ResNet the same as `patch`.
        width: C of the transformer, or of the ResNet's first stage.
        depth: Blocks of the transformer.
        layers: Blocks of the ResNet's stages.
        projection: D.
    """

    size: tuple[int, int] = (256, 128)
    patch: int = 16
    stride: int = 16
    width: int = 768
    depth: int = 12
    layers: tuple[int, ...] = (3, 4, 6, 3)
    projection: int = 512

    @property
    def places(self) -> int:
        """P."""
        down, across = ((side - self.patch) // self.stride + 1 for side in self.size)
        return down * across


class JoinedAttention(nn.Module):
    """Self-attention with the names of `nn.MultiheadAttention`: [B, P, C] -> the same shape.

    Args:
        width: C.
        heads: Of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The same shape."""
        joined = functional.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        query, key, value = joined.reshape(*joined.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return mixed


class ClipBlock(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a shortcut.

    Args:
        width: C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = JoinedAttention(width, width // 64)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, width * 4), "c_proj": nn.Linear(width * 4, width)})
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The same shape."""
        tokens = tokens + self.attn(self.ln_1(tokens))
        inside: Tensor = self.mlp["c_fc"](self.ln_2(tokens))
        whole: Tensor = tokens + self.mlp["c_proj"](inside * (1.702 * inside).sigmoid())  # the quick gelu of CLIP
        return whole


class ClipTransformer(nn.Module):
    """Normalised RGB [B, 3, H, W] -> class token behind the last norm [B, C], and its projection [B, D].

    Args:
        options: What it is made of.
    """

    def __init__(self, options: ClipOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or ClipOptions()
        width, scale = options.width, options.width**-0.5
        self.conv1 = nn.Conv2d(3, width, options.patch, options.stride, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(options.places + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = nn.ModuleDict(
            {"resblocks": nn.Sequential(*(ClipBlock(width) for _ in range(options.depth)))}
        )
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, options.projection))

    @property
    def widths(self) -> tuple[int, int]:
        """C and D."""
        return self.options.width, self.options.projection

    def forward(self, pixels: Tensor, side: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both.

        Args:
            pixels: [B, 3, H, W].
            side: Added to the class token before the first norm, [B, C].

        Raises:
            ModelError: Images of another size.
        """
        _need_size(pixels, self.options)
        patches: Tensor = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        if side is not None:
            first = first + side[:, None]
        tokens: Tensor = self.ln_pre(torch.cat([first, patches], 1) + self.positional_embedding)
        token: Tensor = self.ln_post(self.transformer["resblocks"](tokens)[:, 0])
        return token, token @ self.proj


class ClipBottleneck(nn.Module):
    """A block whose strides are average poolings.

    Args:
        channels: Of its input.
        planes: A quarter of its output.
        stride: Of it.
    """

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != planes * 4:
            steps = {"0": nn.Conv2d(channels, planes * 4, 1, bias=False), "1": nn.BatchNorm2d(planes * 4)}
            self.downsample = nn.Sequential()
            self.downsample.add_module("-1", nn.AvgPool2d(stride))
            for name, step in steps.items():
                self.downsample.add_module(name, step)

    def forward(self, features: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, 4 planes, h / stride, w / stride]."""
        inside: Tensor = self.bn1(self.conv1(features)).relu()
        inside = self.bn2(self.conv2(inside)).relu()
        summed: Tensor = self.bn3(self.conv3(self.pool(inside))) + self.downsample(features)
        return summed.relu()


class AttentionPool(nn.Module):
    """What the mean of all places attends to: [B, C, h, w] -> [B, D].

    Args:
        places: P.
        channels: C.
        heads: Of the attention.
        projection: D.
    """

    def __init__(self, places: int, channels: int, heads: int, projection: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(places + 1, channels) * channels**-0.5)
        self.k_proj, self.q_proj, self.v_proj = (nn.Linear(channels, channels) for _ in range(3))
        self.c_proj = nn.Linear(channels, projection)

    def forward(self, features: Tensor) -> Tensor:
        """The first of the tokens that the project makes."""
        places = features.flatten(2).transpose(1, 2)
        tokens = torch.cat([places.mean(1, keepdim=True), places], 1) + self.positional_embedding
        query, key, value = (
            part(given).reshape(*given.shape[:2], self.heads, -1).transpose(1, 2)
            for part, given in ((self.q_proj, tokens[:, :1]), (self.k_proj, tokens), (self.v_proj, tokens))
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.c_proj(seen.transpose(1, 2).flatten(1))
        return projected


class ClipResidual(nn.Module):
    """Normalised RGB [B, 3, H, W] -> mean over the last features [B, 32 C], and what attention makes of them [B, D].

    Args:
        options: What it is made of.
    """

    def __init__(self, options: ClipOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or ClipOptions(width=64, projection=1024)
        width = options.width
        self.conv1 = nn.Conv2d(3, width // 2, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        stages = []
        for stage, (count, stride) in enumerate(zip(options.layers, (1, 2, 2, 1), strict=True)):
            planes = width * 2**stage
            first = ClipBottleneck(planes * 2 if stage else width, planes, stride)
            stages.append(nn.Sequential(first, *(ClipBottleneck(planes * 4, planes, 1) for _ in range(count - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.attnpool = AttentionPool(options.places, width * 32, width * 32 // 64, options.projection)

    @property
    def widths(self) -> tuple[int, int]:
        """32 C and D."""
        return self.options.width * 32, self.options.projection

    def forward(self, pixels: Tensor, side: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both; it has no use for a side embedding.

        Raises:
            ModelError: Images of another size.
        """
        _need_size(pixels, self.options)
        features = pixels
        for convolution, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            features = norm(convolution(features)).relu()
        features = self.avgpool(features)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
        projected: Tensor = self.attnpool(features)
        return features.mean((2, 3)), projected


def _need_size(pixels: Tensor, options: ClipOptions) -> None:
    """Refuses images of another size than the position embeddings are for."""
    if tuple(pixels.shape[2:]) != options.size:
        height, width = options.size
        raise ModelError(
            f"this image tower was made for {height} x {width} pixels, found "
            f"{' x '.join(map(str, pixels.shape[2:]))}: give pixels.height={height} pixels.width={width}"
        )
