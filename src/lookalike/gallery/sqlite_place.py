"""The folder of a gallery: what is said where there is none, another thing or one already."""

from contextlib import suppress
from pathlib import Path
from shlex import quote

from lookalike.errors import did_you_mean
from lookalike.gallery.rows import StoreError


def no_gallery(file: Path) -> str:
    """What is said where a gallery is looked for and there is none.

    Args:
        file: In which it would be.
    """
    folder = file.parent
    if folder.is_file():
        inside = folder.name == file.name
        return (
            f"{folder}: expected the folder of a gallery, found a file: give {folder.parent if inside else 'a folder'}"
        )
    names: list[str] = []
    with suppress(OSError):
        names = [beside.name for beside in folder.resolve().parent.iterdir() if (beside / file.name).is_file()]
    near = did_you_mean(folder.resolve().name, sorted(names))
    return f"{folder}: no gallery there{f'{near} Or' if near else ':'} {make_one(folder)}"


def make_one(folder: Path) -> str:
    """How a gallery is made in a folder."""
    return f"make one with lookalike gallery create gallery={quote(str(folder))} (Gallery.create in Python)"


def need_folder(folder: Path) -> None:
    """Refuses a file where the folder of a gallery is to be made.

    Args:
        folder: Where.

    Raises:
        StoreError: It is one.
    """
    if folder.is_file():
        raise StoreError(f"{folder}: expected a folder for the gallery, found a file: give another name")


def there_already(file: Path) -> str:
    """What is said where a gallery is to be made and there is one.

    Args:
        file: Of it.
    """
    add = f"lookalike gallery add gallery={quote(str(file.parent))}"
    return f"{file}: a gallery is there already: use {add} (Gallery.open in Python), or give another folder"
