"""What a checkpoint holds, worked out from the file alone: names, shapes, saved settings, and the project's ways."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from lookalike.errors import ModelError, one_line
from lookalike.models.backbone import width_of
from lookalike.models.foreign_names import first_names
from lookalike.recognition.authors import Authors, find_authors, size_of
from lookalike.recognition.backbones import Match, find_backbones
from lookalike.recognition.catalogue import unfilled
from lookalike.recognition.contents import Contents, read_contents
from lookalike.recognition.facts import Blueprint, Fact, Recognised, Value
from lookalike.recognition.heads import Head, neck_of, read_head
from lookalike.recognition.pixel_facts import pixel_facts, timms
from lookalike.recognition.projects.clip import CLIP, quick_gelu
from lookalike.recognition.projects.fast_reid import Configured, configured
from lookalike.recognition.projects.project import Project
from lookalike.recognition.projects.pytorch_metric_learning import embedder_beside
from lookalike.recognition.projects.tables import project_of
from lookalike.recognition.refusals import (
    refuse_cameras,
    refuse_foreign_tensors,
    refuse_given,
    refuse_other_sizes,
    refuse_scales,
    refuse_several,
    refuse_stride,
    refuse_student,
    refuse_ties,
    refuse_two_sizes,
    refuse_unexplained,
    refuse_unknown,
)
from lookalike.recognition.renaming.torchvision import norm_eps
from lookalike.recognition.surgery import own_last_stride
from lookalike.recognition.two_steps import scaled_and_cut
from lookalike.recognition.unknown_heads import read_unknown_head
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels

_COPIES = re.compile(r"(^|[._])(teacher|ema|momentum|encoder_k|key_encoder|target|swa|average)([._]|$)")


@dataclass(frozen=True)
class Given:
    """What a person says of a checkpoint; None where nothing is said.

    Attributes:
        model: backbone, embedding_size, pooling, bn_neck, last_stride, mean, std.
        pixels: height, width, resize, interpolation, antialias.
        key: Which set of weights.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


def given_of(model: CheckpointModel, pixels: CheckpointPixels, key: str | None) -> Given:
    """What a person says of a checkpoint, of checked settings.

    Args:
        model: Of its network.
        pixels: Of its images.
        key: Which set of weights.
    """
    return Given(model.model_dump(), pixels.model_dump(), key)


def recognise(file: Path, given: Given = Given()) -> tuple[Recognised, dict[str, Tensor]]:
    """Works out what a file holds.

    Args:
        file: A checkpoint of any project, or plain weights.
        given: What a person says of it, which wins.

    Returns:
        What it is, and its tensors by their names in the file.

    Raises:
        LookalikeError: It cannot be read, or is not recognised as a whole; the text says what of it is, and what would
            settle the rest.
    """
    contents = read_contents(file, given.key)
    if given.key is None and contents.key.rpartition(".")[2] == "student":
        refuse_student(contents, contents.others)
    if other := embedder_beside(file):
        more = {f"embedder.{name}": tensor for name, tensor in read_contents(other).tensors.items()}
        contents = replace(contents, tensors={**contents.tensors, **more})
    refuse_foreign_tensors(contents)
    project, shown = project_of(contents)
    by_name = shown or given.model.get("backbone") is not None
    authors = None if by_name else find_authors(contents, size_of(contents, given.pixels))
    if authors is not None:
        recognised = _of_authors(contents, authors, given)
    else:
        recognised = _of_timm(contents, project, shown, given)
    unread = {name: reason for name, reason in contents.unread.items() if name != "args"}  # told among the sizes
    recognised.remarks.extend(f"{name} cannot be read: {reason}" for name, reason in unread.items())
    return recognised, contents.tensors


def _of_authors(contents: Contents, authors: Authors, given: Given) -> Recognised:
    """A network of `models.networks`."""
    refuse_unexplained(contents, f"{authors.kind} of {authors.project}", authors.unexplained)
    refuse_cameras(contents, authors.kind, authors.names)
    settled = [name for name in ("embedding_size", "pooling", "bn_neck", "last_stride") if name not in authors.takes]
    refuse_given(contents.file, f"{authors.kind} of {authors.project}", given.model, settled)
    convention = authors.convention
    cited = f"{convention.project} {convention.version}"
    usual: dict[str, tuple[Value, str]] = {
        name: (cast(Value, value), f"{where} ({cited})") for name, (value, where) in convention.facts().items()
    }
    facts = {
        "project": Fact(authors.project, "shapes", authors.shown_by),
        "weights": _weights(contents, given),
        "architecture": Fact(authors.kind, "shapes", f"{len(authors.names)} tensors"),
    }
    if authors.last_stride is not None:
        usual["last_stride"] = (authors.last_stride, f"as {cited} builds it")
        stride = _fact("last_stride", contents, authors.settings, usual, given.model)
        facts |= {"last_stride": stride} if stride else {}
    taken, facts["taken"] = _taken(contents, authors, usual, given)
    said = Configured()
    if authors.project == "fast-reid":
        said = configured(contents, authors.shapes_in(contents), given.pixels)
    usual |= {name: (fact.value, fact.evidence) for name, fact in said.pixels.items() if name in ("height", "width")}
    if pooling := _fact("pooling", contents, {}, {}, given.model) or said.network.get("pooling"):
        facts["pooling"] = pooling
        facts |= {"gem_power": said.network["gem_power"]} if "gem_power" in said.network else {}
    facts |= pixel_facts(contents, authors.settings, usual, given.pixels, given.model, said.pixels)
    if any(name.endswith("heads.pool_layer.p") for name in authors.names):
        refuse_two_sizes(contents, f"{authors.kind} of {authors.project}", facts["height"])
    hints = authors.shapes_in(contents, authors.left_out)
    blueprint = Blueprint(
        authors.kind,
        {name: (f"{authors.wrapper}{name}",) for name in authors.names},
        authors.project,
        authors.wrapper,
        hints,
        _whole(facts.get("last_stride")),
        facts["pooling"].value if "pooling" in facts else "own",  # type: ignore[arg-type]
        taken=taken,
        flip=facts["flip"].value,  # type: ignore[arg-type]
        parts=_whole(facts["parts"]) or 1,
    )
    remarks = [*convention.remarks, *said.remarks]
    return Recognised(str(contents.file), facts, blueprint, authors.left_out, contents.others, remarks)


def _taken(
    contents: Contents, authors: Authors, usual: Mapping[str, tuple[Value, str]], given: Given
) -> tuple[str, Fact]:
    """Which side of a batch norm the embedding is taken of, empty where that is as the project has it; and the fact."""
    if given.model.get("bn_neck") is not None:
        taken = "after" if given.model["bn_neck"] else "before"
        return taken, Fact(f"{taken} the batch norm", "given", "model.bn_neck")
    saved = contents.setting(*authors.settings.get("taken", ("-",)))
    if "bn_neck" in authors.takes and saved and saved[0] in ("before", "after"):
        return str(saved[0]), Fact(f"{saved[0]} the batch norm", "saved settings", saved[1])
    return "", Fact(*_typed(usual["taken"]))


def _of_timm(contents: Contents, project: Project, shown: str, given: Given) -> Recognised:
    """A network of timm, and layers behind it."""
    match, other_weights = _chosen(contents, project, given)
    refuse_other_sizes(contents, match)
    network = unfilled(match.architecture)
    if given.model.get("last_stride") is not None and own_last_stride(network) is None:
        refuse_stride(contents, match)
    width = width_of(network)
    rest = [name for name in contents.tensors if name not in match.used and not _of_a_copy(name, other_weights)]
    wrapper = project.wrapper_of(match.view.prefix)
    size = given.model.get("embedding_size", "auto")
    if project.steps is not None:
        refuse_given(contents.file, f"a network of {project.name}", given.model, ("embedding_size", "bn_neck"))
        head = read_head(project, contents, rest, wrapper, width)
    else:
        behind = [name for name in rest if not re.fullmatch(project.left_out, name.removeprefix(match.view.prefix))]
        head = read_unknown_head(contents, behind, width, size, given.model.get("bn_neck"))
        head.left_out += [name for name in rest if name not in behind]
    refuse_unexplained(contents, match.architecture, head.unexplained, head)
    facts = {"project": Fact(project.name, "convention", shown)} if shown else {}
    cited = f" of {project.cited}" if shown else ""
    usual = {name: (value, f"{where}{cited}") for name, (value, where) in project.facts.items()}
    facts |= _network_facts(contents, match, head, given)
    if taken := usual.get("taken"):
        facts["taken"] = Fact(*_typed(taken))
    own = timms(match.architecture, vars(network)["pretrained_cfg"], project.name == "timm")
    own |= _usual_sides(given) | _shown_sides(match)
    usual = {**own, **usual, "parts": (1, "one vector of the whole image")}
    cut = scaled_and_cut(contents) if project.name == "transformers" else {}
    facts |= pixel_facts(contents, project.settings, usual, given.pixels, given.model, cut)
    refuse_scales(contents, match, facts["mean"])
    act = contents.setting("hidden_act", "vision_config.hidden_act")
    blueprint = Blueprint(
        match.architecture,
        {name: place.names for name, place in match.places.items()},
        last_stride=_whole(facts.get("last_stride")),
        pooling=facts["pooling"].value,  # type: ignore[arg-type]
        gem_power=float(facts["gem_power"].value) if "gem_power" in facts else 3.0,  # type: ignore[arg-type]
        layers=tuple(head.layers),
        flip=facts["flip"].value,  # type: ignore[arg-type]
        library=match.view.library,
        norm_eps=norm_eps(match.architecture) if match.view.library == "torchvision" else None,
        cuts={name: place.cut for name, place in match.places.items() if place.cut},
        plus={name: place.plus for name, place in match.places.items() if place.plus},
        tanh=match.view.library == "transformers" and (act or ("",))[0] == "gelu_pytorch_tanh",
    )
    remarks = []
    if match.others and match.source == "shapes":
        remarks.append(f"of the same tensors, and rare: {first_names(match.others)} (model.backbone=<name>)")
    if not {"height", "width"} <= project.facts.keys() and facts["height"].source == "convention":
        remarks.append(_OBJECT if "args" in contents.unread else _SIZE)
    return Recognised(str(contents.file), facts, blueprint, head.left_out, other_weights, remarks)


def _usual_sides(given: Given) -> dict[str, tuple[Value, str]]:
    """The size of images that is usual for the data."""
    sides = given.pixels.get("usual_size") or ()
    return {name: (side, "pixels.usual_size") for name, side in zip(("height", "width"), sides, strict=False)}


def _shown_sides(match: Match) -> dict[str, tuple[Value, str]]:
    """The size of square images that position embeddings of another size than the architecture's are for."""
    if "pos_embed" not in match.resized or "patch_embed.proj.weight" not in match.places:
        return {}
    tokens = sum(name in match.places for name in ("cls_token", "dist_token")) + (
        match.places["reg_token"].shape[1] if "reg_token" in match.places else 0
    )
    places = match.places["pos_embed"].shape[1]
    side = next((isqrt(count) for count in (places, places - tokens) if isqrt(count) ** 2 == count), 0)
    patch = match.places["patch_embed.proj.weight"].shape[-1]
    where = f"{', '.join(match.places['pos_embed'].names)} of {places} places"
    return dict.fromkeys(("height", "width"), (side * patch, where)) if side else {}


_OBJECT = (
    "the settings of its training (args) are an object in the file, which is not read: give pixels.height, "
    "pixels.width, model.mean and model.std if they were others"
)
_SIZE = (
    "nothing in the file says how large its images were: give pixels.height and pixels.width if they were of another "
    "size"
)


def _chosen(contents: Contents, project: Project, given: Given) -> tuple[Match, list[str]]:
    """The network that embeds, and the places of other sets of its weights."""
    shapes = {name: tuple(tensor.shape) for name, tensor in contents.tensors.items()}
    matches, near = find_backbones(shapes)
    if not matches:
        refuse_unknown(contents, near)
    if given.key is None and any("student" in match.view.prefix.split(".") for match in matches):
        refuse_student(contents, [match.view.prefix.rstrip(".") for match in matches])
    own = [match for match in matches if not _COPIES.search(match.view.prefix)] or matches
    copies = [match.view.prefix.rstrip(".") for match in matches if match not in own]
    if len(own) > 1:
        refuse_several(contents, own)
    named = given.model.get("backbone")
    saved = contents.setting(*project.settings.get("architecture", ("-",)))
    if project is CLIP and (quick := quick_gelu(contents)):
        names = [own[0].architecture, *own[0].same, *own[0].others]
        saved = next(((name, quick[1]) for name in names if ("quickgelu" in name) == quick[0]), saved)
    return refuse_ties(contents, own[0], named, saved), [*contents.others, *copies]


def _of_a_copy(name: str, places: list[str]) -> bool:
    """Whether a tensor is of another set of weights: of a teacher, or an average."""
    return any(name.startswith(f"{place.partition('.')[0]}.") for place in places if _COPIES.search(place))


def _weights(contents: Contents, given: Given) -> Fact:
    if given.key:
        return Fact(given.key, "given", "ckpt_key")
    return Fact(contents.key or "all of the file", "shapes", "the network's own")


def _network_facts(contents: Contents, match: Match, head: Head, given: Given) -> dict[str, Fact]:
    """What the network is."""
    where = f"{len(match.places)} tensors" + (f" under {match.view.prefix[:-1]}" if match.view.prefix else "")
    library = f", in {match.view.library}'s names" if match.view.library != "timm" else ""
    facts = {
        "weights": _weights(contents, given),
        "architecture": Fact(match.architecture, match.source, f"{where}{library}{match.evidence}"),
    }
    own = own_last_stride(unfilled(match.architecture))
    usual: dict[str, tuple[Value, str]] = {"last_stride": (own, f"timm's {match.architecture}")} if own else {}
    usual["pooling"] = ("own", f"what {match.architecture} does")
    for name in usual:
        if fact := _fact(name, contents, {}, usual, given.model):
            facts[name] = fact
    if head.power:
        facts["pooling"] = Fact("gem", "shapes", head.power)
        facts["gem_power"] = Fact(round(float(contents.tensors[head.power].float()), 6), "shapes", head.power)
    stems = ", ".join(layer.stem for layer in head.layers if layer.stem)
    facts["neck"] = Fact(neck_of(head.layers), "shapes", stems)
    return facts


def _fact(
    name: str,
    contents: Contents,
    settings: Mapping[str, tuple[str, ...]],
    usual: Mapping[str, tuple[Value, str]],
    given: Mapping[str, Any],
) -> Fact | None:
    """Given, saved, or as the project has it."""
    if given.get(name) is not None:
        return Fact(given[name], "given", f"model.{name}")
    if name in settings and (saved := contents.setting(*settings[name])):
        if name == "last_stride" and saved[0] not in (1, 2):
            raise ModelError(
                f"{contents.file}: {saved[1]} is {one_line(saved[0], 40)}, expected 1 or 2: give model.last_stride"
            )
        return Fact(saved[0], "saved settings", saved[1])
    return Fact(*_typed(usual[name])) if name in usual else None


def _typed(usual: tuple[Value, str]) -> tuple[Value, Any, str]:
    return usual[0], "convention", usual[1]


def _whole(fact: Fact | None) -> int | None:
    return fact.value if fact is not None and isinstance(fact.value, int) else None
