"""What is said of a file that is not recognised as a whole: what of it is, what is not, and what would settle it."""

import re
from dataclasses import replace
from typing import NoReturn

from lookalike.errors import ModelError
from lookalike.models.foreign_names import first_names
from lookalike.recognition.backbones import Match, Near
from lookalike.recognition.contents import Contents
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
    shown = [f"{match.architecture} under {match.view.prefix[:-1] or 'no prefix'}" for match in matches]
    keys = [match.view.prefix[:-1] for match in matches if match.view.prefix]
    raise ModelError(
        f"{contents.file}: several networks in it: {', '.join(shown[:6])}: say which embeds: "
        f"{' or '.join(f'ckpt_key={key}' for key in keys[:6])}"
    )


def refuse_ties(contents: Contents, match: Match, backbone: str | None) -> Match:
    """The match, under the name that was given; asks where the tensors fit networks that compute different things.

    Args:
        contents: Of the checkpoint.
        match: The network.
        backbone: Given name, None where none was.

    Raises:
        ModelError: The given one does not fit, or several fit.
    """
    fitting = [match.architecture, *match.same, *match.others]
    if backbone is not None:
        if backbone not in fitting:
            raise ModelError(
                f"{contents.file}: model.backbone={backbone}: its tensors are not those in the file, which are those "
                f"of {match.architecture}: leave it out, or give model.backbone={match.architecture}"
            )
        return replace(match, architecture=backbone, others=[], same=[])
    common = [name for name in fitting if not _RARE.search(name)] or fitting
    different = [name for name in common if name in match.others]
    if match.architecture not in common:
        match = replace(match, architecture=common[0])
    if different:
        choices = " or ".join(f"model.backbone={name}" for name in [match.architecture, *different])
        raise ModelError(
            f"{contents.file}: {' and '.join([match.architecture, *different])} have the same tensors and compute "
            f"different things, and the file does not say which it is: give {choices}"
        )
    return match


def refuse_unexplained(contents: Contents, match: Match, head: Head) -> None:
    """Refuses a file with tensors that have no place: with them its network is another one.

    Args:
        contents: Of the checkpoint.
        match: The network.
        head: What is behind it.

    Raises:
        ModelError: There are such tensors, or layers that do not fit each other.
    """
    if head.problem:
        raise ModelError(
            f"{contents.file}: recognised {match.architecture}, but not what stands behind it: {head.problem}: give "
            "model.backbone and model.embedding_size if you know them"
        )
    if head.unexplained:
        raise ModelError(
            f"{contents.file}: recognised {match.architecture} ({len(match.places)} tensors), but not "
            f"{len(head.unexplained)} others: {first_names(head.unexplained)}: give "
            f"model.backbone={match.architecture} and what you know of its head "
            "(model.embedding_size=<D>, or null for the backbone's own features)"
        )
