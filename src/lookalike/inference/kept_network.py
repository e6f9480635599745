"""A network in a folder of its own, without a bundle: what a gallery keeps of a network that was not trained.

The folder holds `model.xml` and `model.bin` (OpenVINO, as of a bundle) and `network.json` (how images are read, the
fingerprint, checksums). It needs no torch.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError, one_line
from lookalike.files import atomic_folder, sha256_of, write_json
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork

_SCHEMA = 1
_GRAPH, _ABOUT = ("model.xml", "model.bin"), "network.json"


class KeptNetworkError(LookalikeError):
    """A kept network is damaged or not there."""


def keep_network(encoder: Encoder, made: Path, folder: Path) -> bool:
    """Writes the network of an encoder, whole or not at all.

    Args:
        encoder: In float32.
        made: The folder in which its graph was written.
        folder: New, or one in which it is kept already.

    Returns:
        Whether there was a graph to keep: none where torch runs the network.
    """
    if not all((made / name).is_file() for name in _GRAPH):
        return False
    if _fingerprint(folder) == encoder.fingerprint and not network_problems(folder):
        return True
    with atomic_folder(folder.absolute()) as whole:
        for name in _GRAPH:
            shutil.copyfile(made / name, whole / name)
        about = {
            "schema": _SCHEMA,
            "fingerprint": encoder.fingerprint,
            "size": encoder.size,
            "pixels": encoder.pixels.to_dict(),
            "files": {name: sha256_of(whole / name) for name in _GRAPH},
        }
        write_json(whole / _ABOUT, about)
    return True


def has_network(folder: Path) -> bool:
    """Whether a network is kept there."""
    return (folder / _ABOUT).is_file()


def is_network_alone(folder: Path) -> bool:
    """Whether a folder holds what `keep_network` wrote, and nothing else."""
    return folder.is_dir() and not folder.is_symlink() and {file.name for file in folder.iterdir()} == {*_GRAPH, _ABOUT}


def network_problems(folder: Path) -> list[str]:
    """What is wrong with a kept network, a line each; none where it is whole, or nothing is kept there.

    Args:
        folder: Of it.
    """
    if not folder.is_dir():
        return []
    try:
        digests = dict(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, TypeError, LookupError) as error:
        return [f"{folder.name}/{_ABOUT}: cannot be read ({one_line(error)})"]
    problems = []
    for name in _GRAPH:
        if not (folder / name).is_file():
            problems.append(f"{folder.name}/{name}: is missing")
        elif digests.get(name) != sha256_of(folder / name):
            problems.append(f"{folder.name}/{name}: its checksum is wrong")
    return problems


@contextmanager
def in_use(folder: Path, alone: bool = False) -> Iterator[bool]:
    """Tells other processes that a kept network is needed, until the block ends.

    Args:
        folder: Of it.
        alone: Whether nobody else may need it: not waited for.

    Yields:
        Whether that could be had; never `alone` where folders cannot be locked.
    """
    if fcntl is None:
        yield not alone
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        held = True
    except OSError:
        held = False
    try:
        yield held
    finally:
        os.close(handle)


def _fingerprint(folder: Path) -> str:
    try:
        return str(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, TypeError, LookupError):
        return ""


def load_network(folder: Path, workers: int | None = None) -> Encoder:
    """Loads what `keep_network` wrote.

    Args:
        folder: Of it.
        workers: Threads that read images, see `Encoder`.

    Raises:
        KeptNetworkError: A file is missing or was changed.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if about["schema"] != _SCHEMA:
            raise ValueError(f"of schema {about['schema']}, this version reads {_SCHEMA}")
        for name in _GRAPH:
            if about["files"][name] != sha256_of(folder / name):
                raise ValueError(f"{name}: its checksum is wrong")
        pixels, size = PixelSettings(**about["pixels"]), int(about["size"])
        fingerprint = str(about["fingerprint"])
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise KeptNetworkError(
            f"{folder}: not a readable network ({error}): bring back a copy of the folder, or give the model"
        ) from error
    network = OpenVinoNetwork(folder / "model.xml", "float32", pixels, size)
    return Encoder(network, pixels, fingerprint, size, "float32", workers)
