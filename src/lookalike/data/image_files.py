"""Which files are images, by their names, and which of them cannot be used.

Linked folders are followed, each folder once; what is passed over is counted and named.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.data import formats
from lookalike.data.images import ImageError, read_image
from lookalike.data.pixels import PixelSettings

# What storage devices and systems put beside a user's files, in small letters: thumbnails, bins, snapshots.
SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@__thumb", "@sharebin", "@tmp", "@sharesnap", "#recycle"),
        *("#snapshot", "$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "lost+found"),
        *("$windows.~bt", "$winreagent", "__macosx", "network trash folder", "temporary items", "thumbs", "_thumbs"),
        *(".thumbnails", ".thumb", ".thumbs", ".picasaoriginals", ".trash", ".trashes", ".@__thumb", "__pycache__"),
        *(".appledouble", ".spotlight-v100", ".fseventsd", ".documentrevisions-v100", ".temporaryitems", ".snapshot"),
        *(".sync", ".stfolder", ".stversions", ".dropbox.cache", ".comments", ".xvpics"),
    }
)
GALLERY_FILE = "gallery.sqlite"  # a folder that holds it is a gallery
UNKNOWN_FOLDER = "unknown"  # of a gallery: images that were called unknown
_START = 64  # bytes of a file whose name does not tell
_SHOWN = 5


@dataclass
class PassedOver:
    """What was not read while folders were.

    Attributes:
        others: How many files that are no images, by the ending of their names.
        unread: Images of formats that cannot be read here.
        system: Folders of systems and storage devices, by name.
        galleries: Folders of galleries: what lies there belongs to them.
        links: Links that are not followed, as what they lead to is read anyway, in words.
        unreachable: What cannot be read, and why, in words.
    """

    others: Counter[str] = field(default_factory=Counter)
    unread: list[Path] = field(default_factory=list)
    system: Counter[str] = field(default_factory=Counter)
    galleries: set[Path] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)

    def add(self, file: Path) -> None:
        """Counts a file whose name does not end like an image that can be read."""
        suffix, start = file.suffix.lower(), b""
        if not formats.tells(suffix) and file.is_file():
            with suppress(OSError), file.open("rb") as handle:
                start = handle.read(_START)
        if formats.is_other_picture(suffix, start):
            self.unread.append(file)
        else:
            self.others[file.suffix] += 1

    @property
    def lost(self) -> list[str]:
        """In words: what a user may have wanted to be read."""
        counts = Counter(path.suffix.lower() for path in self.unread)
        lines = list(dict.fromkeys(self.unreachable))
        for suffix, count in sorted(counts.items()):
            heic = suffix in formats.FORMATS["HEIF"]
            advice = formats.HEIC_ADVICE if heic else f"expected {formats.NAMES}, named so: save or rename them"
            named = _few([str(path) for path in self.unread if path.suffix.lower() == suffix])
            what = f"{count} image(s) ending in {suffix or 'nothing'}"
            lines.append(f"{what} cannot be read and are passed over: {named}; {advice}")
        return lines

    @property
    def notes(self) -> list[str]:
        """In words: all of it."""
        lines = [
            f"{count} file(s) ending in {suffix or 'nothing'} passed over: not an image extension"
            for suffix, count in sorted(self.others.items())
        ]
        if self.system:
            lines.append(f"{self.system.total()} folder(s) of the system passed over: {_few(sorted(self.system))}")
        if self.galleries:
            shown = _few(sorted(map(str, self.galleries)))
            lines.append(f"{len(self.galleries)} folder(s) of a gallery passed over: {shown}")
        return [*lines, *dict.fromkeys(self.links), *self.lost]


def entries_of(folder: Path, passed: PassedOver) -> list[tuple[Path, bool]]:
    """What stands in a folder, sorted by name, and whether each is a folder (a link to one is); hidden ones aside.

    A folder of a gallery is passed over; in one that is asked for itself, the unknown images that it keeps.

    Args:
        folder: Where to look.
        passed: What is not read is added to it.
    """
    try:
        with os.scandir(folder) as listing:
            listed = sorted((entry.name, _is_folder(entry), entry.is_symlink()) for entry in listing)
    except OSError as error:
        passed.unreachable.append(f"{folder}: {_closed(error)}")
        return []
    entries = []
    own = any(name == GALLERY_FILE for name, _, _ in listed)
    for name, is_folder, is_link in listed:
        if name.casefold() in SYSTEM_FOLDERS and is_folder:
            passed.system[name] += 1
        elif is_folder and ((own and name == UNKNOWN_FOLDER) or has_file(folder / name, GALLERY_FILE)):
            passed.galleries.add(folder / name)
        elif name.startswith("."):
            continue
        elif is_link and not is_image_name(name) and not _leads_somewhere(folder / name):
            passed.unreachable.append(f"{folder / name}: a link that leads nowhere: correct or remove it")
        else:
            entries.append((folder / name, is_folder))
    return entries


def gallery_above(file: Path, base: Path) -> Path | None:
    """The folder of a gallery that a file lies in, below a folder that was asked for; None where it lies in none.

    Args:
        file: Below `base`.
        base: Whoever asks for a folder of a gallery itself, means it.
    """
    for folder in reversed([place for place in file.parents if base in place.parents]):
        if has_file(folder, GALLERY_FILE) or (folder.name == UNKNOWN_FOLDER and has_file(folder.parent, GALLERY_FILE)):
            return folder
    return None


def has_folder(folder: Path, name: str) -> bool:
    """Whether a folder of that name is in it; no where it cannot be looked into."""
    with suppress(PermissionError):
        return (folder / name).is_dir()
    return False


def folders_in(folder: Path) -> list[str]:
    """The names of the folders that `entries_of` finds in one, sorted; what is not read is not told."""
    return [path.name for path, is_folder in entries_of(folder, PassedOver()) if is_folder]


def has_file(folder: Path, name: str) -> bool:
    """As `has_folder`, of a file."""
    with suppress(PermissionError):
        return (folder / name).is_file()
    return False


def unopened(folder: Path) -> str:
    """Why what stands in a folder cannot be listed; empty where it can."""
    try:
        with os.scandir(folder):
            return ""
    except OSError as error:
        return _closed(error)


def _closed(error: OSError) -> str:
    return f"cannot be opened ({error.strerror}): check its permissions"


def files_below(folder: Path, passed: PassedOver) -> Iterator[Path]:
    """All files below a folder, hidden ones and folders of systems left out; links are followed, each folder read once.

    Args:
        folder: Where to look.
        passed: What is not read is added to it.
    """
    seen = {_identity(folder)}
    waiting = [folder]
    while waiting:
        deeper = []
        for path, is_folder in entries_of(waiting.pop(), passed):
            if not is_folder:
                yield path
            elif path.is_symlink() and _leads_up(path):
                passed.links.append(f"{path}: a link to a folder above it is not followed: remove it")
            elif _identity(path) in seen:
                passed.links.append(f"{path}: a link to a folder that is read already: remove it")
            else:
                seen.add(_identity(path))
                deeper.append(path)
        waiting += reversed(deeper)


def find_images(folder: Path, passed: PassedOver | None = None) -> list[Path]:
    """All image files below a folder, by the endings of their names, sorted.

    Args:
        folder: Where to look.
        passed: What is not read is added to it.
    """
    passed = PassedOver() if passed is None else passed
    images = []
    for file in files_below(folder, passed):
        if is_image_name(file.name):
            images.append(file)
        else:
            passed.add(file)
    return sorted(images)


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image that can be read here, and is not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in formats.suffixes()


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _leads_somewhere(link: Path) -> bool:
    with suppress(PermissionError):
        return link.exists()
    return False


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError:
        return (-1, hash(folder))
    return status.st_dev, status.st_ino


def _leads_up(link: Path) -> bool:
    target = Path(os.path.realpath(link))
    return any(Path(os.path.realpath(above)).is_relative_to(target) for above in link.absolute().parents)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def find_broken(files: Iterable[Path], threads: int = 2, progress: Callable[[], None] = lambda: None) -> list[str]:
    """Decodes every file and returns the text of each `ImageError`, in the order of the files."""
    small = PixelSettings(16, 16)

    def check(file: Path) -> str | None:
        try:
            read_image(file, small)
        except ImageError as error:
            return str(error)
        finally:
            progress()
        return None

    with ThreadPoolExecutor(threads) as pool:
        return [text for text in pool.map(check, files) if text]
