"""The files and folders that a verb reads, by its settings."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.settings.paths import is_server
from lookalike.storage import is_address

if TYPE_CHECKING:
    from lookalike.settings.data import Data
    from lookalike.settings.types import Settings


def inputs_of(settings: "Settings") -> dict[str, Path]:
    """Setting -> the file or folder that it names, of all that are only read; `exclude.csv` where there is one.

    The address of a gallery on a server, or in an object store, is neither.
    """
    named = {
        name: getattr(settings, name, None)
        for name in ("bundle", "ckpt_path", "image", "gallery", "queries", "references")
    }
    if not isinstance(named["gallery"], str) or is_server(named["gallery"]):
        del named["gallery"]  # of training it is the group of that name, which is no place
    weights = getattr(getattr(settings, "model", None), "weights", None)
    places: object = named.pop("ckpt_path", None)  # one, or of inspect several
    several = places if isinstance(places, list) else [places]
    named |= {f"ckpt_path{f'[{number}]' if number else ''}": place for number, place in enumerate(several)}
    named["model.weights"] = None if weights in ("auto", "package", "none") else weights
    data: Data | None = getattr(settings, "data", None)
    if data is not None:
        from lookalike.data.exclusions import (  # here, as predict has no data set and no pandas
            EXCLUDE_FILE,
            folders_of_lists,
        )

        named |= {f"data.{name}": getattr(data, name) for name in ("root", "archive", "images", "exclude")}
        if data.root and not data.exclude and not any(map(is_address, filter(None, (data.root, data.images)))):
            root = Path(data.root)
            base = Path(data.images) if data.images else root if root.is_dir() else root.parent
            lists = [folder / EXCLUDE_FILE for folder in folders_of_lists(root, base)]
            names = ("data.exclude", f"data.images/{EXCLUDE_FILE}")
            named |= {name: str(file) for name, file in zip(names, lists, strict=False) if file.is_file()}
    return {name: Path(value) for name, value in named.items() if value and not is_address(value)}
