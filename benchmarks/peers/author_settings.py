"""Kinds whose settings stand beside the checkpoint, as the project writes them there: fast-reid's config.yaml."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from author_kind import Kind, quiet
from torch import Tensor, nn

Made = Callable[..., Kind]


def configured_kind(make: Made, flip: bool = False, **settings: Any) -> Kind:
    """A kind of fast-reid with its configuration beside it, as its `default_setup` writes it.

    Args:
        make: Makes the kind, of the settings.
        flip: Whether the mirrored image is averaged in, by fast-reid's own `inference_on_dataset`.
        settings: Of fast-reid; those with a dot are not of MODEL.
    """
    kind = make(**settings)
    from fastreid.evaluation.evaluator import DatasetEvaluator, inference_on_dataset  # behind what mends its imports

    cfg, plain, save = kind.settings.pop("cfg"), kind.run, kind.save
    cfg.merge_from_list(["TEST.FLIP.ENABLED", flip])
    mean, std = (torch.tensor(value)[:, None, None] for value in (cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD))

    class Kept(DatasetEvaluator):
        outputs: Tensor

        def reset(self) -> None:
            return None

        def process(self, inputs: object, outputs: Tensor) -> None:
            self.outputs = outputs

        def evaluate(self) -> None:
            return None

    class Batches(list[Any]):
        dataset = ()

    def run(network: nn.Module, images: Tensor) -> Tensor:
        if any(part.training for part in network.modules()):
            return plain(network, images)
        kept = Kept()
        inference_on_dataset(network, Batches([{"images": images * std + mean}]), kept, flip_test=flip)
        return kept.outputs

    def write(network: nn.Module, folder: Path) -> Path:
        (folder / "config.yaml").write_text(cfg.dump(), encoding="utf-8")
        return save(network, folder)

    size = cfg.INPUT.CROP.SIZE if cfg.INPUT.CROP.ENABLED else cfg.INPUT.SIZE_TEST
    return Kind(
        *(kind.project, kind.package, kind.build, run if flip else plain, kind.read, write, tuple(size)),
        golden=False,
        settings={"configured": True},
    )


def settings_kinds(make: Made) -> dict[str, Callable[[], Kind]]:
    """Name -> what makes the kind.

    Args:
        make: Makes a kind of fast-reid, of its settings.
    """
    small = {"BACKBONE__DEPTH": "18x", "BACKBONE__FEAT_DIM": 512}
    halves = {"PIXEL_MEAN": [127.5] * 3, "PIXEL_STD": [64.0] * 3, "BACKBONE__LAST_STRIDE": 2}
    cut = {"INPUT.SIZE_TEST": [160], "INPUT.CROP.ENABLED": True, "INPUT.CROP.SIZE": [128, 96]}
    pools = ("GlobalMaxPool", "AdaptiveAvgMaxPool", "GeneralizedMeanPooling", "ClipGlobalAvgPool", "FastGlobalAvgPool")
    kinds: dict[str, dict[str, Any]] = {
        **{f"pool-{name}": {**small, "HEADS__POOL_LAYER": name} for name in pools},
        "gem-384": {**small, "HEADS__POOL_LAYER": "GeneralizedMeanPoolingP", "size": (384, 128)},
        "flip": {**small, "flip": True},
        "scales-and-stride": {**small, **halves},
        "cut": {**small, "more": cut},
        "without-a-neck": {**small, "HEADS__WITH_BNNECK": False, "HEADS__POOL_LAYER": "AdaptiveAvgMaxPool"},
    }

    def made(settings: dict[str, Any]) -> Kind:
        with quiet():
            return configured_kind(make, **settings)

    return {f"fastreid-config-{name}": lambda settings=settings: made(settings) for name, settings in kinds.items()}
