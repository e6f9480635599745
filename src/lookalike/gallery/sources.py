"""Where enrolled images came from: the whole path of a file, or the name of anything else."""

from pathlib import Path

from lookalike.data.any_image import AnyImage, name_of
from lookalike.files import readable
from lookalike.settings.paths import PathError, at_home


def source_of(image: AnyImage, number: int) -> str:
    """The whole path of a file; the name of anything else.

    Args:
        image: What is enrolled.
        number: Its place among those of the call, from 0.
    """
    if not isinstance(image, str | Path):
        return name_of(image, number)
    try:
        return readable(str(Path(at_home(image)).resolve()))
    except PathError:
        raise
    except ValueError:  # a NUL, or half a letter of Unicode: there is no such file
        return readable(str(image))


def sources_of(text: str | Path) -> list[str]:
    """How the source of an image may be stored of which a person gives the path or the name.

    Args:
        text: As it was given.
    """
    return sorted({readable(str(text)), source_of(text, 0)})
