"""Audits with the untrained network, for tests."""

from pathlib import Path

import pandas as pd

from lookalike.auditing.audit import Audit, audit
from lookalike.data.layouts import survey_data
from lookalike.export.untrained import identity, untrained_encoder


def look(root: Path, cache: Path) -> Audit:
    manifest, problems = survey_data(str(root))
    return audit(manifest, problems, lambda: untrained_encoder(cache), identity(), cache)


def findings_of(audit: Audit, kind: str) -> pd.DataFrame:
    return audit.findings[audit.findings["kind"] == kind]
