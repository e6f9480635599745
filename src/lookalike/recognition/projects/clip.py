"""CLIP (Radford et al. 2021) of OpenAI and open_clip 3.3: the image tower and its projection."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project, has


def _shown_by(contents: Contents) -> str:
    there = has(contents, r"visual\.class_embedding", r"(text\.)?token_embedding\.weight")
    return "names visual.* and token_embedding.weight" if there else ""


def quick_gelu(contents: Contents) -> tuple[bool, str] | None:
    """Whether a CLIP has QuickGELU, which no tensor shows, and what says so; None where nothing does.

    Args:
        contents: Of the checkpoint.
    """
    if {"input_resolution", "context_length", "vocab_size"} <= contents.tensors.keys():  # of clip/model.py, QuickGELU
        return True, "input_resolution, context_length and vocab_size, of OpenAI's own files"
    if act := contents.setting("hidden_act", "vision_config.hidden_act"):  # of transformers
        return "quick" in str(act[0]), act[1]
    if not any(name.startswith("model_cfg.") for name in contents.beside.get("open_clip_config.json", {})):
        return None
    saved = contents.setting("model_cfg.quick_gelu")
    return (saved[0] is True, saved[1]) if saved else (False, "no quick_gelu in open_clip_config.json")


CLIP = Project(
    name="CLIP",
    version="of open_clip 3.3",
    shown_by=_shown_by,
    facts={
        "taken": ("behind the projection", "encode_image of model.py"),
        "resize": ("crop", "image_transform of transform.py"),
        "interpolation": ("bicubic", "image_transform of transform.py"),
        "antialias": (True, "image_transform of transform.py"),
        "mean": ([0.48145466, 0.4578275, 0.40821073], "OPENAI_DATASET_MEAN of constants.py"),
        "std": ([0.26862954, 0.26130258, 0.27577711], "OPENAI_DATASET_STD of constants.py"),
        "channels": ("RGB", "_convert_to_rgb of transform.py"),
        "flip": ("none", "encode_image of model.py"),
    },
    settings={
        "size": ("preprocess_cfg.size", "model_cfg.vision_cfg.image_size"),
        "resize_mode": ("preprocess_cfg.resize_mode",),
        "mean": ("preprocess_cfg.mean",),
        "std": ("preprocess_cfg.std",),
        "interpolation": ("preprocess_cfg.interpolation",),
    },
    left_out=r"(token_embedding|transformer|ln_final|positional_embedding|text_projection|text)(\..*)?|"
    r"input_resolution|context_length|vocab_size",
)
