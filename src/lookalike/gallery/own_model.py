"""The model of a gallery, found by what the gallery says of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.data.pixels import PixelSettings
from lookalike.inference.kept_network import has_network, load_network
from lookalike.inference.references import GalleryError

KEPT = "model"  # folder of a network that has no bundle

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
    kept = Path(place) / str(facts.get("kept", KEPT))
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
    pixels = asdict(PixelSettings(**_grouped(facts, "pixels"))) if "pixels.height" in facts else None
    if source:
        key = facts.get("ckpt_key")
        return Model.from_checkpoint(source, model=model, pixels=pixels, ckpt_key=key, **options)
    if "pretrained" in facts:
        return Model.pretrained("timm", model=model, pixels=pixels, **options)
    raise GalleryError(f"{place}: does not say which model made it: give bundle=<folder>")


def _grouped(facts: dict[str, Any], group: str) -> dict[str, Any]:
    """The settings of a group, which stand there as `group.name`."""
    return {name.partition(".")[2]: value for name, value in facts.items() if name.startswith(f"{group}.")}
