"""The model of a gallery, found by what the gallery says of it."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.data.pixels import PixelSettings
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.kept_network import has_network, in_use, is_network_alone, load_network
from lookalike.inference.references import GalleryError

KEPT = "model"  # folder of a network that has no bundle
_NETWORK = re.compile(rf"{KEPT}(-[0-9a-f]{{12}})?")

if TYPE_CHECKING:
    from lookalike.model import Model


def about_model(model: object, kept: str = KEPT) -> str:
    """What a gallery says of its model, as JSON; files by their whole paths.

    Args:
        model: Such as `lookalike.Model`; of anything else nothing is known.
        kept: The folder in the gallery's own in which `keep_model` keeps it.
    """
    facts: dict[str, Any] = dict(getattr(model, "about", {}))
    files = {name: str(Path(facts[name]).resolve()) for name in ("bundle", "ckpt_path") if name in facts}
    return json.dumps({**facts, **files, **({} if kept == KEPT else {"kept": kept})}, ensure_ascii=False)


def keep_model(model: object, folder: Path, kept: str = KEPT) -> None:
    """Keeps a network that has no bundle in the folder of a gallery, so that it is loaded quickly and without torch.

    Args:
        model: Such as `lookalike.Model`.
        folder: Of the gallery.
        kept: The name of the folder in it.
    """
    if (keep := getattr(model, "keep_network", None)) is not None:
        keep(folder / kept)


@contextmanager
def keeping_model(model: object, place: Path | str, kept: str) -> Iterator[None]:
    """As `keep_model`, for a gallery that is about to move to it: until the block ends nobody discards it.

    Args:
        model: Such as `lookalike.Model`.
        place: The folder of the gallery; elsewhere nothing is kept.
        kept: The name of the folder in it.
    """
    if not isinstance(place, Path):
        yield
        return
    while True:
        keep_model(model, place, kept)
        with in_use(place / kept) as held:
            if held and not has_network(place / kept):  # discarded before it was held
                continue
            yield
            return


def discard_networks(place: Path, store: SqlStore) -> int:
    """Removes the networks that an earlier model left in the folder of a gallery; returns how many bytes they had.

    Args:
        place: The folder.
        store: Says which network is that of the gallery.

    Raises:
        StoreError: Another process moved the gallery to another model.
    """
    freed = 0
    for folder in sorted(place.iterdir()):
        if not _NETWORK.fullmatch(folder.name) or not is_network_alone(folder):
            continue
        with in_use(folder, alone=True) as alone:  # a gallery that is moved right now says so at the end
            with store.reading() as connection:
                row = connection.execute("SELECT value FROM about WHERE name = 'model'").fetchone()
            if alone and row is not None and folder.name != kept_name(row[0]):
                size = sum(file.stat().st_size for file in folder.iterdir())
                shutil.rmtree(folder)
                freed += size
    return freed


def kept_name(about: str | None) -> str:
    """The name of the folder in which a gallery keeps its network, where it keeps one.

    Args:
        about: `Model.about` as JSON; None in a gallery of an earlier version.
    """
    return str(json.loads(about or "{}").get("kept", KEPT))


def model_of(about: str | None, place: Path | str, given: Mapping[str, Any]) -> "Model":
    """Loads it.

    Args:
        about: `Model.about` as JSON; None in a gallery of an earlier version.
        place: The folder of the gallery, or where else it is.
        given: Device, precision and workers, see `Model.load`.

    Raises:
        GalleryError: The gallery does not say, or its model is not where it was.
        LookalikeError: As `Model.load`, `Model.pretrained` and `Model.from_checkpoint`.
    """
    from lookalike.model import Model

    facts: dict[str, Any] = json.loads(about or "{}")
    options = dict(given)
    source = str(facts.get("bundle") or facts.get("ckpt_path") or "")
    kept = Path(place) / kept_name(about)
    if source and not Path(source).exists() and not has_network(kept):
        raise GalleryError(f"{place}: its model was {source}, which is not there any more: give bundle=<its new place>")
    if facts.get("bundle"):
        return Model.load(source, **options)
    if has_network(kept) and options.get("device") != "cuda":
        if options.get("precision") == "bf16":
            raise GalleryError(f"{place}: precision=bf16: its network runs in float32: leave it out")
        encoder = load_network(kept, options.get("workers"))
        name = str(facts.get("pretrained") or Path(source).stem or kept.name)
        return Model(name, encoder, about={**facts, "network": str(kept.resolve())})
    options.pop("precision", None)
    model = _grouped(facts, "model")
    pixels = None
    if "pixels.height" in facts:  # all of them, as those of a recipe may be others
        whole = asdict(PixelSettings(**_grouped(facts, "pixels")))
        pixels = {name: value for name, value in whole.items() if value is not None}
    if source:
        key = facts.get("ckpt_key")
        return Model.from_checkpoint(source, model=model, pixels=pixels, ckpt_key=key, **options)
    if "pretrained" in facts:
        return Model.pretrained("timm", model=model, pixels=pixels, **options)
    raise GalleryError(f"{place}: does not say which model made it: give bundle=<folder>")


def _grouped(facts: dict[str, Any], group: str) -> dict[str, Any]:
    """The settings of a group, which stand there as `group.name`."""
    return {name.partition(".")[2]: value for name, value in facts.items() if name.startswith(f"{group}.")}
