"""The verb embed: into one folder, or into shards of a folder or an object store."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.cli.model_verbs import AssessError, model_to_embed
from lookalike.terminal import counted, give, show, wrote

if TYPE_CHECKING:
    from lookalike.evaluation.sharded import Source, Written
    from lookalike.inference.shards import Plan
    from lookalike.settings.verbs import EmbedCommand
    from lookalike.storage import Storage

ROWS_OF_A_SHARD = 10_000  # where engine=ray is not told how many shards there are


def embed(settings: "EmbedCommand") -> int:
    """`lookalike embed`."""
    from lookalike.data.tar_images import is_tars
    from lookalike.outputs import need_folder
    from lookalike.storage import is_address

    if settings.bundle is None and settings.model is None:
        raise AssessError(
            "what embeds: give bundle=<folder>, or model=<recipe> for a network without training, such as "
            "model=efficientnet_lite2; got neither"
        )
    if not is_address(settings.output):
        need_folder(Path(settings.output), inputs_of(settings), replaced=settings.parts is None)
    if settings.parts is None and settings.engine == "local" and not is_tars(settings.data.root):
        return _into_a_folder(settings)
    return _into_shards(settings)


def _into_a_folder(settings: "EmbedCommand") -> int:
    from lookalike.console import say
    from lookalike.evaluation.stored import embed_any

    model = model_to_embed(settings)
    stored, failures = embed_any(model.encoder, settings.data.model_dump(), Path(settings.output))
    size = stored.embeddings.shape[1]
    show(f"{len(stored)} embeddings of {size} dimensions in {settings.output}: embeddings.npy, rows.csv, gallery.json")
    give(images=len(stored), dimensions=size, folder=settings.output, problems=list(map(str, failures)))
    wrote(settings.output)
    for failure in failures:
        say(str(failure))
    return 1 if failures else 0


def _into_shards(settings: "EmbedCommand") -> int:
    """One shard, or all that lack; images that could not be used stand in tables, so they are no failure of a job."""
    from lookalike.console import say
    from lookalike.evaluation.sharded import begin, plan_of, source_of, write_shard
    from lookalike.storage import storage_of

    only, count = settings.parts or (None, None)
    storage = storage_of(settings.output)  # before minutes are spent on the rest
    source = source_of(settings.data.model_dump())
    for line in source.lost:
        say(line)
    model = model_to_embed(settings)
    if settings.engine == "ray":
        count = settings.shards or -(-len(source.rows) // ROWS_OF_A_SHARD)
    plan = plan_of(model.encoder, source, max(count or 1, 1))
    if settings.engine == "local":
        begin(storage, plan)
    shards = range(1, plan.shards + 1) if only is None else (only,)
    if settings.engine == "ray":
        making: Iterable[Written] = _by_ray(settings, source, storage, plan)
    else:
        making = (write_shard(model.encoder, source, storage, plan, shard) for shard in shards)
    written = []
    for done in making:
        written.append(done)
        _tell(done, plan)
    give(dimensions=plan.dimensions, folder=storage.place, shards=written)
    wrote(storage.place)
    if only is None:
        _tell_all(written, plan, storage.place)
    return 0


def _by_ray(settings: "EmbedCommand", source: "Source", storage: "Storage", plan: "Plan") -> "Iterable[Written]":
    from lookalike.evaluation.by_ray import Cluster, embed_by_ray

    return embed_by_ray(partial(model_to_embed, settings), source, storage, plan, Cluster(**settings.ray.model_dump()))


def _tell(written: "Written", plan: "Plan") -> None:
    """A line about a shard, and one about its broken images."""
    from lookalike.console import say

    how = " is whole already" if written.before else ""
    name = plan.name(written.shard)
    show(f"shard {written.shard} of {plan.shards}{how}: {counted(written.rows, 'embedding')} in {name}")
    if written.broken:
        say(f"{counted(written.broken, 'image')} could not be used: {plan.name(written.shard, 'broken')} says why")


def _tell_all(written: "list[Written]", plan: "Plan", place: str) -> None:
    rows, broken = (sum(getattr(shard, name) for shard in written) for name in ("rows", "broken"))
    show(
        f"{counted(rows, 'embedding')} of {plan.dimensions} dimensions in {counted(plan.shards, 'shard')} of {place}; "
        f"{counted(broken, 'image')} could not be used"
    )
