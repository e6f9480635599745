"""What is said of a file that is not recognised as a whole: what of it is, what is not, and what would settle it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from lookalike.errors import ModelError
from lookalike.models.backbone import need_known
from lookalike.models.foreign_names import first_names
from lookalike.recognition.backbones import Match, Near, shown
from lookalike.recognition.catalogue import outline
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Question, printed
from lookalike.recognition.heads import Head, linear_sides
from lookalike.recognition.projects.clip import quick_gelu
from lookalike.recognition.questions import ask_architecture
from lookalike.recognition.saved_names import saved_architectures

_RARE = re.compile(r"blur|aa\d|aa_|pruned|^flexivit")  # forms that hardly anybody trains, beside one that many do
_LORA = re.compile(r"(^|\.)lora_(A|B|down|up|embedding)")
_QUANTISED = re.compile(r"(^|\.)(_packed_params|absmax|quant_map|SCB|qweight|qzeros|zero_point|weight_scale)($|\.)")


def refuse_foreign_tensors(contents: Contents) -> None:
    """Refuses what holds numbers of another kind than a network's own weights.

    Args:
        contents: Of the checkpoint.

    Raises:
        ModelError: It is quantised, or an adapter.
    """
    names = list(contents.tensors)
    if lora := [name for name in names if _LORA.search(name)]:
        raise ModelError(
            f"{contents.file}: expected a whole network, found {len(lora)} tensors of a LoRA adapter "
            f"({first_names(lora)}): merge it into its network (peft: merge_and_unload) and save that"
        )
    quantised = [name for name in names if _QUANTISED.search(name)]
    quantised += [name for name in names if name.endswith("weight") and not contents.tensors[name].is_floating_point()]
    if quantised:
        raise ModelError(
            f"{contents.file}: expected weights as floating-point numbers, found quantised ones "
            f"({first_names(quantised)}): take the checkpoint that it was made of"
        )


def refuse_unknown(contents: Contents, near: Near | None, backbone: str | None = None) -> NoReturn:
    """Says that no known network is wholly there, and which comes nearest.

    Args:
        contents: Of the checkpoint.
        near: The nearest.
        backbone: That a person named.

    Raises:
        ModelError: Always.
    """
    text = (
        f"{contents.file}: no network that is known here is wholly in it: {len(contents.tensors)} tensors, "
        f"{first_names(list(contents.tensors))}"
    )
    if near is not None:
        differences = "; ".join(near.differences())
        text += f"; nearest is {near.architecture} ({near.share:.0%} of a sample of its tensors): {differences}"
    if backbone is not None:
        need_known(backbone)
        raise ModelError(f"{text}: give a file that has them, or eval's allow_partial=true to load what fits")
    raise ModelError(f"{text}: give model.backbone=<timm's name> if you know it, or another file")


def settled(contents: Contents, match: Match, backbone: str | None) -> tuple[Match, Question | None]:
    """The match, under the name that was given or saved; a question where it may be networks that compute otherwise.

    Args:
        contents: Of the checkpoint.
        match: The network.
        backbone: Given name, None where none was.

    Raises:
        ModelError: The given one does not fit.
    """
    fitting = [match.architecture, *match.same, *match.others]
    if backbone is not None:
        need_known(backbone)
        if backbone.partition(".")[0] not in fitting:
            raise ModelError(
                f"{contents.file}: model.backbone={backbone}: its tensors are not those in the file, which are those "
                f"of {match.architecture}: leave it out, or give model.backbone={match.architecture}"
            )
        evidence = "; model.backbone"
        return replace(match, architecture=backbone, others=[], same=[], source="given", evidence=evidence), None
    for name, where in saved_architectures(contents):
        if name.partition(".")[0] in fitting:
            return replace(match, architecture=name, others=[], source="saved settings", evidence=f"; {where}"), None
    if any("quickgelu" in name for name in fitting) and (activation := quick_gelu(contents)):
        quick, where = activation
        alike = [name for name in fitting if ("quickgelu" in name) == quick]
        if alike:
            evidence = f"; {where}"
            return replace(match, architecture=alike[0], others=[], source="saved settings", evidence=evidence), None
    common = [name for name in fitting if not _RARE.search(name)] or fitting
    if match.architecture not in common:
        match = replace(match, architecture=common[0])
    different = [name for name in common if name in match.others and name != match.architecture]
    if different and match.view.library == "torchvision":  # which pads as the networks of PyTorch do
        different = [name for name in different if not name.startswith("tf_")]
    return match, ask_architecture([match.architecture, *different]) if different else None


def refuse_other_sizes(contents: Contents, match: Match) -> None:
    """Refuses tensors for images of another size that nothing brings to one: tables of windows.

    Args:
        contents: Of the checkpoint.
        match: The network.

    Raises:
        ModelError: There are such.
    """
    for name in match.resized:
        if not name.endswith("pos_embed"):
            place, wanted = match.places[name], outline(match.architecture)[name]
            raise ModelError(
                f"{contents.file}: recognised {match.architecture}, but {', '.join(place.names)} is "
                f"{shown(place.shape)}, {match.architecture} has {shown(wanted)}: its windows are of another size than "
                "those of any network that is known here"
            )


def refuse_cameras(contents: Contents, network: str, names: tuple[str, ...]) -> None:
    """Refuses a network that takes the camera of each image beside its pixels.

    Args:
        contents: Of the checkpoint.
        network: What was recognised.
        names: Of its tensors.

    Raises:
        ModelError: It is one.
    """
    if sides := [name for name in names if name.rpartition(".")[2] in ("sie_embed", "cv_embed")]:
        raise ModelError(
            f"{contents.file}: recognised {network}, which takes the camera of each image, too ({', '.join(sides)}): "
            "here images are embedded by their pixels alone: take a checkpoint trained without SIE"
        )


def refuse_given(file: Path, network: str, model: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuses what a person says of a network whose parts its project has settled.

    Args:
        file: The checkpoint.
        network: What was recognised.
        model: Given settings.
        names: Those that it does not take.

    Raises:
        ModelError: One of them was given.
    """
    for name in names:
        value = model.get(name, "auto")
        if value != "auto" and (value is not None or name == "embedding_size"):
            raise ModelError(
                f"{file}: model.{name}={printed(value)}: recognised {network}, whose head is all in the file: leave it "
                "out"
            )


def refuse_stride(contents: Contents, match: Match) -> NoReturn:
    """Refuses a stride for a network whose last stage has none.

    Args:
        contents: Of the checkpoint.
        match: The network.

    Raises:
        ModelError: Always.
    """
    raise ModelError(
        f"{contents.file}: model.last_stride: expected a ResNet or its kin, whose last stage has a stride, found "
        f"{match.architecture}: leave it out"
    )


def refuse_unfitting(contents: Contents, network: str, head: Head, given: Mapping[str, Any]) -> None:
    """Refuses what a person says of the head of a network of timm, and what the file has not.

    Args:
        contents: Of the checkpoint.
        network: What was recognised.
        head: As it was read.
        given: Settings of the model.

    Raises:
        ModelError: No layer gives so many values, there is no batch norm, or the file pools otherwise.
    """
    start = f"{contents.file}: recognised {network}"
    size, kinds = given.get("embedding_size", "auto"), [layer.kind for layer in head.layers]
    linear = [layer.width for layer in head.layers if layer.kind in ("linear", "convolution", "projection")]
    if isinstance(size, int) and size not in linear:
        there = sorted({rows for rows, _ in linear_sides(contents.tensors, head).values()} | set(linear))
        shown = f"has linear layers of {', '.join(map(str, there))}" if there else "has no linear layer"
        raise ModelError(
            f"{start}: model.embedding_size={size}: what is behind it {shown}: give one of these, or "
            "model.embedding_size=null for the backbone's own features"
            if there
            else f"{start}: model.embedding_size={size}: nothing is behind it: give model.embedding_size=null for the "
            "backbone's own features"
        )
    if given.get("bn_neck") and kinds[-1:] != ["batch norm"]:
        raise ModelError(f"{start}: model.bn_neck=true: no batch norm is behind its head: give model.bn_neck=false")
    pooling = given.get("pooling")
    if head.power and pooling not in (None, "gem"):
        raise ModelError(
            f"{start}: model.pooling={pooling}: the file pools with GeM, whose power is {head.power}: leave it out"
        )


def refuse_unexplained(contents: Contents, network: str, unexplained: list[str], head: Head | None = None) -> None:
    """Refuses a file with tensors that have no place: with them its network is another one.

    Args:
        contents: Of the checkpoint.
        network: What was recognised.
        unexplained: Names that have no place.
        head: What is behind a network of timm.

    Raises:
        ModelError: There are such tensors, or layers that do not fit each other.
    """
    if head is not None and head.problem:
        raise ModelError(f"{contents.file}: recognised {network}, but not what stands behind it: {head.problem}")
    if unexplained:
        raise ModelError(
            f"{contents.file}: recognised {network}, but not {len(unexplained)} other tensors: "
            f"{first_names(unexplained)}: with them its network is another one; model.backbone=<name> with "
            "model.embedding_size=null takes a network of timm alone, without what is behind it"
        )
