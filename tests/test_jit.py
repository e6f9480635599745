"""What numba keeps on disk is thrown away when any file changes that it was compiled from."""

import os
import subprocess
import sys
from pathlib import Path

INNER = "from lookalike.jit import jit\n\n@jit()\ndef inner(x):\n    return x + {}\n"
MIDDLE = "from inner import inner\nfrom lookalike.jit import jit\n\n@jit()\ndef middle(x):\n    return inner(x) * 2\n"
OUTER = "from lookalike.jit import jit\nfrom middle import middle\n\n@jit()\ndef outer(x):\n    return middle(x)\n"
CALL = "from outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"


def called(folder: Path) -> tuple[int, int]:
    """What a fresh process gets, and how many compiled functions it took from disk."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "NUMBA_CACHE_DIR": ""}
    done = subprocess.run(
        [sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=True, cwd=folder
    )
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
