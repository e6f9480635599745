"""Makes checkpoints with the projects' own code, and what they embed with it.

authors.py OUT IMAGE [IMAGE ...] [--only=KIND]

Runs in an environment of its own (see requirements-authors.txt beside this file) and knows nothing of lookalike. For
every kind it writes OUT/<kind>/: the checkpoint as the project saves it, `embeddings.npy` of the images as the project
reads them, `about.json`: project, version, size, names and shapes, and what the network makes of a fixed input with
weights that follow from names and shapes (tests/authors/recipe.py).

Networks of projects that no registry has are those of tests/authors/replicas.py, and say so.
"""

import collections
import collections.abc
import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from author_kind import (
    IDENTITIES,
    IMAGENET,
    Kind,
    beside,
    by_torchvision,
    legacy,
    lightning,
    lived,
    quiet,
    safetensors,
    state_dict,
)
from author_libraries import library_kinds
from author_settings import settings_kinds
from torch import Tensor, nn

recipe = beside("recipe")


def torchreid_kind(name: str, size: tuple[int, int] = (256, 128)) -> Kind:
    """A network of torchreid, its save_checkpoint and its FeatureExtractor's way with images."""
    from torchreid.reid import models
    from torchreid.reid.data.transforms import build_transforms
    from torchreid.reid.utils import read_image, save_checkpoint

    with quiet():
        steps = build_transforms(*size)[1]

    def save(network: nn.Module, folder: Path) -> Path:
        optimiser = torch.optim.Adam(network.parameters(), 3e-4)
        scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 20)
        state = {"state_dict": network.state_dict(), "epoch": 60, "rank1": 0.94, "optimizer": optimiser.state_dict()}
        with quiet():
            save_checkpoint({**state, "scheduler": scheduler.state_dict()}, str(folder))
        return folder / "model.pth.tar-60"

    return Kind(
        "torchreid",
        "torchreid",
        lambda: models.build_model(name, IDENTITIES, pretrained=False, use_gpu=False),
        lambda network, images: network(images),
        lambda file: steps(read_image(file)),
        save,
        size,
    )


def fast_reid_kind(size: tuple[int, int] = (256, 128), more: dict[str, Any] | None = None, **settings: Any) -> Kind:
    """fast-reid's Baseline by its configuration, its Checkpointer and its transforms.

    Args:
        size: Of the images.
        more: Settings by their whole names.
        settings: Of MODEL, with two underscores for a dot.
    """
    if "torch._six" not in sys.modules:  # names that are gone since Python 3.10 and torch 2.0, and that it imports
        sys.modules["torch._six"] = stub = types.ModuleType("torch._six")
        vars(stub)["string_classes"] = (str, bytes)
        vars(collections)["Mapping"] = collections.abc.Mapping
    from fastreid.config import get_cfg
    from fastreid.data.data_utils import read_image
    from fastreid.data.transforms import build_transforms
    from fastreid.modeling.meta_arch import build_model
    from fastreid.utils.checkpoint import Checkpointer

    cfg = get_cfg()
    given = {"MODEL.DEVICE": "cpu", "MODEL.HEADS.NUM_CLASSES": IDENTITIES, "MODEL.HEADS.WITH_BNNECK": True}
    given |= {"INPUT.SIZE_TRAIN": list(size), "INPUT.SIZE_TEST": list(size)}
    given |= {f"MODEL.{name.replace('__', '.')}": value for name, value in settings.items()} | (more or {})
    cfg.merge_from_list([part for pair in given.items() for part in pair])
    steps = build_transforms(cfg, is_train=False)
    mean, std = (torch.tensor(value)[:, None, None] for value in (cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD))

    def run(network: nn.Module, images: Tensor) -> Tensor:
        return network({"images": images * std + mean})  # it normalises in place

    def save(network: nn.Module, folder: Path) -> Path:
        Checkpointer(network, str(folder)).save("model_final", iteration=1)
        return folder / "model_final.pth"

    return Kind(
        "fast-reid",
        "fastreid",
        lambda: build_model(cfg),
        run,
        lambda file: (steps(read_image(file)) - mean) / std,
        save,
        size,
        settings={"cfg": cfg},
    )


def clip_reid_kind(name: str, cameras: int = 0) -> Kind:
    """CLIP-ReID's modules as boxmot 12.0.7 has them, around a CLIP with random weights."""
    from yacs.config import CfgNode

    place = Path(str(importlib.util.find_spec("boxmot").submodule_search_locations[0])) / "appearance/backbones/clip"  # type: ignore[union-attr,index]
    for package in ("clip_reid", "clip_reid.clip"):  # without the package's own start, which needs everything
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(place / "clip" if package.endswith("clip") and "." in package else place)]  # type: ignore[attr-defined]
    for part, content in (("clip", {}), ("simple_tokenizer", {"SimpleTokenizer": object})):  # of the text tower
        sys.modules[f"clip_reid.clip.{part}"] = stub = types.ModuleType(part)
        vars(stub).update(content)
        setattr(sys.modules["clip_reid.clip"], part, stub)
    clip = importlib.import_module("clip_reid.clip.model")
    make = importlib.import_module("clip_reid.make_model")
    vit = name == "ViT-B-16"
    layers, width = (12, 768) if vit else ((3, 4, 6, 3), 64)

    def load(_: str, rows: int, columns: int, stride: int) -> nn.Module:
        projection = 512 if vit else 1024
        whole: nn.Module = clip.CLIP(projection, 224, layers, width, 16, stride, 77, 64, 64, 1, 1, rows, columns)
        return whole

    make.load_clip_to_cpu = load
    values = {"NAME": name, "COS_LAYER": False, "NECK": "bnneck", "SIE_COE": 1.0, "STRIDE_SIZE": [16, 16]}
    cfg = CfgNode({"MODEL": values, "TEST": {"NECK_FEAT": "before"}, "INPUT": {"SIZE_TRAIN": [256, 128]}})

    def build() -> nn.Module:
        network: nn.Module = make.build_transformer(IDENTITIES, cameras, 0, cfg)
        if cameras:
            network.cv_embed = nn.Parameter(torch.zeros(cameras, width))
        return network

    def run(network: nn.Module, images: Tensor) -> Tensor:
        chosen = torch.arange(len(images)) % cameras if cameras else None
        return network(images, cam_label=chosen)

    halves = ([0.5] * 3, [0.5] * 3)
    read = by_torchvision((256, 128), bicubic=False, normalised=halves if vit else IMAGENET)
    return Kind("CLIP-ReID", "boxmot", build, run, read, state_dict, settings={"cameras": cameras})


def replica_kind(name: str) -> Kind:
    """A network of tests/authors/replicas.py."""
    replicas = beside("replicas")
    build, project, commit = replicas.REPLICAS[name]
    trans = project == "TransReID"

    def run(network: nn.Module, images: Tensor) -> Tensor:
        tested: Any = network.tested
        return tested(images, torch.arange(len(images)) % 6) if trans else tested(images)

    normalised = ([0.5] * 3, [0.5] * 3) if trans else IMAGENET
    read = by_torchvision(build.size, bicubic=project.startswith("layumi"), normalised=normalised)
    return Kind(
        *(project, commit, build, run, read, state_dict),
        size=build.size,
        replica=True,
        golden=False,
        settings={"cameras": 6} if trans else {},
    )


def _other_format(base: Kind, write: Callable[[nn.Module, Path], Path]) -> Kind:
    return Kind(base.project, base.package, base.build, base.run, base.read, write, base.size)


def kinds() -> dict[str, Callable[[], Kind]]:
    """Name -> what makes the kind; projects are imported by their own kinds alone."""
    osnets = ("osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25", "osnet_ibn_x1_0")
    ains = ("osnet_ain_x1_0", "osnet_ain_x0_75", "osnet_ain_x0_5", "osnet_ain_x0_25")
    resnets = ("resnet50", "resnet50_fc512", "resnet50_ibn_a", "resnet50_ibn_b", "resnext50_32x4d", "mlfn")
    made: dict[str, Callable[[], Kind]] = {
        f"torchreid-{name}": lambda name=name: torchreid_kind(name) for name in (*osnets, *ains, *resnets)
    }
    made["torchreid-hacnn"] = lambda: torchreid_kind("hacnn", (160, 64))
    made["torchreid-pcb_p6"] = lambda: torchreid_kind("pcb_p6", (384, 128))
    sbs = {"HEADS__POOL_LAYER": "GeneralizedMeanPoolingP", "BACKBONE__WITH_NL": True}
    vit = {"BACKBONE__NAME": "build_vit_backbone", "HEADS__POOL_LAYER": "Identity", "BACKBONE__FEAT_DIM": 768}
    osnet = {"BACKBONE__NAME": "build_osnet_backbone", "BACKBONE__DEPTH": "x0_25", "BACKBONE__FEAT_DIM": 128}
    resnext = {"BACKBONE__NAME": "build_resnext_backbone", "BACKBONE__DEPTH": "50x", "BACKBONE__WITH_IBN": True}
    small = {"BACKBONE__DEPTH": "18x", "BACKBONE__FEAT_DIM": 512}
    configurations: dict[str, dict[str, Any]] = {
        "bagtricks-r50": {},
        "bagtricks-r50-ibn": {"BACKBONE__WITH_IBN": True},
        "bagtricks-r18": small,
        "agw-r50": sbs,
        "sbs-r50-ibn": {**sbs, "BACKBONE__WITH_IBN": True, "size": (384, 128)},
        "se-r50-ibn": {"BACKBONE__WITH_SE": True, "BACKBONE__WITH_IBN": True},
        "resnext50-ibn": resnext,
        "embedding-256": {**small, "HEADS__EMBEDDING_DIM": 256},
        "osnet-x0_25": osnet,
        "vit-small-stride-12": {**vit, "BACKBONE__DEPTH": "small", "BACKBONE__STRIDE_SIZE": (12, 12)},
        "bagtricks-r101-ibn": {"BACKBONE__WITH_IBN": True, "BACKBONE__DEPTH": "101x"},
    }
    for name, settings in configurations.items():
        made[f"fastreid-{name}"] = lambda settings=settings: fast_reid_kind(**settings)
    made["clipreid-vit"] = lambda: clip_reid_kind("ViT-B-16")
    made["clipreid-vit-sie"] = lambda: clip_reid_kind("ViT-B-16", cameras=6)
    made["clipreid-rn50"] = lambda: clip_reid_kind("RN50")
    for name in ("strong-baseline", "agw", "layumi-ft-net", "layumi-pcb", "transreid-jpm-sie-stride"):
        made[f"replica-{name}"] = lambda name=name: replica_kind(name)
    for name, write in (("legacy", legacy), ("safetensors", safetensors), ("lightning", lightning)):
        made[f"torchreid-osnet_x0_25-{name}"] = lambda write=write: _other_format(torchreid_kind("osnet_x0_25"), write)
        made[f"fastreid-bagtricks-r18-{name}"] = lambda write=write: _other_format(fast_reid_kind(**small), write)
    return made | settings_kinds(fast_reid_kind) | library_kinds()


def golden(kind: Kind, network: nn.Module) -> dict[str, Any]:
    """What a network makes of the fixed input with the weights of the recipe."""
    state = network.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            value.copy_(torch.from_numpy(recipe.filled(name, tuple(value.shape))))
        made = kind.run(network.eval(), torch.from_numpy(recipe.pixels(*kind.size)))
    assert torch.isfinite(made).all(), "the weights of the recipe are too large for this network"
    directions = recipe.projected(made.numpy())
    return {"size": made.shape[1], "projected": [[float(f"{value:.7g}") for value in row] for row in directions]}


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def make(name: str, kind: Kind, out: Path, files: list[str]) -> None:
    """Writes everything of one kind."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    with quiet():
        images = torch.stack([kind.read(file) for file in files])
        network = lived(kind.build(), kind.run, images)
        with torch.no_grad():
            embeddings = kind.run(network, images.clone())
    written = kind.save(network, folder)
    np.save(folder / "embeddings.npy", embeddings.numpy())
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    about = {"kind": name, "project": kind.project, "version": _version(kind.package), "replica": kind.replica}
    about |= {"golden": None}
    about |= {"images": files, "size": list(kind.size), "checkpoint": written.name}
    about |= {name: value for name, value in kind.settings.items() if name != "cfg"}
    about |= {"tensors": recipe.written(shapes)}
    if kind.golden:
        with quiet():
            about["golden"] = golden(kind, network)
    (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def main(out: Path, files: list[str], wanted: list[str]) -> None:
    """Makes all kinds, or those whose name starts with what is wanted; a kind that fails is told at the end."""
    torch.set_num_threads(1)
    failed = []
    for name, prepare in kinds().items():
        if wanted and not any(name.startswith(start) for start in wanted):
            continue
        try:
            with quiet():
                kind = prepare()
            make(name, kind, out, files)
            print(name, flush=True)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
            if "--trace" in sys.argv:
                raise
    for line in failed:
        print("FAILED", line, file=sys.stderr)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    only = [argument.removeprefix("--only=") for argument in sys.argv if argument.startswith("--only=")]
    main(Path(arguments[0]), arguments[1:], only)
