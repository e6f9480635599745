"""Photographs to audit, and the shared ones with faults put in."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from audits import look
from corruption import corrupt
from lookalike.auditing.audit import Audit


@pytest.fixture(scope="session")
def spoilt(
    produce: Path, omniglot_market: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Audit, pd.DataFrame, Path]:
    """Every third class, or all with `LOOKALIKE_WHOLE_AUDIT=1`: the table of docs/audit.md."""
    home = tmp_path_factory.mktemp("spoilt")
    labels = sorted(folder.name for folder in (produce / "train").iterdir())
    for split in ("train", "validation", "test"):
        for label in labels if os.environ.get("LOOKALIKE_WHOLE_AUDIT") else labels[::3]:
            if (produce / split / label).is_dir():
                shutil.copytree(produce / split / label, home / "source" / split / label)
    faults = corrupt(home / "source", omniglot_market, home / "data", 0)
    return look(home / "data", home / "cache"), faults, home


@pytest.fixture(scope="module")
def photographs(few_produce: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of them."""
    root = tmp_path_factory.mktemp("few") / "data"
    for split in ("train", "validation", "test"):
        for folder in sorted((few_produce / split).iterdir())[:3]:
            shutil.copytree(folder, root / split / folder.name)
    return root


@pytest.fixture
def data(photographs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(photographs, tmp_path / "data"))
