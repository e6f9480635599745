"""The verbs about data: manifest, audit, augment."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.terminal import give, show, show_written, wrote

if TYPE_CHECKING:
    from lookalike.settings.verbs import AuditCommand, AugmentCommand, ManifestCommand

_LONGEST_LABEL = 60


def manifest(settings: "ManifestCommand") -> int:
    """`lookalike manifest`."""
    from lookalike.console import say
    from lookalike.data.dataset import Dataset
    from lookalike.data.layouts.read_lists import lists_of
    from lookalike.data.manifest import write_table
    from lookalike.data.reading import broken_images
    from lookalike.outputs import need_files

    output = Path(settings.output)
    need_files(output, (), inputs_of(settings))
    data = Dataset.of_settings(settings.data)
    show(data.counts.rename(index=_short).to_string())
    totals = ", ".join(f"{name} {total}" for name, total in data.counts.sum().items())
    show(f"\n{len(data.labels)} training labels; {totals}")
    if data.manifest.layout:
        read, absent = lists_of(data.manifest.layout, data.manifest.root)
        without = f"; not there: {', '.join(absent)}" if absent else ""
        show(f"lists read: {', '.join(read) or 'none, names of folders and files say it all'}{without}")
    if standard := data.manifest.standard:
        draws = f"; mean and standard deviation of {standard.draws} random galleries" if standard.draws else ""
        figures = ", ".join(map(standard.called, standard.metrics))
        show(f"eval split=test prints, as papers on {data.manifest.layout} do: {figures}: {standard.protocol}{draws}")
    write_table(data.manifest, output)
    show_written(output)
    broken = broken_images(data.manifest, data.manifest.table) if settings.check else []
    for problem in broken:
        say(str(problem))
    lost = [*data.manifest.lost, *map(str, broken)]
    give(
        layout=data.manifest.layout,
        images={name: int(total) for name, total in data.counts.sum().items()},
        labels=len(data.labels),
        problems=lost,
    )
    if lost:
        say(f"exit code 1: {len(lost)} of the data cannot be read, first {lost[0]}")
    return 1 if lost else 0


def _short(label: str) -> str:
    """For a table in the terminal, which its longest label would stretch."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 3]}..."


def audit(settings: "AuditCommand") -> int:
    """`lookalike audit`."""
    from lookalike import api
    from lookalike.auditing.accepted import exclude, read_accepted
    from lookalike.outputs import need_folder

    need_folder(Path(settings.output), inputs_of(settings))
    # What is wrong with it is said before any image is read.
    accepted = read_accepted(settings.apply) if settings.apply is not None else None
    data, output = settings.data.model_dump(), Path(settings.output)
    if accepted is not None and data["exclude"] and not Path(data["exclude"]).exists():
        data["exclude"] = None  # it is made below
    result = api.audit(
        data, bundle=settings.bundle, output=output, device=settings.device, precision=settings.precision
    )
    show(result)
    show_written(output / "audit.html", output / "audit.parquet")
    give(images=len(result.rows), findings=result.findings["kind"].value_counts().to_dict(), safe=result.safe)
    if accepted is not None:
        show(exclude(result, accepted, settings.data.exclude))
    elif result.safe:
        show(f"{len(result.safe)} images can be left out without a second look: apply=safe")
    return 0


def augment(settings: "AugmentCommand") -> int:
    """`lookalike augment`."""
    from lookalike.data.offline_copies import default_output, make_copies
    from lookalike.data.reading import read_data
    from lookalike.outputs import need_folder

    if settings.output:
        need_folder(Path(settings.output), inputs_of(settings), replaced=True)  # the copies' own table lies in it
    manifest = read_data(**settings.data.model_dump())
    output = Path(settings.output) if settings.output else default_output(manifest.root)
    options = settings.model_dump(include={"per_class", "seed", "strength", "max_side", "threads"})
    rows = make_copies(manifest, output, **options)
    show(f"{len(rows)} copies of {rows['source'].nunique()} images in {output}, listed in {output / 'manifest.csv'}")
    give(copies=len(rows), images=rows["source"].nunique(), folder=output)
    wrote(output)
    return 0
