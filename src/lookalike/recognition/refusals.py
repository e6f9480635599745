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
from lookalike.recognition.catalogue import outline, unfilled
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact, printed
from lookalike.recognition.heads import Head

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


def refuse_unknown(contents: Contents, near: Near | None) -> NoReturn:
    """Says that no known network is wholly there, and which comes nearest.

    Args:
        contents: Of the checkpoint.
        near: The nearest.

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
    raise ModelError(f"{text}: give model.backbone=<timm's name> if you know it, or another file")


def refuse_several(contents: Contents, matches: list[Match]) -> NoReturn:
    """Asks which of several networks is meant.

    Args:
        contents: Of the checkpoint.
        matches: Those that are wholly there.

    Raises:
        ModelError: Always.
    """
    listed = [f"{match.architecture} under {match.view.prefix[:-1] or 'no prefix'}" for match in matches]
    keys = [match.view.prefix[:-1] for match in matches if match.view.prefix]
    raise ModelError(
        f"{contents.file}: several networks in it: {', '.join(listed[:6])}: say which embeds: "
        f"{' or '.join(f'ckpt_key={key}' for key in keys[:6])}"
    )


def refuse_student(contents: Contents, places: list[str]) -> None:
    """Asks which of a student and its teacher embeds: projects differ.

    Args:
        contents: Of the checkpoint.
        places: Of sets of weights beside it.

    Raises:
        ModelError: There is a teacher.
    """
    if teacher := next((place for place in places if place.rpartition(".")[2] == "teacher"), ""):
        student = contents.key or teacher.removesuffix("teacher") + "student"
        raise ModelError(
            f"{contents.file}: a student and a teacher in it, and projects differ in which of them embeds: give "
            f"ckpt_key={student} or ckpt_key={teacher}"
        )


def refuse_ties(contents: Contents, match: Match, backbone: str | None, saved: tuple[Any, str] | None) -> Match:
    """The match, under the name that was given or saved; asks where the tensors fit networks that compute otherwise.

    Args:
        contents: Of the checkpoint.
        match: The network.
        backbone: Given name, None where none was.
        saved: Name in the settings of the project, and where it stands.

    Raises:
        ModelError: The given one does not fit, or several fit.
    """
    fitting = [match.architecture, *match.same, *match.others]
    if backbone is not None:
        need_known(backbone)
        if backbone.partition(".")[0] not in fitting:
            raise ModelError(
                f"{contents.file}: model.backbone={backbone}: its tensors are not those in the file, which are those "
                f"of {match.architecture}: leave it out, or give model.backbone={match.architecture}"
            )
        return replace(match, architecture=backbone, others=[], same=[], source="given", evidence="; model.backbone")
    if saved and str(saved[0]).partition(".")[0] in fitting:
        name = str(saved[0]).partition(".")[0]
        return replace(match, architecture=name, others=[], source="saved settings", evidence=f"; {saved[1]}")
    if act := contents.setting("hidden_act", "vision_config.hidden_act"):  # which CLIP's towers have two of
        quick = "quick" in str(act[0])
        alike = [name for name in fitting if ("quickgelu" in name) == quick]
        if any("quickgelu" in name for name in fitting) and alike:
            return replace(match, architecture=alike[0], others=[], source="saved settings", evidence=f"; {act[1]}")
    common = [name for name in fitting if not _RARE.search(name)] or fitting
    if match.architecture not in common:
        match = replace(match, architecture=common[0])
    different = [name for name in common if name in match.others and name != match.architecture]
    if different and match.view.library == "torchvision":  # which pads as the networks of PyTorch do
        different = [name for name in different if not name.startswith("tf_")]
    if different:
        choices = " or ".join(f"model.backbone={name}" for name in [match.architecture, *different])
        raise ModelError(
            f"{contents.file}: {' and '.join([match.architecture, *different])} have the same tensors and compute "
            f"different things, and the file does not say which it is: give {choices}"
        )
    return match


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


def refuse_scales(contents: Contents, match: Match, mean: Fact) -> None:
    """Asks for mean and std where several names of timm for the network have different ones, and nothing says which.

    Args:
        contents: Of the checkpoint.
        match: The network.
        mean: What was taken.

    Raises:
        ModelError: They differ.
    """
    if match.source != "shapes" or mean.source != "convention" or not mean.evidence.startswith("timm's"):
        return
    configs = {name: vars(unfilled(name))["pretrained_cfg"] for name in [match.architecture, *match.same]}
    kinds: dict[tuple[float, ...], str] = {}
    for name, config in configs.items():
        kinds.setdefault((*config["mean"], *config["std"]), name)
    if len(kinds) > 1:
        choices = [
            f"model.mean=[{','.join(map(str, key[:3]))}] model.std=[{','.join(map(str, key[3:]))}] as {name} has"
            for key, name in kinds.items()
        ]
        raise ModelError(
            f"{contents.file}: recognised {match.architecture}, but the file does not say how its pixels were scaled: "
            f"give {', or '.join(choices)}"
        )


def refuse_two_sizes(contents: Contents, network: str, height: Fact) -> None:
    """Asks for the size of fast-reid's networks with GeM, where nothing says it.

    Args:
        contents: Of the checkpoint.
        network: What was recognised.
        height: Of the images.

    Raises:
        ModelError: It is neither given nor saved.
    """
    if height.source == "convention":
        raise ModelError(
            f"{contents.file}: recognised {network} with GeM, which AGW's configurations have for 256 x 128 pixels and "
            "SBS's for 384 x 128, with the same tensors: give pixels.height=256 pixels.width=128, or pixels.height=384 "
            "pixels.width=128, or put its config.yaml beside the file"
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
    stem, size = head.doubtful if head is not None and head.doubtful is not None else ("", 0)
    if head is not None and stem and all(name.startswith(f"{stem}.") for name in unexplained):
        raise ModelError(
            f"{contents.file}: recognised {network}; {stem} ({size} x {head.width}) may be its head or a classifier, "
            f"and the file does not say which: give model.embedding_size={size} if what it gives is the embedding, or "
            "model.embedding_size=null for what stands before it"
        )
    if unexplained:
        raise ModelError(
            f"{contents.file}: recognised {network}, but not {len(unexplained)} other tensors: "
            f"{first_names(unexplained)}: with them its network is another one; model.backbone=<name> with "
            "model.embedding_size=null takes a network of timm alone, without what is behind it"
        )
