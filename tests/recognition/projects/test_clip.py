"""Which GELU a CLIP has, and how its images are read, by what stands beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ModelError
from lookalike.recognition.network import pixels_of
from lookalike.recognition.recognise import recognise
from outlines import blank, outline, written

_TOWER = {
    **{"cls_token": "class_embedding", "pos_embed": "positional_embedding", "patch_embed.proj.weight": "conv1.weight"},
    **{"norm_pre.": "ln_pre.", "norm.": "ln_post.", "blocks.": "transformer.resblocks.", ".norm1.": ".ln_1."},
    **{".norm2.": ".ln_2.", "attn.qkv.": "attn.in_proj_", "attn.proj.": "attn.out_proj.", "mlp.fc1.": "mlp.c_fc."},
    **{"mlp.fc2.": "mlp.c_proj."},
}
CONFIG: dict[str, Any] = {
    "model_cfg": {"embed_dim": 512, "vision_cfg": {"image_size": 224}, "text_cfg": {}},
    "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear", "resize_mode": "squash"},
}


def clip(**more: Any) -> dict[str, Any]:
    """Names and shapes of ViT-B/32 by open_clip, and of a text tower."""
    state = {}
    for name, shape in outline("vit_base_patch32_clip_224").items():
        renamed = name
        for ours, theirs in _TOWER.items():
            if renamed.startswith(ours) or ours[0] == "." or ours.startswith(("attn", "mlp")):
                renamed = renamed.replace(ours, theirs, 1)
        state[f"visual.{renamed}"] = blank(
            shape[2:] if name == "cls_token" else shape[1:] if name == "pos_embed" else shape
        )
    state |= {"visual.proj": blank((768, 512)), "token_embedding.weight": blank((99, 64)), "logit_scale": blank((1,))}
    return {**state, "text_projection": blank((64, 512)), "transformer.resblocks.0.ln_1.weight": blank((64,)), **more}


def architecture(folder: Path, config: object = None, **more: Any) -> tuple[str, Any]:
    if config is not None:
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    recognised = recognise(written({"state_dict": clip(**more)}, folder))[0]
    return str(recognised.facts["architecture"].value), recognised


@pytest.mark.parametrize("quick", [None, False, True])
def test_the_configuration_beside_it_decides(quick: bool | None, tmp_path: Path) -> None:
    config = {**CONFIG, "model_cfg": {**CONFIG["model_cfg"], **({} if quick is None else {"quick_gelu": quick})}}
    name, recognised = architecture(tmp_path, config)
    assert ("quickgelu" in name) == bool(quick)
    assert recognised.facts["architecture"].source == "saved settings"
    assert str(pixels_of(recognised.facts)) == "224 x 224 pixels, stretch, bilinear"
    assert recognised.facts["mean"].value == [0.5] * 3
    assert "text_projection" in recognised.left_out


def test_openais_own_files_have_quick_gelu(tmp_path: Path) -> None:
    numbers = {name: blank((1,)) for name in ("input_resolution", "context_length", "vocab_size")}
    assert "quickgelu" in architecture(tmp_path, **numbers)[0]


@pytest.mark.parametrize("config", [None, {}, {"model_cfg": 3}, {"preprocess_cfg": {"mean": [0.5] * 3}}])
def test_where_nothing_says_it_it_is_asked_for(config: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.backbone=vit_base_patch32_clip_quickgelu_224"):
        architecture(tmp_path, config)
