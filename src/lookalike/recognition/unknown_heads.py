"""What stands behind a backbone where the project is not known: only what names and shapes leave no doubt of.

A linear layer may be the head (its output is the embedding) or a classifier (its output are classes). It is the head
where it is named so, where something else acts on what it gives, or where a person says so; it is a classifier where it
is named so, or has ImageNet's classes. Else it is asked for.

Letters in shapes: D embedding, W width of what the pooling gives.
"""

import re

from torch import Tensor

from lookalike.models.foreign_names import IMAGENET_CLASSES, of_a_loss
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Layer
from lookalike.recognition.heads import Head, gem_power, kind_of, naturally

_HEADS = re.compile(
    r"(^|\.)(embedd(ing|er)(s|_layer|_head)?|embed|fc_embedding|bottleneck|reduction|proj(ection|ector)?(_head)?|"
    r"add_block|emb|feat)\d?(\.\d+)?$"
)
_NECKS = re.compile(r"(^|\.)(neck|bnneck|bn_neck|bottleneck|bottleneck_bn|feat_bn|bn_embedding|bn|feat\.bn)(\.\d+)?$")


def read_unknown_head(contents: Contents, rest: list[str], width: int, size: int | str | None, neck: bool | None) -> Head:
    """Sorts what is not the backbone's by names and shapes.

    Args:
        contents: Of the checkpoint.
        rest: Names that are not the backbone's.
        width: W.
        size: D that a person gave, None for no linear layer, `auto` where nothing is said.
        neck: Whether a person said that the embedding is taken behind a batch norm; None where nothing is said.
    """
    tensors = contents.tensors
    head = Head(width=width)
    head.power = gem_power(tensors, rest)
    losses = [name for name in rest if of_a_loss(name)]
    head.left_out += losses
    others = [name for name in rest if name not in losses and name != head.power]
    stems = sorted(dict.fromkeys(name.rpartition(".")[0] for name in others), key=naturally)
    acted_on = {side for name in losses if tensors[name].ndim == 2 for side in tensors[name].shape}
    for number, stem in enumerate(stems):
        kind = kind_of(tensors, stem)
        names = [name for name in others if name.rpartition(".")[0] == stem]
        if kind is None:
            head.unexplained += names
            continue
        entering, leaving = _sides(tensors, stem, kind)
        if entering != head.width:
            (head.left_out if _is_classes(stem, leaving) else head.unexplained).extend(names)
            continue
        if kind == "batch norm":
            if neck is False:
                head.left_out += names
            elif _NECKS.search(stem) or head.layers:
                head.layers.append(Layer("batch norm", stem, leaving, f"{stem}.bias" in tensors))
            else:
                head.unexplained += names
            continue
        behind = [kind_of(tensors, other) for other in stems[number + 1 :] if _sides_fit(tensors, other, leaving)]
        is_head = leaving == size if size != "auto" else _HEADS.search(stem) or leaving in acted_on or bool(behind)
        if is_head:
            head.layers.append(Layer(kind, stem, leaving, f"{stem}.bias" in tensors))
            head.width = leaving
        elif size is None or _is_classes(stem, leaving):
            head.left_out += names
        else:
            head.doubtful = (stem, leaving)
            head.unexplained += names
    _need_plain(head)
    return head


def _sides(tensors: dict[str, Tensor], stem: str, kind: str) -> tuple[int, int]:
    weight = tensors[f"{stem}.{'running_mean' if kind == 'batch norm' else 'weight'}"]
    shape = tuple(weight.shape)
    return (shape[0], shape[0]) if kind == "batch norm" else (shape[1], shape[0])


def _sides_fit(tensors: dict[str, Tensor], stem: str, width: int) -> bool:
    kind = kind_of(tensors, stem)
    return kind is not None and _sides(tensors, stem, kind)[0] == width


def _is_classes(stem: str, leaving: int) -> bool:
    return leaving in IMAGENET_CLASSES or bool(re.search(r"(^|\.)classif\w*(\.\d+)?$", stem))


def _need_plain(head: Head) -> None:
    """Refuses several linear layers one behind the other: what stands between them leaves no tensor."""
    linear = [layer.stem for layer in head.layers if layer.kind in ("linear", "convolution")]
    if len(linear) > 1:
        head.problem = (
            f"several linear layers ({', '.join(linear)}), and what stands between them leaves no tensor: give "
            "model.embedding_size=null for the backbone's own features"
        )
