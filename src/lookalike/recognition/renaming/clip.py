"""OpenAI's and open_clip's names of the image tower of CLIP; DINOv2's own differ from timm's by a few."""

from lookalike.recognition.renaming.renamed import CLIP_TOKENS, Renaming

CLIP = Renaming(
    "CLIP",
    "transformer.resblocks.0.attn.in_proj_weight",
    (
        (r"class_embedding", "cls_token"),
        (r"positional_embedding", "pos_embed"),
        (r"conv1\.weight", "patch_embed.proj.weight"),
        (r"ln_pre\.(\w+)", r"norm_pre.\1"),
        (r"ln_post\.(\w+)", r"norm.\1"),
        (r"transformer\.resblocks\.(\d+)\.ln_(\d)\.(\w+)", r"blocks.\1.norm\2.\3"),
        (r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(\w+)", r"blocks.\1.attn.qkv.\2"),
        (r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(\w+)", r"blocks.\1.attn.proj.\2"),
        (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
        (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
    ),
    CLIP_TOKENS,
)
RENAMINGS = (CLIP,)
