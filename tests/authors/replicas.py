"""Networks of projects that no registry has, built as their repositories build them, of torch, torchvision and timm.

They share nothing with `lookalike.models.networks`: what these make is compared with what those make. Each class names
the file and the commit that it follows; `tested` does what the project's own test script does with an image.
"""

from functools import partial

import numpy as np
import torch
import torchvision
from timm.models.vision_transformer import Block
from torch import Tensor, nn


def _resnet50(last_stride: int, stem_relu: bool = True, layers: tuple[int, ...] = (3, 4, 6, 3)) -> nn.Module:
    """torchvision's, without its classifier."""
    network = torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, list(layers))
    if last_stride == 1:
        network.layer4[0].downsample[0].stride = (1, 1)
        network.layer4[0].conv2.stride = (1, 1)
    if not stem_relu:
        network.relu = nn.Identity()
    network.fc = nn.Identity()
    return network


class StrongBaseline(nn.Module):
    """michuanhaohao/reid-strong-baseline: modeling/baseline.py; its resnet.py (db0ec5c) has no relu in the stem."""

    size = (256, 128)

    def __init__(self) -> None:
        super().__init__()
        self.base = _resnet50(last_stride=1, stem_relu=False)
        self.bottleneck = nn.BatchNorm1d(2048)
        self.classifier = nn.Linear(2048, 751, bias=False)

    def tested(self, images: Tensor) -> Tensor:
        return self.bottleneck(self.base(images))


class _PlaceByPlace(nn.Module):
    """mangye16/ReID-Survey: modeling/layer/non_local.py at 55ddf0e, written as sums over pairs of places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, 1, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(1, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, features: Tensor) -> Tensor:
        theta, phi, value = (part(features).flatten(1) for part in (self.theta, self.phi, self.g))
        taken = torch.einsum("bi,bj,bj->bi", theta, phi, value) / theta.shape[1]
        return features + self.W(taken.view(len(features), 1, *features.shape[2:]))


class Agw(nn.Module):
    """mangye16/ReID-Survey: modeling/baseline.py at 0a1cb38 with resnet50_nl at 70674ed and GeM."""

    size = (256, 128)

    def __init__(self) -> None:
        super().__init__()
        self.base = _resnet50(last_stride=1, stem_relu=False)
        self.base.NL_2 = nn.ModuleList(_PlaceByPlace(512) for _ in range(2))
        self.base.NL_3 = nn.ModuleList(_PlaceByPlace(1024) for _ in range(3))
        self.global_pool = nn.Module()
        self.global_pool.p = nn.Parameter(torch.ones(1) * 3)
        self.bottleneck = nn.BatchNorm1d(2048)
        self.classifier = nn.Linear(2048, 751, bias=False)

    def tested(self, images: Tensor) -> Tensor:
        base = self.base
        features = base.layer1(base.maxpool(base.bn1(base.conv1(images))))
        for number, block in enumerate(base.layer2):
            features = block(features)
            if number in (2, 3):
                features = base.NL_2[number - 2](features)
        for number, block in enumerate(base.layer3):
            features = block(features)
            if number in (3, 4, 5):
                features = base.NL_3[number - 3](features)
        power = self.global_pool.p
        pooled = nn.functional.adaptive_avg_pool2d(base.layer4(features).clamp(min=1e-6).pow(power), 1).pow(1 / power)
        return self.bottleneck(pooled.flatten(1))


class _Block(nn.Module):
    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.add_block = nn.Sequential(nn.Linear(entering, leaving), nn.BatchNorm1d(leaving), nn.Dropout(0.5))
        self.classifier = nn.Sequential(nn.Linear(leaving, 751))


class FtNet(nn.Module):
    """layumi/Person_reID_baseline_pytorch: model.py at 671a1e2; test.py adds the mirrored image's output."""

    size = (256, 128)

    def __init__(self) -> None:
        super().__init__()
        self.model = _resnet50(last_stride=2)
        self.model.fc = nn.Linear(2048, 1000)
        self.classifier = _Block(2048, 512)

    def _run(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images)))))
        features = model.layer4(model.layer3(model.layer2(features)))
        return self.classifier.add_block(model.avgpool(features).flatten(1))

    def tested(self, images: Tensor) -> Tensor:
        summed = self._run(images) + self._run(images[..., torch.arange(images.shape[3] - 1, -1, -1)])
        return summed / summed.norm(dim=1, keepdim=True)


class Pcb(nn.Module):
    """layumi/Person_reID_baseline_pytorch: PCB and PCB_test of model.py at 671a1e2, test.py at 017b163."""

    size = (384, 192)

    def __init__(self) -> None:
        super().__init__()
        self.model = _resnet50(last_stride=1)
        self.model.fc = nn.Linear(2048, 1000)
        for number in range(6):
            setattr(self, f"classifier{number}", _Block(2048, 256))

    def _run(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images)))))
        features = nn.AdaptiveAvgPool2d((6, 1))(model.layer4(model.layer3(model.layer2(features))))
        return features.view(features.shape[0], features.shape[1], features.shape[2])

    def tested(self, images: Tensor) -> Tensor:
        summed = self._run(images) + self._run(images.flip(3))
        lengths = summed.norm(dim=1, keepdim=True) * np.sqrt(6)
        return (summed / lengths).reshape(len(images), -1)


class TransReidLocal(nn.Module):
    """damo-cv/TransReID: build_transformer_local with vit_base, stride 12, six cameras (vit_transreid_stride.yml).

    The blocks are timm's; patches are dealt by a list of places instead of reshaping.

    Args:
        depth: Of the transformer.
        cameras: That the side embedding knows.
        stride: Between patches.
    """

    size = (256, 128)

    def __init__(self, depth: int = 12, cameras: int = 6, stride: int = 12) -> None:
        super().__init__()
        width = 768
        self.base = nn.Module()
        self.base.patch_embed = nn.Module()
        self.base.patch_embed.proj = nn.Conv2d(3, width, 16, stride)
        places = ((256 - 16) // stride + 1) * ((128 - 16) // stride + 1)
        self.base.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.base.pos_embed = nn.Parameter(torch.zeros(1, places + 1, width))
        self.base.sie_embed = nn.Parameter(torch.zeros(cameras, 1, width))
        self.base.blocks = nn.ModuleList(self._block() for _ in range(depth))
        self.base.norm = nn.LayerNorm(width, eps=1e-6)
        self.base.fc = nn.Linear(width, 1000)
        self.b1, self.b2 = (nn.Sequential(self._block(), nn.LayerNorm(width, eps=1e-6)) for _ in range(2))
        for number in ("", "_1", "_2", "_3", "_4"):
            setattr(self, f"bottleneck{number}", nn.BatchNorm1d(width))
            setattr(self, f"classifier{number}", nn.Linear(width, 751, bias=False))

    @staticmethod
    def _block() -> nn.Module:
        block: nn.Module = Block(768, 12, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6))
        return block

    def tested(self, images: Tensor, cameras: Tensor) -> Tensor:
        base = self.base
        patches = base.patch_embed.proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([base.cls_token.expand(len(images), -1, -1), patches], 1)
        tokens = tokens + base.pos_embed + 3.0 * base.sie_embed[cameras]
        for block in base.blocks[:-1]:
            tokens = block(tokens)
        whole = self.b1(tokens)[:, 0]
        count = tokens.shape[1] - 1
        order = [*range(5, count + 1), *range(1, 5)]  # SHIFT_NUM 5
        if len(order) % 2:
            order.append(order[-2])
        half = len(order) // 2
        dealt = [order[number // 2 + half * (number % 2)] for number in range(len(order))]  # SHUFFLE_GROUP 2
        parts = [whole]
        for number in range(4):  # DEVIDE_LENGTH 4
            chosen = [0, *dealt[number * (count // 4) : (number + 1) * (count // 4)]]
            parts.append(self.b2(tokens[:, chosen])[:, 0] / 4)
        return torch.cat(parts, 1)


REPLICAS = {
    "strong-baseline": (StrongBaseline, "reid-strong-baseline", "db0ec5c"),
    "agw": (Agw, "AGW", "0a1cb38"),
    "layumi-ft-net": (FtNet, "layumi", "671a1e2"),
    "layumi-pcb": (Pcb, "layumi PCB", "671a1e2"),
    "transreid-jpm-sie-stride": (TransReidLocal, "TransReID", "6227ebd"),
}
