"""`push` and `pull`: bundles to and from the Hugging Face Hub and MLflow's registry."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from lookalike.terminal import give, show, wrote

if TYPE_CHECKING:
    from lookalike.settings.sharing import PullCommand, PushCommand


def push(settings: "PushCommand") -> int:
    """`lookalike push`."""
    from lookalike.sharing.travel import push as send

    options = settings.model_dump(exclude={"bundle", "place"})
    pushed = send(settings.bundle, settings.place, **options)
    show(f"pushed: {pushed.place}  ({pushed.files} files, {pushed.bytes / 1e6:.1f} MB)")
    store = "" if settings.uri is None else f" uri={quote(settings.uri)}"
    show(f"Next: lookalike pull place={quote(pushed.place)} output=models/<name>{store}")
    give(pushed=pushed)
    return 0


def pull(settings: "PullCommand") -> int:
    """`lookalike pull`."""
    from lookalike.outputs import need_folder
    from lookalike.sharing.places import place_of
    from lookalike.sharing.travel import pull as fetch

    output = Path(settings.output or f"models/{place_of(settings.place).name}")
    need_folder(output, {}, replaced=True, ours="config.json")
    pulled = fetch(settings.place, output, uri=settings.uri)
    if pulled.kept:
        show(f"what stood there is kept: {pulled.kept}")
    show(f"bundle: {pulled.bundle.path}  (from {pulled.place}, fingerprint {pulled.bundle.fingerprint[:12]})")
    wrote(pulled.bundle.path)
    give(bundle=pulled.bundle.path, place=pulled.place, fingerprint=pulled.bundle.fingerprint, kept=pulled.kept)
    return 0
