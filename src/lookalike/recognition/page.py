"""What is shown of a checkpoint on a terminal: one screen."""

import re

from lookalike.models.foreign_names import first_names
from lookalike.recognition.facts import FACTS, Recognised, printed
from lookalike.recognition.recognise import Given

_COLUMN = 24  # letters of a value, beyond which the evidence has a line of its own
_LONG = 80  # letters of evidence, beyond which only the file is named


def page(recognised: Recognised, given: Given) -> list[str]:
    """The lines: what it is, each fact with its source, what is left out, and what eval would be told.

    Args:
        recognised: What the file holds.
        given: What a person said of it.
    """
    lines = [f"{recognised.file}: {_title(recognised)}", ""]
    rows = [
        (name, printed(recognised.facts[name].value), recognised.facts[name])
        for name in FACTS
        if name in recognised.facts and (name, recognised.facts[name].value) != ("parts", 1)
    ]
    names = max(len(row[0]) for row in rows)
    width = max(len(row[1]) for row in rows if len(row[1]) <= _COLUMN)
    for name, value, fact in rows:
        source = f"{fact.source}: {_short(fact.evidence)}" if fact.evidence else fact.source
        if len(value) > width:
            lines.append(f"  {name:<{names}}  {value}")
            name = value = ""
        lines.append(f"  {name:<{names}}  {value:<{width}}  {source}")
    lines.append("")
    used = sum(map(len, recognised.blueprint.tensors.values()))
    lines.append(f"tensors of the network: {used}, all of them used; layers behind it: {_layers(recognised)}")
    lines.append(f"left out, as they act on the loss alone: {first_names(recognised.left_out) or 'none'}")
    lines += recognised.notes
    lines += ["", f"to measure it: {command(recognised, given)}"]
    return lines


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
    return f"lookalike eval ckpt_path={recognised.file} data.root=<folder>{settings}"


def _short(evidence: str) -> str:
    """The file and the project alone, where there is much to say of it; JSON has all."""
    parts = re.fullmatch(r"(\S+): .*( \([^()]+\))", evidence) if len(evidence) > _LONG else None
    return parts[1] + parts[2] if parts else evidence


def _title(recognised: Recognised) -> str:
    facts = recognised.facts
    project = f" of {facts['project'].value}" if "project" in facts else ""
    return f"{facts['architecture'].value}{project}, {facts['height'].value} x {facts['width'].value} pixels"


def _layers(recognised: Recognised) -> str:
    return ", ".join(map(str, recognised.blueprint.layers)) or "none"
