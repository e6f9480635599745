"""Audits with the untrained network, for tests."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pandas as pd

from lookalike.auditing.audit import Audit, audit
from lookalike.data.reading import survey_data
from lookalike.export.untrained import identity, untrained_encoder
from lookalike.inference.encoder import Encoder


@cache
def untrained() -> Encoder:
    """Made once per process: its graph takes seconds."""
    folder = tempfile.mkdtemp(prefix="lookalike-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return untrained_encoder(Path(folder))


def look(root: Path, folder: Path) -> Audit:
    """An audit that keeps what it reads in `folder`."""
    manifest, problems = survey_data(str(root))
    return audit(manifest, problems, untrained, identity(), folder)


def findings_of(audit: Audit, kind: str) -> pd.DataFrame:
    return audit.findings[audit.findings["kind"] == kind]
