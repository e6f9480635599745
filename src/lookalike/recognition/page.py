"""What is shown of a checkpoint on a terminal: one screen."""

import re

from lookalike.models.foreign_names import first_names
from lookalike.recognition.facts import FACTS, Recognised, printed
from lookalike.recognition.given import Given

_COLUMN = 24  # letters of a value, beyond which the evidence has a line of its own
_LONG = 80  # letters of evidence, beyond which only the file is named


def page(recognised: Recognised, given: Given) -> list[str]:
    """The lines: what it is, each fact with its source, what is left out, and what eval would be told.

    Args:
        recognised: What the file holds.
        given: What a person said of it.
    """
    lines = [f"{recognised.file}: {title(recognised)}", ""]
    rows = [
        (name, _value(recognised, name), recognised.facts[name])
        for name in FACTS
        if name in recognised.facts and (name, recognised.facts[name].value) != ("parts", 1)
    ]
    names = max(len(row[0]) for row in rows)
    width = max((len(row[1]) for row in rows if len(row[1]) <= _COLUMN), default=_COLUMN)
    for name, value, fact in rows:
        source = f"{fact.source}: {_short(fact.evidence)}" if fact.evidence else fact.source
        if len(value) > width:
            lines.append(f"  {name:<{names}}  {value}")
            name = value = ""
        lines.append(f"  {name:<{names}}  {value:<{width}}  {source}")
    lines.append("")
    used = sum(map(len, recognised.blueprint.tensors.values()))
    lines.append(f"tensors of the network: {used}, all of them used; layers behind it: {_layers(recognised)}")
    lines.append(f"left out, as the embedding is taken before them: {first_names(recognised.left_out) or 'none'}")
    lines += [*recognised.notes, ""]
    if recognised.questions:
        return [*lines, *(f"open: {question.text}" for question in recognised.questions)]
    return [*lines, f"to measure it: {command(recognised, given)}"]


def row(recognised: Recognised) -> str:
    """One line of a checkpoint among several: what it is, its size, its head, its sets of weights, what is open.

    Args:
        recognised: What the file holds.
    """
    facts = recognised.facts
    parts = [title(recognised)]
    neck = facts.get("neck", facts.get("taken"))
    parts += [f"head: {printed(neck.value)}"] if neck else []
    sets = [str(facts["weights"].value)] if "weights" in facts else []
    parts += [f"weights: {', '.join([*sets, *recognised.other_weights])}"] if sets else []
    parts += [f"open: {question.text}" for question in recognised.questions[:1]]
    return f"{recognised.file}: {'; '.join(parts)}"


def _value(recognised: Recognised, name: str) -> str:
    """A fact's value, with a mark where it hangs on a question."""
    mark = " ?" if name in recognised.open_facts else ""
    return f"{printed(recognised.facts[name].value)}{mark}"


def command(recognised: Recognised, given: Given) -> str:
    """What is typed to measure a checkpoint as it was recognised.

    Args:
        recognised: What the file holds.
        given: What a person said of it.
    """
    said = {f"model.{name}": value for name, value in given.model.items() if value not in (None, "auto")}
    if given.model.get("embedding_size", "auto") is None:
        said["model.embedding_size"] = None
    said |= {f"pixels.{name}": value for name, value in given.pixels.items() if value is not None}
    said |= {"ckpt_key": given.key} if given.key else {}
    settings = "".join(f" {name}={printed(value)}" for name, value in said.items())
    return f"lookalike eval ckpt_path={recognised.file} data.root=<folder> split=test{settings}"


def _short(evidence: str) -> str:
    """The file and the project alone, where there is much to say of it; JSON has all."""
    parts = re.fullmatch(r"(\S+): .*( \([^()]+\))", evidence) if len(evidence) > _LONG else None
    return parts[1] + parts[2] if parts else evidence


def title(recognised: Recognised) -> str:
    """What it is, and the size of its images.

    Args:
        recognised: What the file holds.
    """
    facts = recognised.facts
    project = f" of {facts['project'].value}" if "project" in facts else ""
    return f"{facts['architecture'].value}{project}, {facts['height'].value} x {facts['width'].value} pixels"


def _layers(recognised: Recognised) -> str:
    return ", ".join(map(str, recognised.blueprint.layers)) or "none"
