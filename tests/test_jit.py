"""What numba keeps on disk is thrown away when any file changes that it was compiled from."""

import hashlib
from pathlib import Path

import numba
import pytest

import processes

INNER = "from lookalike.jit import jit\n\n@jit()\ndef inner(x):\n    return x + {}\n"
MIDDLE = "from inner import inner\nfrom lookalike.jit import jit\n\n@jit()\ndef middle(x):\n    return inner(x) * 2\n"
OUTER = "from lookalike.jit import jit\nfrom middle import middle\n\n@jit()\ndef outer(x):\n    return middle(x)\n"
CALL = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from {0} import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"
)
PLAIN = "from lookalike.jit import jit\n\n@jit()\ndef outer(x):\n    return x + 3\n"


def called(folder: Path, module: str = "outer") -> tuple[int, int]:
    """What a fresh process gets, and how many compiled functions it took from disk."""
    done = processes.run(CALL.format(module), str(folder))
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    return int(value), int(hits)


def test_a_change_two_calls_away_is_seen_and_nothing_is_compiled_without_one(tmp_path: Path) -> None:
    for name, text in (("inner", INNER.format(1)), ("middle", MIDDLE), ("outer", OUTER)):
        (tmp_path / f"{name}.py").write_text(text)
    assert called(tmp_path) == (4, 0)
    assert called(tmp_path) == (4, 1)
    (tmp_path / "inner.py").write_text(INNER.format(20))
    assert called(tmp_path) == (42, 0)
    assert called(tmp_path) == (42, 1)


def damaged(file: Path, how: str) -> bytes:
    content = bytearray(file.read_bytes())
    if how == "empty":
        return b""
    if how == "half":
        return bytes(content[: len(content) // 2])
    if how == "zeros":
        content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
    else:
        content[len(content) // 2] ^= 4
    return bytes(content)


@pytest.mark.parametrize(
    ("kind", "how"), [("nbi", "empty"), ("nbi", "one bit"), ("nbc", "half"), ("nbc", "zeros"), ("nbc", "one bit")]
)
def test_what_is_damaged_on_disk_is_compiled_anew(tmp_path: Path, kind: str, how: str) -> None:
    (tmp_path / "inner.py").write_text(INNER.format(1))
    (tmp_path / "middle.py").write_text(MIDDLE)
    (tmp_path / "outer.py").write_text(OUTER)
    assert called(tmp_path) == (4, 0)
    files = list((tmp_path / "__pycache__").glob(f"*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(damaged(file, how))
    assert called(tmp_path) == (4, 0)
    assert called(tmp_path) == (4, 1), "and is whole again"


NOW = f"{numba.__version__}\n".encode()
MOVED = b"cnumba.nowhere\nGone\n."  # what is named is not there any more


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *((kind, before + MOVED) for kind in ("nbi", "nbc") for before in (b"0.1.0\n", NOW)),
        *(("nbi", NOW + other) for other in (b"](I1\nI2\ne.", b"")),
    ],
)
def test_what_cannot_be_loaded_is_compiled_anew(tmp_path: Path, kind: str, content: bytes) -> None:
    """Such as what another version of Numba wrote: the checksum is right, and what is named has moved."""
    (tmp_path / "plain.py").write_text(PLAIN)
    assert called(tmp_path, "plain") == (4, 0)
    for file in (tmp_path / "__pycache__").glob(f"*.{kind}"):
        file.write_bytes(hashlib.sha256(content).digest() + content)
    assert called(tmp_path, "plain") == (4, 0)
    assert called(tmp_path, "plain") == (4, 1), "and is of this version again"
