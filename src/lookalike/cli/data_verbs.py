"""The verbs about data: manifest, audit, augment."""

import sys
from pathlib import Path
from typing import Any


def manifest(settings: Any) -> int:
    """`lookalike manifest`."""
    from lookalike.data.dataset import broken_images, read_data
    from lookalike.data.manifest import write_table

    manifest = read_data(**settings.data.model_dump())
    counts = manifest.counts()
    counts = counts.loc[:, counts.sum() > 0]
    print(counts.to_string())
    print(
        f"\n{len(manifest.labels)} training labels; "
        + ", ".join(f"{name} {total}" for name, total in counts.sum().items())
    )
    output = Path(settings.output)
    write_table(manifest, output)
    print(f"written: {output}")
    if not settings.check:
        return 0
    broken = broken_images(manifest, manifest.table)
    for problem in broken:
        print(problem, file=sys.stderr)
    return 1 if broken else 0


def audit(settings: Any) -> int:
    """`lookalike audit`."""
    from lookalike.auditing.accepted import exclude, read_accepted
    from lookalike.auditing.audit import audit as look
    from lookalike.data.dataset import survey_data
    from lookalike.evaluation.split import held_out_as_in
    from lookalike.export.untrained import identity, untrained_encoder
    from lookalike.files import atomic_file, only_one, write_bytes
    from lookalike.inference.bundle import load_bundle
    from lookalike.inference.encoder import Encoder, load_encoder
    from lookalike.reports.audit_page import page

    # What is wrong with it is said before any image is read.
    accepted = read_accepted(settings.apply) if settings.apply is not None else None
    bundle = load_bundle(Path(settings.bundle)) if settings.bundle else None
    data, output = settings.data.model_dump(), Path(settings.output)
    if accepted is not None and data["exclude"] and not Path(data["exclude"]).exists():
        data["exclude"] = None  # it is made below
    manifest, problems = survey_data(**(held_out_as_in(bundle, data) if bundle else data))
    cache = output / ".known"

    def load() -> Encoder:
        if bundle:
            return load_encoder(bundle, settings.device, settings.precision)
        return untrained_encoder(cache)

    told = f"{bundle.fingerprint} {settings.device} {settings.precision}" if bundle else identity()
    with only_one(output / ".lock", f"{output} is being written by another audit"):
        found = look(manifest, problems, load, told, cache)
        with atomic_file(output / "audit.parquet") as handle:
            found.findings.to_parquet(handle, index=False)
        write_bytes(output / "audit.html", page(found))
    print(found)
    print(f"written: {output / 'audit.html'}, {output / 'audit.parquet'}")
    if accepted is not None:
        print(exclude(found, accepted, settings.data.exclude))
    elif found.safe:
        print(f"{len(found.safe)} images can be left out without a second look: apply=safe")
    return 0


def augment(settings: Any) -> int:
    """`lookalike augment`."""
    from lookalike.data.dataset import read_data
    from lookalike.data.offline_copies import default_output, make_copies

    manifest = read_data(**settings.data.model_dump())
    output = Path(settings.output) if settings.output else default_output(manifest.root)
    options = settings.model_dump(include={"per_class", "seed", "strength", "max_side", "threads"})
    rows = make_copies(manifest, output, **options)
    print(f"{len(rows)} copies of {rows['source'].nunique()} images in {output}, listed in {output / 'manifest.csv'}")
    return 0
