"""torchvision's names (0.29): VisionTransformer, SwinTransformer, ConvNeXt, EfficientNet, MobileNet v2 and v3.

ResNet, ResNeXt and DenseNet have the same names there as in timm.
"""

import re

from lookalike.recognition.renaming.renamed import Renaming, Shape


def _flat(shape: Shape) -> Shape:
    """[C, 1, 1] -> [C]."""
    return shape[:1]


VIT = Renaming(
    "torchvision",
    "conv_proj.weight",
    (
        (r"class_token", "cls_token"),
        (r"encoder\.pos_embedding", "pos_embed"),
        (r"conv_proj\.(\w+)", r"patch_embed.proj.\1"),
        (r"encoder\.ln\.(\w+)", r"norm.\1"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.ln_(\d)\.(\w+)", r"blocks.\1.norm\2.\3"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(\w+)", r"blocks.\1.attn.qkv.\2"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(\w+)", r"blocks.\1.attn.proj.\2"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
        (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
    ),
)


def _swin_block(match: re.Match[str]) -> str:
    return f"layers.{(int(match[1]) - 1) // 2}.blocks.{match[2]}.{match[3]}"


def _swin_mlp(match: re.Match[str]) -> str:
    return f"layers.{(int(match[1]) - 1) // 2}.blocks.{match[2]}.mlp.fc{1 if match[3] == '0' else 2}.{match[4]}"


def _swin_downsample(match: re.Match[str]) -> str:
    return f"layers.{int(match[1]) // 2}.downsample.{match[2]}"


SWIN = Renaming(
    "torchvision",
    "features.1.0.attn.relative_position_bias_table",
    (
        (r"features\.0\.0\.(\w+)", r"patch_embed.proj.\1"),
        (r"features\.0\.2\.(\w+)", r"patch_embed.norm.\1"),
        (r"features\.([1357])\.(\d+)\.mlp\.([03])\.(\w+)", _swin_mlp),
        (r"features\.([1357])\.(\d+)\.((?:norm\d|attn\.\w+)(?:\.\w+)?)", _swin_block),
        (r"features\.([246])\.((?:norm|reduction)\.\w+)", _swin_downsample),
        (r"norm\.(\w+)", r"norm.\1"),
    ),
)

_CONVNEXT = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}


def _convnext_block(match: re.Match[str]) -> str:
    return f"stages.{(int(match[1]) - 1) // 2}.blocks.{match[2]}.{_CONVNEXT[match[3]]}.{match[4]}"


CONVNEXT = Renaming(
    "torchvision",
    "features.1.0.layer_scale",
    (
        (r"features\.0\.([01])\.(\w+)", r"stem.\1.\2"),
        (r"features\.([1357])\.(\d+)\.layer_scale", lambda m: f"stages.{(int(m[1]) - 1) // 2}.blocks.{m[2]}.gamma"),
        (r"features\.([1357])\.(\d+)\.block\.([0235])\.(\w+)", _convnext_block),
        (r"features\.([246])\.([01])\.(\w+)", lambda m: f"stages.{int(m[1]) // 2}.downsample.{m[2]}.{m[3]}"),
        (r"classifier\.0\.(\w+)", r"head.norm.\1"),
    ),
    ((r"stages\.\d+\.blocks\.\d+\.gamma", _flat),),
)

_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "1": "se", "2.0": "conv_pw", "2.1": "bn2"}
_LATER = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "se", "3.0": "conv_pwl", "3.1": "bn3"}
_SQUEEZE = {"fc1": "conv_reduce", "fc2": "conv_expand"}


def _efficient_block(match: re.Match[str]) -> str:
    table = _FIRST if match[1] == "1" else _LATER
    stage, block = int(match[1]) - 1, match[2]
    if squeeze := re.fullmatch(r"(\d)\.(fc\d)\.(\w+)", match[3]):
        return f"blocks.{stage}.{block}.se.{_SQUEEZE[squeeze[2]]}.{squeeze[3]}"
    layer, _, part = match[3].rpartition(".")
    return f"blocks.{stage}.{block}.{table.get(layer, layer)}.{part}"


_STEM = ((r"features\.0\.0\.(\w+)", r"conv_stem.\1"), (r"features\.0\.1\.(\w+)", r"bn1.\1"))
EFFICIENTNET = Renaming(
    "torchvision",
    "features.1.0.block.0.0.weight",
    (
        *_STEM,
        (r"features\.8\.0\.(\w+)", r"conv_head.\1"),
        (r"features\.8\.1\.(\w+)", r"bn2.\1"),
        (r"features\.([1-7])\.(\d+)\.block\.(.+)", _efficient_block),
    ),
)


def _blocks(*counts: int) -> dict[int, str]:
    """Number of a block in torchvision's one sequence -> stage and block in timm."""
    places = [f"{stage}.{block}" for stage, count in enumerate(counts) for block in range(count)]
    return dict(enumerate(places, 1))


_V2 = _blocks(1, 2, 3, 4, 3, 3, 1)
_SHORT = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
_LONG = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "conv_pwl", "3": "bn3"}


def _v2_block(match: re.Match[str]) -> str:
    layer, _, part = match[2].rpartition(".")
    table = _SHORT if match[1] == "1" else _LONG
    return f"blocks.{_V2[int(match[1])]}.{table[layer]}.{part}"


MOBILENET_V2 = Renaming(
    "torchvision",
    "features.18.0.weight",
    (
        *_STEM,
        (r"features\.18\.0\.(\w+)", r"conv_head.\1"),
        (r"features\.18\.1\.(\w+)", r"bn2.\1"),
        (r"features\.(\d+)\.conv\.(.+)", _v2_block),
    ),
)
_V3_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "1.0": "conv_pw", "1.1": "bn2", "2.0": "conv_pw", "2.1": "bn2"}
_V3 = {
    **{"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2"},
    **{"2.0": "conv_pwl", "2.1": "bn3", "3.0": "conv_pwl", "3.1": "bn3"},
}


def _v3(places: dict[int, str]) -> Renaming:
    """MobileNet v3 of so many blocks; behind them a convolution, and one that is a linear layer in torchvision."""
    last = len(places) + 1
    stage = int(places[last - 1].partition(".")[0]) + 1

    def block(match: re.Match[str]) -> str:
        place = f"blocks.{places[int(match[1])]}"
        if squeeze := re.fullmatch(r"\d\.(fc\d)\.(\w+)", match[2]):
            return f"{place}.se.{_SQUEEZE[squeeze[1]]}.{squeeze[2]}"
        layer, _, part = match[2].rpartition(".")
        return f"{place}.{(_V3_FIRST if match[1] == '1' else _V3)[layer]}.{part}"

    return Renaming(
        "torchvision",
        f"features.{last}.0.weight",
        (
            *_STEM,
            (rf"features\.{last}\.0\.(\w+)", rf"blocks.{stage}.0.conv.\1"),
            (rf"features\.{last}\.1\.(\w+)", rf"blocks.{stage}.0.bn1.\1"),
            (r"features\.(\d+)\.block\.(.+)", block),
            (r"classifier\.0\.(\w+)", r"conv_head.\1"),
        ),
        ((r"conv_head\.weight", lambda shape: (*shape, 1, 1)),),
    )


MOBILENET_V3_LARGE, MOBILENET_V3_SMALL = _v3(_blocks(1, 2, 3, 4, 2, 3)), _v3(_blocks(1, 2, 3, 2, 3))
RENAMINGS = (VIT, SWIN, CONVNEXT, EFFICIENTNET, MOBILENET_V2, MOBILENET_V3_LARGE, MOBILENET_V3_SMALL)
_WIDER_EPS = re.compile(r"efficientnet_b[567]$|mobilenetv3_")


def norm_eps(architecture: str) -> float | None:
    """What torchvision adds to the variance in batch norms, where timm's network of this name adds something else.

    Args:
        architecture: timm's name.
    """
    return 1e-3 if _WIDER_EPS.match(architecture) else None  # models/efficientnet.py, models/mobilenetv3.py
