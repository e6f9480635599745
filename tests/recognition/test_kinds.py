"""Checkpoints of many kinds, read with no setting given, embed a picture as their authors' own code does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from checkpoint_kinds import KINDS, Kind
from layumi_kinds import LAYUMI
from lookalike.data.any_image import read_any
from lookalike.recognition.network import network_of, pixels_of
from lookalike.recognition.recognise import Given, recognise

_SLOW = {
    "torchvision EfficientNet with another eps",
    "torchvision DenseNet",
    "torchvision Swin",
    "torchvision ConvNeXt",
    "timm ResNeXt",
    "timm RegNet",
    "timm hub folder of Swin",
    *LAYUMI.keys() - {"layumi DenseNet with stride 1"},
}


def picture() -> Image.Image:
    """Smooth enough that a way to scale it leaves traces, and no square."""
    small = np.random.default_rng(3).integers(0, 256, (30, 22, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((310, 270), Image.Resampling.BICUBIC)


def cosine(kind: Kind, folder: Path) -> float:
    network = kind.build()
    recognised, tensors = recognise(kind.save(network, folder), Given(**kind.given))
    assert recognised.facts["architecture"].value == kind.architecture
    project = recognised.facts.get("project")
    assert (project.value if project else "") == kind.project
    pixels = torch.from_numpy(read_any(np.asarray(picture()), pixels_of(recognised.facts), None, "picture"))
    with torch.no_grad():
        ours = network_of(recognised, tensors).embed(pixels[None])[0].double()
        theirs = torch.nn.functional.normalize(kind.embed(network, kind.read(picture())[None]), dim=1)[0].double()
    assert ours.shape == theirs.shape
    return float(ours @ theirs / ours.norm() / theirs.norm())


ALL = {**KINDS, **LAYUMI}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in ALL])
def test_embeddings_are_those_of_the_authors(name: str, tmp_path: Path) -> None:
    assert cosine(ALL[name], tmp_path) >= 1 - 1e-6
