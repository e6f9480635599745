"""Checkpoints as their authors save them, of networks of torchvision and timm, and what these make of an image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from foreign_networks import lived

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Kind:
    """A kind of checkpoint.

    Attributes:
        architecture: That is to be recognised.
        project: Likewise; empty where the file shows none.
        build: Makes the authors' module.
        save: Writes it as the authors do; returns the file.
        read: The authors' way from a picture to a tensor [3, H, W].
        embed: What they take as embedding.
        given: Settings without which nobody could know.
    """

    architecture: str
    project: str
    build: Callable[[], nn.Module]
    save: Callable[[nn.Module, Path], Path]
    read: Callable[[Image.Image], Tensor]
    embed: Callable[[nn.Module, Tensor], Tensor]
    given: dict[str, Any]


def stretched(height: int, width: int, kernel: InterpolationMode = InterpolationMode.BILINEAR) -> Any:
    return transforms.Compose(
        [transforms.Resize((height, width), kernel), transforms.ToTensor(), transforms.Normalize(*IMAGENET)]
    )


def cropped(size: int, kernel: InterpolationMode = InterpolationMode.BILINEAR, resized: int | None = None) -> Any:
    steps = [transforms.Resize(resized or size, kernel), transforms.CenterCrop(size), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize(*IMAGENET)])


def seeded(make: Callable[[], nn.Module], side: int = 64) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        torch.manual_seed(5)
        network = make()
        has_norms = any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
        return lived(network, side) if has_norms else network.eval()

    return build


def saved(name: str = "model.pth", wrap: str = "", **entries: Any) -> Callable[[nn.Module, Path], Path]:
    """A state dict, behind a wrapper's prefix; with entries the value `...` stands for it."""

    def save(network: nn.Module, folder: Path) -> Path:
        state = {wrap + key: value for key, value in network.state_dict().items()}
        content = {key: state if value is ... else value for key, value in entries.items()} or state
        torch.save(content, folder / name)
        return folder / name

    return save


def legacy(network: nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def averaged(network: nn.Module, folder: Path) -> Path:
    """As timm's train.py saves it, with an average of the weights beside them."""
    state = network.state_dict()
    average = {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}
    content = {"epoch": 3, "arch": network.kind, "state_dict": state, "optimizer": {}, "version": 2}
    torch.save({**content, "state_dict_ema": average, "metric": 0.5}, folder / "model_best.pth.tar")
    return folder / "model_best.pth.tar"


def hub(network: nn.Module, folder: Path) -> Path:
    """As timm.models.save_for_hf does: weights, and a config beside them."""
    import json

    config = dict(network.pretrained_cfg)
    about = {"architecture": network.kind, "num_classes": 10, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(about, default=str))
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def of_timm(name: str, **settings: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        network = timm.create_model(name, **settings)
        network.kind = name
        return network

    return seeded(make)


def pre_logits(network: nn.Module, images: Tensor) -> Tensor:
    features: Tensor = network.forward_head(network.forward_features(images), pre_logits=True)
    return features


def without(attribute: str) -> Callable[[nn.Module, Tensor], Tensor]:
    """What goes into the classifier."""

    def embed(network: nn.Module, images: Tensor) -> Tensor:
        kept = network.get_submodule(attribute)
        owner, _, name = attribute.rpartition(".")
        place = network.get_submodule(owner) if owner else network
        setattr(place, name, nn.Identity())
        features: Tensor = network(images)
        setattr(place, name, kept)
        return features

    return embed


def whole(network: nn.Module, images: Tensor) -> Tensor:
    embedding: Tensor = network(images)
    return embedding


def timm_kind(name: str, save: Callable[[nn.Module, Path], Path], project: str = "timm", **settings: Any) -> Kind:
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    read = create_transform(**config)
    return Kind(name, project, of_timm(name, **settings), save, read, pre_logits, {})


class Head(nn.Module):
    """A network under an attribute, as Lightning modules hold it, and what stands behind it."""

    def __init__(self, net: nn.Module, width: int, size: int, neck: bool = False, classes: int = 0) -> None:
        super().__init__()
        self.net = net
        self.embedding = nn.Linear(width, size)
        self.bn = nn.BatchNorm1d(size) if neck else nn.Identity()
        self.loss = nn.Module()
        self.loss.W = nn.Parameter(torch.randn(size, classes)) if classes else None

    def forward(self, images: Tensor) -> Tensor:
        embedding: Tensor = self.bn(self.embedding(self.net(images)))
        return embedding


def _lightning(network: nn.Module) -> dict[str, Any]:
    return {"state_dict": ..., "pytorch-lightning_version": "2.4.0", "epoch": 1, "hyper_parameters": {"lr": 0.1}}


def torchvision_kind(name: str, head: str, save: Any = None, project: str = "torchvision", **more: Any) -> Kind:
    def make() -> nn.Module:
        network: nn.Module = getattr(torchvision.models, name)(**more)
        return network

    entries = {"model": ..., "optimizer": {}, "lr_scheduler": {}, "epoch": 2, "args": {}}
    timms = {"swin_t": "swin_tiny_patch4_window7_224", "mobilenet_v2": "mobilenetv2_100"}
    architecture = timms.get(name, name.replace("mobilenet_v3_small", "mobilenetv3_small_100"))
    writer = save or saved(**entries)
    return Kind(architecture, project, seeded(make), writer, cropped(224, resized=256), without(head), {})


def plain(name: str, width: int, size: int, **settings: Any) -> Kind:
    """A network of torchvision in a Lightning module, with a head."""

    def make() -> nn.Module:
        net = getattr(torchvision.models, name)()
        net.fc = nn.Identity()
        return Head(net, width, size, **settings)

    state = {"state_dict": ..., "pytorch-lightning_version": "2.4.0", "hyper_parameters": {"lr": 0.1}}
    return Kind(name, "", seeded(make), saved("last.ckpt", **state), stretched(224, 224), whole, {})


KINDS: dict[str, Kind] = {
    "timm train.py with an average": timm_kind("resnet18", averaged, num_classes=10),
    "timm hub folder": timm_kind("efficientnet_b0", hub, num_classes=10),
    "timm hub folder, tf": timm_kind("tf_mobilenetv3_small_075", hub, num_classes=10),
    "timm SE-ResNet": timm_kind("seresnet18", averaged, num_classes=10),
    "timm ResNeXt": timm_kind("seresnext26d_32x4d", averaged, num_classes=10),
    "timm ConvNeXt": timm_kind("convnext_atto", averaged, num_classes=10),
    "timm DeiT distilled": timm_kind("deit_tiny_distilled_patch16_224", averaged, num_classes=10),
    "timm ViT": timm_kind("vit_tiny_patch16_224", hub, num_classes=10),
    "timm MobileNet v2": timm_kind("mobilenetv2_050", averaged, num_classes=10),
    "timm RegNet": timm_kind("regnety_002", averaged, num_classes=10),
    "timm without a classifier": timm_kind("resnet10t", averaged, num_classes=0),
    "torchvision ResNet": torchvision_kind("resnet18", "fc", num_classes=10),
    "torchvision DenseNet": torchvision_kind("densenet121", "classifier", num_classes=10),
    "torchvision EfficientNet": torchvision_kind("efficientnet_b0", "classifier.1", num_classes=10),
    "torchvision ConvNeXt": torchvision_kind("convnext_tiny", "classifier.2", num_classes=10),
    "torchvision Swin": torchvision_kind("swin_t", "head", num_classes=10),
    "torchvision MobileNet v2": torchvision_kind("mobilenet_v2", "classifier.1", num_classes=10),
    "torchvision MobileNet v3": torchvision_kind("mobilenet_v3_small", "classifier.3", num_classes=10),
    "torchvision EfficientNet with another eps": torchvision_kind("efficientnet_b5", "classifier.1", num_classes=10),
    "Lightning with an embedding layer": plain("resnet18", 512, 64),
    "Lightning with a neck and a loss": plain("resnet18", 512, 64, neck=True, classes=20),
}


def metric_learning(network: nn.Module, folder: Path) -> Path:
    """As pytorch-metric-learning's hooks save the trunk: without the embedder, which is a file of its own."""
    torch.save(network.state_dict(), folder / "trunk_best12.pth")
    return folder / "trunk_best12.pth"


class TrunkAndEmbedder(nn.Module):
    """As the examples hold them: a trunk without classifier, and a linear layer in a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.embedder = _trunk(), nn.Module()
        self.embedder.net = nn.Sequential(nn.Linear(512, 64))

    def forward(self, images: Tensor) -> Tensor:
        embedding: Tensor = self.embedder.net(self.trunk(images))
        return embedding


def two_files(network: nn.Module, folder: Path) -> Path:
    torch.save(network.embedder.state_dict(), folder / "embedder_best3.pth")
    torch.save(network.trunk.state_dict(), folder / "trunk_best3.pth")
    return folder / "trunk_best3.pth"


def _trunk() -> nn.Module:
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    return network


def oml(network: nn.Module, folder: Path) -> Path:
    """As open-metric-learning's checkpoints are: the extractor under `model.model`, the criterion beside it."""
    state = {f"model.model.{name}": value for name, value in network.state_dict().items()}
    state["criterion.weight"] = torch.randn(9, 512)
    callbacks = {"ModelCheckpoint{'monitor': 'val/OVERALL/cmc/1', 'mode': 'max'}": {"best_k_models": {}}}
    torch.save({"state_dict": state, "callbacks": callbacks, "hyper_parameters": {}}, folder / "last.ckpt")
    return folder / "last.ckpt"


def teacher_and_student(network: nn.Module, folder: Path) -> Path:
    """As DINO saves both, compiled and on several devices."""
    state = network.state_dict()
    other = {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}
    student = {f"module._orig_mod.backbone.{name}": value for name, value in state.items()}
    teacher = {f"backbone.{name}": value for name, value in other.items()}
    torch.save({"student": student, "teacher": teacher, "epoch": 3}, folder / "checkpoint.pth")
    return folder / "checkpoint.pth"


def half(network: nn.Module, folder: Path) -> Path:
    """In float16, which is what the authors' own network then computes with."""
    state = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    torch.save({"net": state}, folder / "half.pt")
    return folder / "half.pt"


def _squeezed() -> nn.Module:
    return timm.create_model("seresnet18", num_classes=1000)


KINDS |= {
    "pytorch-metric-learning's trunk": Kind(
        "resnet18",
        "pytorch-metric-learning",
        seeded(_trunk),
        metric_learning,
        cropped(227, resized=256),
        whole,
        {},
    ),
    "pytorch-metric-learning's trunk and embedder": Kind(
        "resnet18",
        "pytorch-metric-learning",
        seeded(TrunkAndEmbedder),
        two_files,
        cropped(227, resized=256),
        whole,
        {},
    ),
    "open-metric-learning's extractor": Kind(
        "resnet18",
        "open-metric-learning",
        seeded(_trunk),
        oml,
        stretched(96, 96),
        whole,
        {"pixels": {"height": 96, "width": 96, "resize": "stretch", "interpolation": "bilinear", "antialias": True}},
    ),
    "open-metric-learning's extractor with fc": Kind(
        "resnet18",
        "open-metric-learning",
        seeded(lambda: torchvision.models.resnet18(num_classes=24)),
        oml,
        stretched(96, 96),
        whole,
        {"pixels": {"height": 96, "width": 96, "resize": "stretch", "interpolation": "bilinear", "antialias": True}},
    ),
    "student and teacher": Kind(
        "vit_tiny_patch16_224",
        "",
        of_timm("vit_tiny_patch16_224", num_classes=0),
        teacher_and_student,
        stretched(224, 224),
        whole,
        {"model": {"mean": IMAGENET[0], "std": IMAGENET[1]}, "key": "student"},
    ),
    "half precision": Kind("resnet18", "", seeded(_trunk), half, stretched(224, 224), whole, {}),
    "before torch 1.6": Kind("resnet18", "", seeded(_trunk), legacy, stretched(224, 224), whole, {}),
    "ImageNet's classes": Kind(
        "seresnet18", "", seeded(_squeezed), saved(wrap="net."), stretched(224, 224), pre_logits, {}
    ),
}


def hub_of_halves(network: nn.Module, folder: Path) -> Path:
    """A folder of timm's hub without a classifier, as MegaDescriptor's are: Swin, with mean and std of its own."""
    network.pretrained_cfg = {**network.pretrained_cfg, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    return hub(network, folder)


_HALVES = transforms.Compose(
    [
        *cropped(224, InterpolationMode.BICUBIC).transforms[:-1],
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
)
_SWIN = "swin_tiny_patch4_window7_224"
KINDS["timm hub folder of Swin"] = Kind(
    _SWIN, "timm", of_timm(_SWIN, num_classes=0), hub_of_halves, _HALVES, pre_logits, {}
)
