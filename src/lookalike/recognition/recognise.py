"""What a checkpoint holds, worked out from the file alone: names, shapes, saved settings, and the project's ways."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from lookalike.errors import ModelError, did_you_mean
from lookalike.recognition.authors import Authors, find_authors, known_authors, size_of
from lookalike.recognition.contents import Contents, read_contents
from lookalike.recognition.facts import PIXEL_FACTS, Blueprint, Fact, Question, Recognised
from lookalike.recognition.given import NOTHING, Given, network_fact, weights_fact, whole
from lookalike.recognition.pixel_facts import pixel_facts
from lookalike.recognition.projects.fast_reid import Configured, configured
from lookalike.recognition.projects.project import Project
from lookalike.recognition.projects.pytorch_metric_learning import embedder_beside
from lookalike.recognition.projects.tables import PROJECTS, project_of
from lookalike.recognition.projects.unknown import UNKNOWN
from lookalike.recognition.questions import ask_project, ask_student, ask_two_sizes
from lookalike.recognition.refusals import (
    refuse_cameras,
    refuse_foreign_tensors,
    refuse_given,
    refuse_unexplained,
)
from lookalike.recognition.timm_network import of_timm

_NO_PROJECT = "none"


def recognise(file: Path, given: Given = NOTHING) -> tuple[Recognised, dict[str, Tensor]]:
    """Works out what a file holds.

    Args:
        file: A checkpoint of any project, or plain weights.
        given: What a person says of it, which wins.

    Returns:
        What it is, and its tensors by their names in the file.

    Raises:
        LookalikeError: It cannot be read, is not recognised as a whole, or leaves a question open; the text says what
            of it is recognised, and what would settle the rest.
    """
    recognised, tensors = survey(file, given)
    if recognised.questions:
        raise ModelError(f"{file}: {recognised.questions[0].text}")
    return recognised, tensors


def survey(file: Path, given: Given = NOTHING) -> tuple[Recognised, dict[str, Tensor]]:
    """The same, with the questions that a person has to answer before a network can be made.

    Args:
        file: See `recognise`.
        given: Same.

    Raises:
        LookalikeError: It cannot be read, or is not recognised as a whole.
    """
    contents = read_contents(file, given.key)
    questions: list[Question] = []
    if given.key is None and contents.key.rpartition(".")[2] == "student":
        asked = ask_student(contents.key, contents.others)
        questions += [asked] if asked else []
    if other := embedder_beside(file):
        more = {f"embedder.{name}": tensor for name, tensor in read_contents(other).tensors.items()}
        contents = replace(contents, tensors={**contents.tensors, **more})
    refuse_foreign_tensors(contents)
    recognised = _recognised(contents, given)
    unread = {name: reason for name, reason in contents.unread.items() if name != "args"}  # told among the sizes
    lines = [f"{name} cannot be read ({reason}), so nothing that it says is used" for name, reason in unread.items()]
    remarks = [*lines, *recognised.remarks]
    return replace(recognised, questions=[*questions, *recognised.questions], remarks=remarks), contents.tensors


def _recognised(contents: Contents, given: Given) -> Recognised:
    """A network of a project's authors, or one of timm."""
    project, shown = _project(contents, given)
    named, said = given.model.get("backbone"), given.model.get("project")
    authors = None if shown or said == _NO_PROJECT else _authors(contents, given)
    if said and said not in (_NO_PROJECT, project.name) and (authors is None or authors.project != said):
        raise ModelError(
            f"{contents.file}: model.project={said}: no network of it is wholly in the file: give "
            f"model.project={authors.project if authors else _NO_PROJECT}, or leave it out"
        )
    if authors is None:
        return of_timm(contents, project, shown, given)
    open_project = authors.has_common_names and not said and not named
    if named:
        return _by_name(contents, authors, given)
    recognised = _of_authors(contents, authors, given)
    if not open_project:
        return recognised
    question = ask_project(f"{authors.kind} under base", authors.last_stride)
    return replace(recognised, questions=[question, *recognised.questions])


def _project(contents: Contents, given: Given) -> tuple[Project, str]:
    """The project whose table is taken, and what shows it.

    Raises:
        ModelError: No project of the given name is known.
    """
    said = given.model.get("project")
    names = [*(project.name for project in PROJECTS), *known_authors(), _NO_PROJECT]
    if said is not None and said not in names:
        raise ModelError(f"model.project={said}: expected one of {', '.join(names)}{did_you_mean(str(said), names)}")
    if said is None:
        return project_of(contents)
    project = next((project for project in PROJECTS if project.name == said), UNKNOWN)
    return project, "" if project is UNKNOWN else "model.project"


def _authors(contents: Contents, given: Given) -> Authors | None:
    """The network of a project's authors; where a person names one of timm, what could be theirs is not insisted on."""
    try:
        return find_authors(contents, size_of(contents, given.pixels))
    except ModelError:
        if given.model.get("backbone") is None:
            raise
        return None


def _by_name(contents: Contents, authors: Authors, given: Given) -> Recognised:
    """A network of timm that a person names, in a file whose names are those of a project: it is read as there."""
    if authors.has_common_names:
        return of_timm(contents, UNKNOWN, "", given)
    names = set(PIXEL_FACTS) - {"parts"}
    facts = {name: fact for name, fact in authors.convention.facts().items() if name in names}
    project = Project(
        authors.project,
        authors.convention.version,
        lambda _: authors.shown_by,
        facts=facts,  # type: ignore[arg-type]
        settings={name: keys for name, keys in authors.settings.items() if name not in ("last_stride", "taken")},
    )
    recognised = of_timm(contents, project, authors.shown_by, given)
    remark = f"without model.backbone it is read as {authors.kind} of {authors.project}"
    return replace(recognised, remarks=[*recognised.remarks, remark])


def _of_authors(contents: Contents, authors: Authors, given: Given) -> Recognised:
    """A network of `models.networks`."""
    refuse_unexplained(contents, f"{authors.kind} of {authors.project}", authors.unexplained)
    refuse_cameras(contents, authors.kind, authors.names)
    settled = [name for name in ("embedding_size", "pooling", "bn_neck", "last_stride") if name not in authors.takes]
    refuse_given(contents.file, f"{authors.kind} of {authors.project}", given.model, settled)
    convention = authors.convention
    cited = f"{convention.project} {convention.version}"
    usual = {
        name: Fact(value, "convention", f"{where} ({cited})")  # type: ignore[arg-type]
        for name, (value, where) in convention.facts().items()
    }
    said = given.model.get("project") is not None
    facts = {
        "project": Fact(authors.project, "given" if said else "shapes", "model.project" if said else authors.shown_by),
        "weights": weights_fact(contents, given),
        "architecture": Fact(authors.kind, "shapes", f"{len(authors.names)} tensors"),
    }
    if authors.last_stride is not None:
        usual["last_stride"] = Fact(authors.last_stride, "convention", f"as {cited} builds it")
        stride = network_fact("last_stride", contents, authors.settings, usual, given)
        facts |= {"last_stride": stride} if stride else {}
    taken, facts["taken"] = _side_taken(contents, authors, given, usual["taken"])
    own = Configured()
    if authors.project == "fast-reid":
        own = configured(contents, authors.shapes_in(contents), given.pixels)
    usual |= {name: fact for name, fact in own.pixels.items() if name in ("height", "width")}
    if pooling := network_fact("pooling", contents, {}, {}, given) or own.network.get("pooling"):
        facts["pooling"] = pooling
        facts |= {"gem_power": own.network["gem_power"]} if "gem_power" in own.network else {}
    facts |= pixel_facts(contents, authors.settings, usual, given.pixels, given.model, own.pixels)
    sized = any(name.endswith("heads.pool_layer.p") for name in authors.names)
    asked = ask_two_sizes(f"{authors.kind} of {authors.project}", facts["height"]) if sized else None
    hints = authors.shapes_in(contents, authors.left_out)
    blueprint = Blueprint(
        authors.kind,
        {name: (f"{authors.wrapper}{name}",) for name in authors.names},
        authors.project,
        authors.wrapper,
        hints,
        whole(facts.get("last_stride")),
        facts["pooling"].value if "pooling" in facts else "own",  # type: ignore[arg-type]
        taken=taken,
        flip=facts["flip"].value,  # type: ignore[arg-type]
        parts=whole(facts["parts"]) or 1,
    )
    questions = [asked] if asked else []
    remarks = [*convention.remarks, *own.remarks]
    return Recognised(str(contents.file), facts, blueprint, authors.left_out, contents.others, remarks, questions)


def _side_taken(contents: Contents, authors: Authors, given: Given, usual: Fact) -> tuple[str, Fact]:
    """Which side of its batch norm is tested, empty as the project has it: given, saved, or usual."""
    if given.model.get("bn_neck") is not None:
        side = "after" if given.model["bn_neck"] else "before"
        return side, Fact(f"{side} the batch norm", "given", "model.bn_neck")
    saved = contents.setting(*authors.settings.get("taken", ("-",))) if "bn_neck" in authors.takes else None
    if saved and saved[0] in ("before", "after"):
        return str(saved[0]), Fact(f"{saved[0]} the batch norm", "saved settings", saved[1])
    return "", usual
