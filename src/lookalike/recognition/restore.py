"""The network of a checkpoint, of `lookalike train` or of another project: what is shown of it is what is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign
from lookalike.models.image_network import ImageNetwork
from lookalike.recognition.contents import read_contents
from lookalike.recognition.facts import Recognised
from lookalike.recognition.given import Given, given_of
from lookalike.recognition.graphs import graph_facts, is_graph, read_graph
from lookalike.recognition.network import need_sound, network_of
from lookalike.recognition.ours import OF_MODEL, checked, facts_of_ours, own_settings, restore_ours
from lookalike.recognition.pixel_facts import pixels_of
from lookalike.recognition.projects.tables import project_of
from lookalike.recognition.recognise import recognise, survey
from lookalike.recognition.surgery import set_last_stride
from lookalike.recognition.timm_network import read_as, usual_facts
from lookalike.settings.check import check
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels
from lookalike.settings.types import Settings


class _Said(Settings):
    model: CheckpointModel
    pixels: CheckpointPixels


def facts_of(file: Path, given: Given) -> Recognised:
    """What a file holds, and what `restore` makes of it; with the questions that are open.

    Args:
        file: A checkpoint of any project, or a graph.
        given: What a person says of it.

    Raises:
        LookalikeError: It cannot be read, or is not recognised as a whole.
    """
    if is_graph(file):
        return graph_facts(file, read_graph(file, given.key), given.model, given.pixels)
    if own := own_settings(file):
        return facts_of_ours(file, own, given)
    recognised, tensors = survey(file, given)
    if not recognised.questions:
        need_sound(recognised, tensors)
    return recognised


def restore(
    file: Path,
    model: Mapping[str, Any],
    pixels: Mapping[str, Any],
    allow_partial: bool = False,
    key: str | None = None,
) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """Builds the network of a checkpoint and fills it, without executing any pickle.

    Args:
        file: A checkpoint of `lookalike train` (its own settings are used), of another project, or plain weights.
        model: What is said of the model, for a checkpoint of another project: what is not said is worked out from the
            file. For one of ours whose network comes from a hub or folder (`hf-hub:...`), that backbone again.
        pixels: How images are read, for the same.
        allow_partial: Also when tensors of the model are missing in the file; then `backbone` says what it is.
        key: Which set of weights, where the file holds several; None for the network's own.

    Returns:
        The network, how images are read, and the settings of the model that were used.

    Raises:
        SettingsError: For a checkpoint of another project, a setting is unknown or out of range.
        LookalikeError: The file cannot be read, or is of another architecture.
    """
    said = check(_Said, {"model": dict(model), "pixels": dict(pixels)})  # a misspelt one is never passed over
    if own := own_settings(file):
        return restore_ours(file, own, said.model.backbone, allow_partial, key)
    if allow_partial and said.model.backbone is not None:
        return _in_part(file, said, key)
    return _recognised(file, said, key)


def _recognised(file: Path, said: "_Said", key: str | None) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """A checkpoint of another project, as the file shows."""
    recognised, tensors = recognise(file, given_of(said.model, said.pixels, key))
    network = network_of(recognised, tensors)
    say(f"{file}: {'; '.join([str(recognised), *recognised.notes])}")
    facts = recognised.facts
    built: dict[str, Any] = {name: facts[name].value for name in ("last_stride", "mean", "std") if name in facts}
    return network, pixels_of(facts), {**said.model.model_dump(), **built, "backbone": facts["architecture"].value}


def _in_part(file: Path, said: "_Said", key: str | None) -> tuple[ImageNetwork, PixelSettings, dict[str, Any]]:
    """What of a network that a person describes is in a file; its images are read as they are for a whole one."""
    described = said.model.model_dump(exclude={"embedding_size", "last_stride", "project"}, exclude_none=True)
    described |= {"embedding_size": said.model.embedding_size} if said.model.embedding_size != "auto" else {}
    contents, given = read_contents(file, key), given_of(said.model, said.pixels, key)
    project, shown = project_of(contents)
    usual = usual_facts(project, shown, str(said.model.backbone), given)
    facts = read_as(contents, project, usual, given)
    pixels = pixels_of(facts)
    asked = checked(described, {})
    built = {name: getattr(asked.model, name) for name in OF_MODEL}
    embedder = Embedder(**built, trainable=["all"], size=(pixels.height, pixels.width))
    if said.model.last_stride is not None:
        set_last_stride(embedder.backbone, asked.model.backbone, said.model.last_stride)
    say(f"{file}: {load_foreign(embedder, file, allow_partial=True, key=key)}")
    say(f"{file}: {'; '.join(f'{name} {fact}' for name, fact in facts.items())}")
    return embedder, pixels, built
