"""Makes tests/recognition/transformers/*.json: what networks of transformers make of fixed pixels.

transformers_kept.py OUT [KIND ...]

Runs in an environment of its own (see requirements-authors.txt beside this file) and knows nothing of lookalike. Each
network gets weights that follow from its names and shapes (tests/authors/recipe.py): by the names that
`save_pretrained` writes, and, as `<kind>-in-memory.json`, by those of its `state_dict()` where they are others.
What is kept is its own vector of an image: `pooler_output` or the class token of `last_hidden_state`.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from author_kind import beside
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

recipe = beside("recipe")


class Kind(NamedTuple):
    """timm's name of a network, how transformers builds it, and its vector of an image."""

    architecture: str
    build: Callable[[], Any]
    embed: Callable[[Any, Tensor], Tensor]


_TINY = {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768}
KINDS = {
    "vit": Kind(
        "vit_tiny_patch16_224",
        lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**_TINY)),
        lambda network, images: network.vit(images).last_hidden_state[:, 0],
    ),
    "deit": Kind(
        "deit_tiny_distilled_patch16_224",
        lambda: transformers.DeiTModel(transformers.DeiTConfig(**_TINY)),
        lambda network, images: network(images).last_hidden_state[:, 0],
    ),
    "dinov2": Kind(
        "vit_small_patch14_dinov2",
        lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
            )
        ),
        lambda network, images: network(images).pooler_output,
    ),
    "dinov2-registers": Kind(
        "vit_small_patch14_reg4_dinov2",
        lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(
                hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
            )
        ),
        lambda network, images: network(images).pooler_output,
    ),
    "siglip": Kind(
        "vit_base_patch16_siglip_224",
        lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig()),
        lambda network, images: network(images).pooler_output,
    ),
    "swin": Kind(
        "swin_tiny_patch4_window7_224",
        lambda: transformers.SwinForImageClassification(
            transformers.SwinConfig(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24])
        ),
        lambda network, images: network.swin(images).pooler_output,
    ),
    "convnext": Kind(
        "convnext_tiny",
        lambda: transformers.ConvNextForImageClassification(
            transformers.ConvNextConfig(depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768])
        ),
        lambda network, images: network.convnext(images).pooler_output,
    ),
    "resnet": Kind(
        "resnet18",
        lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic")
        ),
        lambda network, images: network.resnet(images).pooler_output.flatten(1),
    ),
    "clip": Kind(
        "vit_base_patch32_clip_quickgelu_224",
        lambda: transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(hidden_size=768, patch_size=32)
        ),
        lambda network, images: network(images).image_embeds,
    ),
}
IN_MEMORY = ("vit", "deit", "dinov2", "swin")  # those whose names in memory are others than in a file


def _filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(recipe.filled(name, shape))) for name, shape in shapes.items()}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def from_a_file(network: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """The network with weights by the names of a file, as `from_pretrained` reads it."""
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        file = f"{folder}/model.safetensors"
        shapes = _shapes(load_file(file))
        save_file(_filled(shapes), file, metadata={"format": "pt"})
        return type(network).from_pretrained(folder), shapes


def in_memory(network: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """The network with weights by the names of its `state_dict()`."""
    shapes = _shapes(network.state_dict())
    network.load_state_dict(_filled(shapes))
    return network, shapes


def kept(kind: Kind, filled: Callable[[nn.Module], tuple[Any, dict[str, tuple[int, ...]]]]) -> dict[str, Any]:
    """What is written of a network."""
    network, shapes = filled(kind.build())
    with torch.no_grad():
        embedding = kind.embed(network.eval(), torch.from_numpy(recipe.pixels(224, 224))).numpy()
    config = network.config
    return {
        "made_by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "architecture": kind.architecture,
        "model_type": config.model_type,
        "config": {"model_type": config.model_type, "hidden_act": config.hidden_act},
        "tensors": recipe.written(shapes),
        "size": embedding.shape[1],
        "projected": np.round(recipe.projected(embedding), 7).tolist(),
    }


def main(out: Path, names: list[str]) -> None:
    """Writes the files."""
    for name in names or KINDS:
        made = {name: from_a_file} | ({f"{name}-in-memory": in_memory} if name in IN_MEMORY else {})
        for stem, filled in made.items():
            (out / f"{stem}.json").write_text(json.dumps(kept(KINDS[name], filled), indent=0))
            print(stem, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
