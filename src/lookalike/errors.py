"""The one family of errors that a person can mend: the command line prints their text alone, without a traceback."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from types import MappingProxyType
from typing import Self

_PROBLEM = "\0"  # stands before each of several: nothing typed and no name of a file can hold it
_OWN_LINE = re.compile(f"(\n  |){_PROBLEM}")


class LookalikeError(ValueError):
    """What was expected, what was found and what to do about it, on one line; each of several has its own.

    Attributes:
        code: One word for programs, which stays when the words change; empty where the class says enough.
        fields: What the line names, for programs and for those who read another language.
    """

    code: str = ""
    fields: Mapping[str, str | int | float] = MappingProxyType({})

    def naming(self, code: str, **fields: str | int | float) -> Self:
        """The same error, with its code and fields."""
        self.code, self.fields = code, fields
        return self

    def __str__(self) -> str:
        """The text, in which only the problems that `listed` joined begin lines; other line feeds are spelt out."""
        parts = _OWN_LINE.split(super().__str__())  # every second one separates two
        parts[::2] = (part.replace("\n", "\\n") for part in parts[::2])
        return "".join(parts)


def listed(problems: list[str], shown: int = 20) -> str:
    """Joins problems for the text of one `LookalikeError`: the first `shown`, then how many more there are.

    Each begins a line there, whatever names are in it.
    """
    more = len(problems) - shown
    lines = [*problems[:shown], *([f"... and {more} more"] if more > 0 else [])]
    return "\n  ".join(_PROBLEM + line.replace(_PROBLEM, "\\0") for line in lines)


def one_line(text: object, most: int = 300) -> str:
    """What is printed of a text from a file or another library: one line, of letters that can be printed."""
    line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:most]


_SHORTEST_PART = 4  # letters of a name that are looked for inside others


def did_you_mean(name: str, choices: list[str]) -> str:
    """A hint such as `; did you mean arcface?`, empty when nothing is near: alike, or with the name inside."""
    from difflib import get_close_matches

    near = get_close_matches(name, choices, n=3, cutoff=0.6)
    if not near and len(name) >= _SHORTEST_PART:
        near = [choice for choice in choices if name in choice][:3]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def install(extra: str) -> str:
    """What to type for the packages of an extra; from a clone the extra of that clone, as no registry has it.

    Args:
        extra: Such as `audit`, as in pyproject.toml.
    """
    from pathlib import Path

    clone = Path(__file__).parents[2]
    if not (clone / "pyproject.toml").is_file():
        return f"pip install 'lookalike[{extra}]'"
    return f"pip install '{'.' if clone == Path.cwd() else clone}[{extra}]'"


_IMPORTED_AS = {"sklearn": "scikit-learn", "umap": "umap-learn", "cv2": "opencv-python-headless", "PIL": "pillow"}


def extra_with(module: str, verb: str = "") -> str:
    """The extra that has a package: that of the verb where it has it, else the first; `train` where none is known.

    Args:
        module: What could not be imported, such as `imagehash`.
        verb: What was asked for, such as `audit`.
    """
    from importlib.metadata import PackageNotFoundError, requires

    top = module.partition(".")[0]
    package = _IMPORTED_AS.get(top, top).replace("_", "-").lower()
    try:
        lines = requires("lookalike") or []
    except PackageNotFoundError:
        lines = []
    extras = [
        line.rpartition("extra ==")[2].strip(" '\"")
        for line in lines
        if "extra ==" in line and re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].replace("_", "-").lower() == package
    ]
    mine = "int8" if verb == "quantize" else verb
    return mine if mine in extras else next((extra for extra in extras if extra != "dev"), "train")


def import_problem(error: BaseException, extra: str = "", verb: str = "") -> str | None:
    """What is said of a package that is missing or cannot be imported; None for any other error, and for our own bugs.

    Args:
        error: What was raised.
        extra: The extra that has the package; none for that which `extra_with` finds.
        verb: See `extra_with`.
    """
    if not isinstance(error, ImportError | OSError):
        return None
    missing = isinstance(error, ModuleNotFoundError)
    package = (getattr(error, "name", None) or "").partition(".")[0] if missing else _being_imported(error)
    if not package or package == "lookalike" or package in sys.stdlib_module_names:
        return None
    if missing:
        return f"needs the package {package}: {install(extra or extra_with(package, verb))}"
    return (
        f"needs the package {package}, which is there and cannot be imported ({one_line(error)}): mend what that "
        f"names, or pip install --force-reinstall {_IMPORTED_AS.get(package, package)}"
    )


def _being_imported(error: BaseException) -> str:
    """The innermost package whose import an error came out of, empty where it came out of none."""
    frames = [(frame.f_globals.get("__name__", ""), frame.f_code.co_name) for frame, _ in walk_tb(error.__traceback__)]
    ours = [place for place, (module, _) in enumerate(frames) if module.partition(".")[0] == "lookalike"]
    behind = frames[ours[-1] + 1 :] if ours else frames
    bodies = [module.partition(".")[0] for module, code in behind if code == "<module>"]
    bodies = [package for package in bodies if package not in sys.stdlib_module_names]
    return bodies[-1] if bodies else (getattr(error, "name", None) or "").partition(".")[0]


class ModelError(LookalikeError):
    """The model cannot be built from these settings."""


class CheckpointError(LookalikeError):
    """A checkpoint cannot be read, or belongs to another run."""


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Says what to install when a package is missing inside or cannot be imported.

    Args:
        extra: Of this package, such as `train`.
        what: What needs it, for the error.

    Raises:
        LookalikeError: A package is missing or broken.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        problem = import_problem(error, extra)
        if problem is None:
            raise
        raise LookalikeError(f"{what} {problem}") from error
