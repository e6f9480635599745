"""Names and sizes of a network among saved settings: they settle what tensors leave open, and overrule no shape."""

from collections.abc import Iterator
from typing import Any

import timm

from lookalike.recognition.contents import Contents

_ARCHITECTURES = {
    *("model_name", "backbone", "backbone_name", "arch", "architecture", "encoder", "encoder_name"),
    *("model", "net", "network", "timm_model", "timm_name", "model_arch", "base_model", "trunk"),
}
_OF_A_GROUP = {"name", "type", "arch", "architecture"}  # `model.name`, below one of the above
_SIZES = {
    *("embedding_size", "embedding_dim", "embed_dim", "emb_dim", "emb_size", "embedding_dims", "feat_dim"),
    *("feature_dim", "out_dim", "output_dim", "embed_size", "feature_size", "projection_dim"),
}
_CLASSES = {"num_classes", "n_classes", "num_class", "nb_classes", "classes_num", "num_ids", "num_labels"}
_HUBS = ("hf-hub:timm/", "hf_hub:timm/", "timm/")


def saved_architectures(contents: Contents) -> list[tuple[str, str]]:
    """Networks of timm that saved settings name, tags included, each with where it stands.

    Args:
        contents: Of the checkpoint.
    """
    named = []
    for key, value, where in _said(contents):
        group, _, last = key.rpartition(".")
        if isinstance(value, str) and (
            last in _ARCHITECTURES or (last in _OF_A_GROUP and group.rpartition(".")[2] in _ARCHITECTURES)
        ):
            plain = value.removeprefix(next((hub for hub in _HUBS if value.startswith(hub)), "")).replace("-", "_")
            if name := _known(plain):
                named.append((name, where))
    return named


def saved_size(contents: Contents) -> tuple[int, str] | None:
    """D that saved settings name, and where; None where none do.

    Args:
        contents: Of the checkpoint.
    """
    return _count(contents, _SIZES)


def saved_classes(contents: Contents) -> tuple[int, str] | None:
    """How many classes saved settings name, and where; None where none do.

    Args:
        contents: Of the checkpoint.
    """
    return _count(contents, _CLASSES)


def _count(contents: Contents, names: set[str]) -> tuple[int, str] | None:
    """The number under one of some names, None where two of them differ."""
    counts = {
        value: where
        for key, value, where in _said(contents)
        if key.rpartition(".")[2] in names and isinstance(value, int) and not isinstance(value, bool) and value > 0
    }
    return next(iter(counts.items())) if len(counts) == 1 else None


def _said(contents: Contents) -> Iterator[tuple[str, Any, str]]:
    for place, values in (("the file", contents.saved), *contents.beside.items()):
        for key, value in values.items():
            yield key, value, f"{key} in {place}"


def _known(name: str) -> str:
    """The name in timm, without a tag that it does not have; empty where it knows none."""
    plain = name.partition(".")[0]
    if not plain or not timm.is_model(plain):
        return ""
    return name if name == plain or name in timm.list_pretrained(f"{plain}.*") else plain
