"""The verb inspect: what a checkpoint of any project holds."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import needing
from lookalike.terminal import give, show, show_written

if TYPE_CHECKING:
    from lookalike.settings.checkpoints import InspectCommand


def inspect(settings: "InspectCommand") -> int:
    """`lookalike inspect`."""
    from lookalike.cli.inputs import inputs_of
    from lookalike.files import write_json
    from lookalike.outputs import need_files

    with needing("train", "lookalike inspect"):
        from lookalike.recognition.graphs import graph_facts, is_graph, read_graph
        from lookalike.recognition.page import page
        from lookalike.recognition.recognise import given_of, recognise
    from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels
    from lookalike.settings.paths import path_of

    if settings.output:
        need_files(Path(settings.output), (), inputs_of(settings))
    given = given_of(
        settings.model or CheckpointModel.model_validate({}),
        settings.pixels or CheckpointPixels.model_validate({}),
        settings.ckpt_key,
    )
    file = path_of(settings.ckpt_path, "ckpt_path")
    if is_graph(file):
        recognised = graph_facts(file, read_graph(file, given.key), given.model, given.pixels)
    else:
        recognised, _ = recognise(file, given)
    if settings.output:
        write_json(Path(settings.output), recognised.to_dict())
    give(checkpoint=recognised.to_dict)
    for line in page(recognised, given):
        show(line)
    if settings.output:
        show_written(settings.output)
    return 0
