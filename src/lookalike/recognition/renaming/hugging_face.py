"""Hugging Face's names (transformers 4 and 5): ViT, DeiT, DINOv2, Swin, ConvNeXt, ResNet, towers of CLIP and SigLIP."""

import re

from lookalike.recognition.renaming.renamed import CLIP_TOKENS, Place, Renaming, Shape

_QKV = {"query": 0, "key": 1, "value": 2, "q_proj": 0, "k_proj": 1, "v_proj": 2}
_ATTENTION = r"attention\.(?:attention\.|self\.)?(query|key|value|[qkv]_proj)"  # saved by 4 and 5; in memory of 5
_OUTPUT = r"attention\.(?:output\.dense|o_proj)"
_LAYER = r"(?:encoder\.layer|layers)\.(\d+)"


def _joined(match: re.Match[str]) -> str:
    return f"blocks.{match[1]}.attn.qkv.{match[3]}#{_QKV[match[2]]}"


_ENCODER = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.distillation_token", "dist_token"),
    (r"embeddings\.register_tokens", "reg_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
    (r"layernorm\.(\w+)", r"norm.\1"),
    (rf"{_LAYER}\.{_ATTENTION}\.(\w+)", _joined),
    (rf"{_LAYER}\.{_OUTPUT}\.(\w+)", r"blocks.\1.attn.proj.\2"),
)
VIT = Renaming(
    "transformers",
    "embeddings.patch_embeddings.projection.weight",
    (
        *_ENCODER,
        (rf"{_LAYER}\.layernorm_before\.(\w+)", r"blocks.\1.norm1.\2"),
        (rf"{_LAYER}\.layernorm_after\.(\w+)", r"blocks.\1.norm2.\2"),
        (rf"{_LAYER}\.(?:intermediate\.dense|mlp\.fc1)\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
        (rf"{_LAYER}\.(?:output\.dense|mlp\.fc2)\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
    ),
)


def _registers(places: dict[str, Place]) -> dict[str, Place]:
    """With registers, timm's class token has its position embedding in it, and the others stand alone."""
    if not {"reg_token", "cls_token", "pos_embed"} <= places.keys():
        return places
    positions, token = places["pos_embed"], places["cls_token"]
    if len(positions.shape) != 3 or positions.shape[1] < 2:
        return places
    count = positions.shape[1]
    alone = Place(positions.names, (1, count - 1, positions.shape[2]), (1, 1, count))
    first = Place(token.names, token.shape, plus=(positions.names[0], 1, 0, 1))
    return {**places, "pos_embed": alone, "cls_token": first}


DINOV2 = Renaming(
    "transformers",
    "embeddings.patch_embeddings.projection.weight",
    (
        *_ENCODER,
        (r"encoder\.layer\.(\d+)\.norm(\d)\.(\w+)", r"blocks.\1.norm\2.\3"),
        (r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1", r"blocks.\1.ls\2.gamma"),
        (r"encoder\.layer\.(\d+)\.mlp\.fc(\d)\.(\w+)", r"blocks.\1.mlp.fc\2.\3"),
        (r"encoder\.layer\.(\d+)\.mlp\.weights_in\.(\w+)", r"blocks.\1.mlp.w12.\2"),
        (r"encoder\.layer\.(\d+)\.mlp\.weights_out\.(\w+)", r"blocks.\1.mlp.w3.\2"),
    ),
    finished=_registers,
)
_TOWER = (
    (r"encoder\.layers\.(\d+)\.layer_norm(\d)\.(\w+)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.([qkv]_proj)\.(\w+)", _joined),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.fc(\d)\.(\w+)", r"blocks.\1.mlp.fc\2.\3"),
)


def _pooled_by_attention(places: dict[str, Place]) -> dict[str, Place]:
    """SigLIP's pooling has query, key and value in one tensor, timm's the query apart."""
    made = dict(places)
    for part in ("weight", "bias"):
        whole = made.pop(f"attn_pool.in_proj.{part}", None)
        if whole is not None and whole.shape and whole.shape[0] % 3 == 0:
            width = whole.shape[0] // 3
            for name, first, last in (("q", 0, width), ("kv", width, 3 * width)):
                shape = (last - first, *whole.shape[1:])
                made[f"attn_pool.{name}.{part}"] = Place(whole.names, shape, (0, first, last))
    return made


def _positions(shape: Shape) -> Shape:
    """[N, C] -> [1, N, C]."""
    return (1, *shape)


SIGLIP = Renaming(
    "transformers",
    "head.probe",
    (
        (r"embeddings\.position_embedding\.weight", "pos_embed"),
        (r"embeddings\.patch_embedding\.(\w+)", r"patch_embed.proj.\1"),
        (r"post_layernorm\.(\w+)", r"norm.\1"),
        (r"head\.probe", "attn_pool.latent"),
        (r"head\.attention\.in_proj_(\w+)", r"attn_pool.in_proj.\1"),
        (r"head\.attention\.out_proj\.(\w+)", r"attn_pool.proj.\1"),
        (r"head\.layernorm\.(\w+)", r"attn_pool.norm.\1"),
        (r"head\.mlp\.fc(\d)\.(\w+)", r"attn_pool.mlp.fc\1.\2"),
        *_TOWER,
    ),
    ((r"pos_embed", _positions),),
    _pooled_by_attention,
)
CLIP = Renaming(
    "transformers",
    "embeddings.class_embedding",
    (
        (r"embeddings\.class_embedding", "cls_token"),
        (r"embeddings\.position_embedding\.weight", "pos_embed"),
        (r"embeddings\.patch_embedding\.(\w+)", r"patch_embed.proj.\1"),
        (r"pre_layrnorm\.(\w+)", r"norm_pre.\1"),
        (r"post_layernorm\.(\w+)", r"norm.\1"),
        *_TOWER,
    ),
    CLIP_TOKENS,
)


def _swin_layer(match: re.Match[str]) -> str:
    return f"layers.{match[1]}.blocks.{match[2]}.{_SWIN[match[3]]}.{match[4]}"


_SWIN = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "attention.o_proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_IN_SWIN = r"encoder\.layers\.(\d+)\.blocks\.(\d+)"
SWIN = Renaming(
    "transformers",
    "encoder.layers.0.blocks.0.layernorm_before.weight",
    (
        (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
        (r"embeddings\.norm\.(\w+)", r"patch_embed.norm.\1"),
        (r"layernorm\.(\w+)", r"norm.\1"),
        (
            rf"{_IN_SWIN}\.{_ATTENTION}\.(\w+)",
            lambda m: f"layers.{m[1]}.blocks.{m[2]}.attn.qkv.{m[4]}#{_QKV[m[3]]}",
        ),
        (
            rf"{_IN_SWIN}\.attention\.(?:self|relative_position_bias)\.relative_position_bias_table",
            r"layers.\1.blocks.\2.attn.relative_position_bias_table",
        ),
        (
            rf"{_IN_SWIN}\.(layernorm_\w+|attention\.output\.dense|attention\.o_proj|intermediate\.dense|output\.dense|"
            r"mlp\.fc\d)\.(\w+)",
            _swin_layer,
        ),
        (
            r"encoder\.layers\.(\d+)\.downsample\.(norm|reduction)\.(\w+)",
            lambda m: f"layers.{int(m[1]) + 1}.downsample.{m[2]}.{m[3]}",
        ),
    ),
)
_CONVNEXT = {"dwconv": "conv_dw", "layernorm": "norm", "pwconv1": "mlp.fc1", "pwconv2": "mlp.fc2"}
CONVNEXT = Renaming(
    "transformers",
    "encoder.stages.0.layers.0.dwconv.weight",
    (
        (r"embeddings\.patch_embeddings\.(\w+)", r"stem.0.\1"),
        (r"embeddings\.layernorm\.(\w+)", r"stem.1.\1"),
        (r"encoder\.stages\.(\d+)\.downsampling_layer\.([01])\.(\w+)", r"stages.\1.downsample.\2.\3"),
        (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
        (
            r"encoder\.stages\.(\d+)\.layers\.(\d+)\.(dwconv|layernorm|pwconv\d)\.(\w+)",
            lambda m: f"stages.{m[1]}.blocks.{m[2]}.{_CONVNEXT[m[3]]}.{m[4]}",
        ),
        (r"layernorm\.(\w+)", r"head.norm.\1"),
    ),
)
_RESNET_PARTS = {"convolution": "conv", "normalization": "bn"}


def _resnet_layer(match: re.Match[str]) -> str:
    stage, block, number, kind, part = match.groups()
    return f"layer{int(stage) + 1}.{block}.{_RESNET_PARTS[kind]}{int(number) + 1}.{part}"


def _resnet_shortcut(match: re.Match[str]) -> str:
    return f"layer{int(match[1]) + 1}.{match[2]}.downsample.{0 if match[3] == 'convolution' else 1}.{match[4]}"


RESNET = Renaming(
    "transformers",
    "embedder.embedder.convolution.weight",
    (
        (r"embedder\.embedder\.convolution\.(\w+)", r"conv1.\1"),
        (r"embedder\.embedder\.normalization\.(\w+)", r"bn1.\1"),
        (
            r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)\.(\w+)",
            _resnet_layer,
        ),
        (
            r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)\.(\w+)",
            _resnet_shortcut,
        ),
    ),
)
RENAMINGS = (VIT, DINOV2, SIGLIP, CLIP, SWIN, CONVNEXT, RESNET)
