"""The files that a file, a folder or a pattern means, and the folder whose folders may be labels."""

from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from lookalike.console import say
from lookalike.data.any_image import AnyImage, as_list
from lookalike.data.image_files import SYSTEM_FOLDERS, PassedOver, find_images, gallery_above
from lookalike.errors import LookalikeError


class PredictError(LookalikeError):
    """There is nothing to predict, or its result cannot be written."""


def find_queries(
    image: str, passed: PassedOver | None = None, output: Path | None = None, setting: str = "image"
) -> list[Path]:
    """The files that a file, folder or glob pattern means, sorted.

    Args:
        image: What was asked for; a folder that a pattern means stands for the images in it.
        passed: What is not read is added to it.
        output: A folder of results: those that were written there (beside a JSON of their name) are no queries where
            the folder lies among them, which is told.
        setting: What was asked by, for errors.

    Raises:
        PredictError: No image there.
    """
    path, passed = Path(image), PassedOver() if passed is None else passed
    if path.is_dir():
        files = find_images(path, passed)
    elif path.exists() or not has_magic(image):
        files = [path]
    else:
        places = sorted(map(Path, glob(image, recursive=True)))  # noqa: PTH207
        kept = [place for place in places if not SYSTEM_FOLDERS & {part.casefold() for part in place.parts}]
        inside = [file for place in kept if place.is_dir() for file in find_images(place, passed)]
        files = _outside_galleries(sorted({*(place for place in kept if not place.is_dir()), *inside}), image, passed)
    files = _without_results(files, image, output)
    if not files:
        more = f" ({'; '.join(passed.notes)})" if passed.notes else ""
        raise PredictError(
            f"{setting}={image}: no image there{more}: give a file, a folder or a quoted pattern such as "
            f"{setting}='photos/*.jpg'{_instead_of_list(image)}"
        )
    return files


def _instead_of_list(image: str) -> str:
    listed = image.startswith("[") and image.endswith("]")
    return "; a list is not taken: put the files into a folder, or into a table with a column path" if listed else ""


def _outside_galleries(files: list[Path], pattern: str, passed: PassedOver) -> list[Path]:
    base = query_base(pattern)
    above = {file: gallery_above(file, base) for file in files} if base is not None else {}
    passed.galleries |= {folder for folder in above.values() if folder is not None}
    return [file for file in files if above.get(file) is None]


def _without_results(files: list[Path], image: str, output: Path | None) -> list[Path]:
    base, results = query_base(image), output and output.resolve()
    if base is None or results is None or base.resolve() not in results.parents:
        return files
    written = {file for file in files if results in file.resolve().parents and file.with_suffix(".json").is_file()}
    kept = [file for file in files if file not in written]
    if len(kept) < len(files):
        say(f"image={image}: {len(files) - len(kept)} in {output} passed over: pictures of results")
    return kept


def with_folders(images: AnyImage | Iterable[AnyImage], what: str) -> tuple[list[AnyImage], bool]:
    """One list of images in which a folder is the images in it, sorted; and whether it was one image, and no folder.

    Args:
        images: One or several: what `as_list` takes, and folders.
        what: What is done with them, for notes on what is passed over.

    Raises:
        PredictError: Folders, and no image at all.
    """
    given, alone = as_list(images)
    listed: list[AnyImage] = []
    folders: list[Path] = []
    passed = PassedOver()
    for image in given:
        if isinstance(image, str | Path) and image != "" and Path(image).is_dir():
            folders.append(Path(image))
            listed += find_images(folders[-1], passed)
        else:
            listed.append(image)
    for note in passed.notes:
        say(f"{what}: {note}")
    if folders and not listed:
        raise PredictError(f"{what}: {folders[0]}: no image in this folder: give files or a folder of images")
    return listed, alone and not folders


def query_base(image: str) -> Path | None:
    """The folder below which names of folders may be labels: the one asked for, or what a pattern starts with."""
    path = Path(image)
    if path.is_dir() or path.exists() or not has_magic(image):
        return path if path.is_dir() else None
    fixed = next(number for number, part in enumerate(path.parts) if has_magic(part))
    return Path(*path.parts[:fixed])
