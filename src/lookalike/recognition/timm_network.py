"""A network of timm in a checkpoint, and the layers behind it, as the project that wrote the file has them."""

import re
from dataclasses import dataclass, field
from math import isqrt

from lookalike.models.backbone import width_of
from lookalike.models.foreign_names import first_names
from lookalike.recognition.backbones import Match, find_backbones
from lookalike.recognition.catalogue import unfilled
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Blueprint, Fact, Question, Recognised, Source
from lookalike.recognition.given import Given, network_fact, weights_fact, whole
from lookalike.recognition.heads import Head, neck_of, read_head
from lookalike.recognition.pixel_facts import pixel_facts, timms
from lookalike.recognition.projects.project import Project
from lookalike.recognition.questions import ask_head, ask_networks, ask_scales, ask_student
from lookalike.recognition.refusals import (
    refuse_given,
    refuse_other_sizes,
    refuse_stride,
    refuse_unexplained,
    refuse_unfitting,
    refuse_unknown,
    settled,
)
from lookalike.recognition.renaming.torchvision import norm_eps
from lookalike.recognition.saved_names import saved_architectures
from lookalike.recognition.surgery import own_last_stride
from lookalike.recognition.two_steps import scaled_and_cut
from lookalike.recognition.unknown_heads import read_unknown_head

_COPIES = re.compile(r"(^|[._])(teacher|ema|momentum|encoder_k|key_encoder|target|swa|average)([._]|$)")
_OBJECT = "the settings of its training (args) are an object in the file, which is not read"


@dataclass
class Chosen:
    """The network that embeds.

    Attributes:
        match: Where it stands.
        others: Places of other sets of its weights.
        questions: What a person has to say of it.
        remarks: What a person should know of it.
        elsewhere: Names in the file that are of other networks.
    """

    match: Match
    others: list[str]
    questions: list[Question] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)


def chosen(contents: Contents, named: str | None, key: str | None) -> Chosen:
    """The network of timm that embeds, of those in a file.

    Args:
        contents: Of the checkpoint.
        named: Backbone that a person says is there.
        key: Set of weights that a person says.

    Raises:
        ModelError: None is wholly there, or it is another than the named one.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in contents.tensors.items()}
    matches, near = find_backbones(shapes, (named or "").partition(".")[0])
    if not matches:
        refuse_unknown(contents, near, named)
    questions: list[Question] = []
    if key is None and any("student" in match.view.prefix.split(".") for match in matches):
        asked = ask_student(contents.key, [match.view.prefix.rstrip(".") for match in matches])
        questions += [asked] if asked else []
    own = own_matches(matches)
    copies = [match.view.prefix.rstrip(".") for match in matches if match not in own]
    if len(own) > 1:
        questions.append(ask_networks(own))
    match, tie = settled(contents, own[0], named)
    questions += [tie] if tie else []
    remarks = []
    if match.others and match.source == "shapes" and not tie:
        remarks.append(f"of the same tensors, and rare: {first_names(match.others)} (model.backbone=<name>)")
    if match.source == "shapes":
        fitting = (match.architecture, *match.same, *match.others)
        for name, where in saved_architectures(contents)[:1]:
            if name.partition(".")[0] not in fitting:
                remarks.append(f"{where} says {name}, but the tensors are those of {match.architecture}")
    elsewhere = {name for other in matches for name in other.used} - match.used
    return Chosen(match, [*contents.others, *copies], questions, remarks, elsewhere)


def own_matches(matches: list[Match]) -> list[Match]:
    """Those that are no copies: no teacher's, no average's; all where there are only such.

    Args:
        matches: Of a file.
    """
    return [match for match in matches if not _COPIES.search(match.view.prefix)] or matches


def of_timm(contents: Contents, project: Project, shown: str, given: Given) -> Recognised:
    """A network of timm, and layers behind it.

    Args:
        contents: Of the checkpoint.
        project: Who wrote it.
        shown: What tells the project; empty where nothing does.
        given: What a person says.

    Raises:
        ModelError: It is not recognised as a whole.
    """
    choice = chosen(contents, given.model.get("backbone"), given.key)
    match = choice.match
    refuse_other_sizes(contents, match)
    network = unfilled(match.architecture)
    if given.model.get("last_stride") is not None and own_last_stride(network) is None:
        refuse_stride(contents, match)
    head = _head(contents, project, choice, given, width_of(network))
    refuse_unfitting(contents, match.architecture, head, given.model)
    if not choice.elsewhere:
        refuse_unexplained(contents, match.architecture, head.unexplained, head)
    usual = usual_facts(project, shown, match.architecture, given)
    usual |= _shown_sides(match)
    facts = {"project": _project_fact(project, shown, given)} if shown else {}
    facts |= _network_facts(contents, match, head, given, "convention" if shown else "assumed")
    facts |= {"taken": usual["taken"]} if "taken" in usual else {}
    facts |= read_as(contents, project, usual, given)
    unsized = "args" in contents.unread and facts["height"].source == "assumed"
    remarks = [*choice.remarks, *([_OBJECT] if unsized else [])]
    if head.asked_out:
        remarks.append(f"left out as asked (model.embedding_size, model.bn_neck): {first_names(head.asked_out)}")
    questions = list(choice.questions)
    if not questions and facts["mean"].source in ("convention", "assumed"):
        asked = ask_scales(match, facts["mean"])
        questions += [asked] if asked else []
    asked = _ask_sides(match, facts["height"], facts["width"])
    questions += [*([asked] if asked else []), *ask_head(match.architecture, head)]
    blueprint = Blueprint(
        match.architecture,
        {name: place.names for name, place in match.places.items()},
        last_stride=whole(facts.get("last_stride")),
        pooling=facts["pooling"].value,  # type: ignore[arg-type]
        gem_power=float(facts["gem_power"].value) if "gem_power" in facts else 3.0,  # type: ignore[arg-type]
        layers=tuple(head.layers),
        flip=facts["flip"].value,  # type: ignore[arg-type]
        library=match.view.library,
        norm_eps=norm_eps(match.architecture) if match.view.library == "torchvision" else None,
        cuts={name: place.cut for name, place in match.places.items() if place.cut},
        plus={name: place.plus for name, place in match.places.items() if place.plus},
        tanh=match.view.library == "transformers" and _is_tanh_gelu(contents),
    )
    return Recognised(str(contents.file), facts, blueprint, head.left_out, choice.others, remarks, questions)


def read_as(contents: Contents, project: Project, usual: dict[str, Fact], given: Given) -> dict[str, Fact]:
    """How the images of a network of timm are read, whether all of it is in the file or a part.

    Args:
        contents: Of the checkpoint.
        project: Who wrote it.
        usual: See `usual_facts`.
        given: What a person says.

    Raises:
        CheckpointError: What was saved cannot be done here.
    """
    cut = scaled_and_cut(contents, given.pixels) if project.name == "transformers" else {}
    return pixel_facts(contents, project.settings, usual, given.pixels, given.model, cut)


def _is_tanh_gelu(contents: Contents) -> bool:
    """Whether transformers' settings say that GELU is approximated."""
    saved = contents.setting("hidden_act", "vision_config.hidden_act")
    return saved is not None and saved[0] == "gelu_pytorch_tanh"


def _head(contents: Contents, project: Project, choice: Chosen, given: Given, width: int) -> Head:
    """What stands behind the network."""
    match = choice.match
    taken = match.used | choice.elsewhere
    rest = [name for name in contents.tensors if name not in taken and not _of_a_copy(name, choice.others)]
    size = given.model.get("embedding_size", "auto")
    if project.steps is not None:
        head = read_head(project, contents, rest, project.wrapper_of(match.view.prefix), width)
        behind_norm = head.layers[-1:] and head.layers[-1].kind == "batch norm"
        there = {"embedding_size": head.width if head.layers else None, "bn_neck": bool(behind_norm)}
        others = [name for name, value in there.items() if given.model.get(name, "auto") != value]
        refuse_given(contents.file, f"a network of {project.name}", given.model, others)
        return head
    behind = [name for name in rest if not re.fullmatch(project.left_out, name.removeprefix(match.view.prefix))]
    head = read_unknown_head(contents, behind, width, size, given.model.get("bn_neck"))
    head.left_out += [name for name in rest if name not in behind]
    if size is None and given.model.get("backbone") is not None:  # a person takes the network alone
        head.left_out += head.unexplained
        head.asked_out += dict.fromkeys(name.rpartition(".")[0] for name in head.unexplained)
        head.unexplained = []
    return head


def _project_fact(project: Project, shown: str, given: Given) -> Fact:
    said = given.model.get("project") is not None
    return Fact(project.name, "given" if said else "convention", "model.project" if said else shown)


def usual_facts(project: Project, shown: str, architecture: str, given: Given) -> dict[str, Fact]:
    """What a project does, and what is assumed where it does not say it.

    Args:
        project: Who wrote the file.
        shown: What tells the project; empty where nothing does.
        architecture: timm's name.
        given: What a person says.
    """
    config = vars(unfilled(architecture))["pretrained_cfg"]
    by_timm: Source = "convention" if project.name == "timm" else "assumed"
    own = timms(architecture, config, project.name == "timm").items()
    facts = {
        name: Fact(value, "assumed" if name in ("height", "width") else by_timm, where) for name, (value, where) in own
    }
    sides = given.pixels.get("usual_size") or ()
    named = zip(("height", "width"), sides, strict=False)
    facts |= {name: Fact(side, "assumed", "pixels.usual_size") for name, side in named}
    source: Source = "convention" if shown else "assumed"
    cited = f" of {project.cited}" if shown else ""
    facts |= {name: Fact(value, source, f"{where}{cited}") for name, (value, where) in project.facts.items()}
    return {**facts, "parts": Fact(1, "convention", "one vector of the whole image")}


@dataclass(frozen=True)
class _Positions:
    """Position embeddings, which show how large images are.

    Attributes:
        name: In the file.
        counts: How many places the grid may have: all of them, or without those of tokens.
        whole: All of them.
        patch: Its side, in pixels.
    """

    name: str
    counts: tuple[int, int]
    whole: int
    patch: int

    def fit(self, height: int, width: int) -> bool:
        """Whether images of this size have as many places."""
        return (height // self.patch) * (width // self.patch) in self.counts

    @property
    def side(self) -> int:
        """Of square images, in pixels; 0 where they are not square."""
        return self.patch * next((isqrt(count) for count in self.counts if isqrt(count) ** 2 == count), 0)


def _positions(match: Match) -> _Positions | None:
    """None where there are none, or they are not of one place a patch."""
    if not {"pos_embed", "patch_embed.proj.weight"} <= match.places.keys() or len(match.places["pos_embed"].shape) != 3:
        return None
    tokens = sum(name in match.places for name in ("cls_token", "dist_token")) + (
        match.places["reg_token"].shape[1] if "reg_token" in match.places else 0
    )
    place = match.places["pos_embed"]
    whole_of_it = place.shape[1]
    patch = match.places["patch_embed.proj.weight"].shape[-1]
    network = unfilled(match.architecture)
    own = vars(network)["pretrained_cfg"]["input_size"]
    positions = getattr(network, "pos_embed", None)
    counts = (whole_of_it, whole_of_it - tokens)
    if tokens and positions is not None:  # whether tokens have places is the architecture's, not the file's
        with_tokens = positions.shape[1] != (own[1] // patch) * (own[2] // patch)
        counts = (counts[with_tokens],) * 2
    places = _Positions(", ".join(place.names), counts, whole_of_it, patch)
    return places if "pos_embed" in match.resized or places.fit(*own[1:]) else None


def _shown_sides(match: Match) -> dict[str, Fact]:
    """The size of square images that position embeddings are for."""
    places = _positions(match)
    if places is None or not places.side:
        return {}
    fact = Fact(places.side, "shapes", f"{places.name} of {places.whole} places")
    return {"height": fact, "width": fact}


def _ask_sides(match: Match, height: Fact, width: Fact) -> Question | None:
    """The size of images that are not square, which the number of places leaves open."""
    places = _positions(match)
    if places is None or places.side or places.fit(*(whole(fact) or 0 for fact in (height, width))):
        return None
    count, patch = places.counts[1], places.patch
    grids = [(count // wide, wide) for wide in range(isqrt(count), 0, -1) if count % wide == 0 and count <= 4 * wide**2]
    sizes = " or ".join(f"pixels.height={high * patch} pixels.width={wide * patch}" for high, wide in grids)
    return Question(
        ("height", "width"),
        f"recognised {match.architecture} for images that are not square: {places.name} has {places.whole} places, "
        f"patches are of {patch} pixels: give {sizes or 'pixels.height and pixels.width'}",
    )


def _of_a_copy(name: str, places: list[str]) -> bool:
    """Whether a tensor is of another set of weights: of a teacher, or an average."""
    return any(name.startswith(f"{place.partition('.')[0]}.") for place in places if _COPIES.search(place))


def _network_facts(contents: Contents, match: Match, head: Head, given: Given, source: Source) -> dict[str, Fact]:
    """What the network is."""
    where = f"{len(match.places)} tensors" + (f" under {match.view.prefix[:-1]}" if match.view.prefix else "")
    library = f", in {match.view.library}'s names" if match.view.library != "timm" else ""
    facts = {
        "weights": weights_fact(contents, given),
        "architecture": Fact(match.architecture, match.source, f"{where}{library}{match.evidence}"),
    }
    own = own_last_stride(unfilled(match.architecture))
    usual = {"last_stride": Fact(own, source, f"timm's {match.architecture}")} if own else {}
    usual["pooling"] = Fact("own", "convention", f"what {match.architecture} does")
    for name in usual:
        if fact := network_fact(name, contents, {}, usual, given):
            facts[name] = fact
    if head.power:
        facts["pooling"] = Fact("gem", "shapes", head.power)
        facts["gem_power"] = Fact(round(float(contents.tensors[head.power].float()), 6), "shapes", head.power)
    elif facts["pooling"].value == "gem":
        facts["gem_power"] = Fact(3.0, "assumed", "no power in the file")
    facts["neck"] = _neck_fact(head, given)
    return facts


def _neck_fact(head: Head, given: Given) -> Fact:
    """What is behind the pooling, and what says that the embedding is behind it."""
    stems = ", ".join(layer.stem for layer in head.layers if layer.stem)
    said = given.model.get("bn_neck") is not None
    if head.layers and head.layers[-1].kind == "batch norm" and not said and len(head.layers) > 1:
        return Fact(neck_of(head.layers), "assumed", f"{stems}; behind its last batch norm")
    return Fact(neck_of(head.layers), "shapes", f"{stems}; {head.settled}" if head.settled else stems)
