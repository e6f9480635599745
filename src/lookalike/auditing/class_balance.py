"""Classes with too few images, or none in a split."""

from lookalike.auditing.findings_table import Finding, Findings
from lookalike.data.manifest import Manifest

_FEW = 4  # images of a class in training: K of a batch of P labels x K images, and what a vote needs


def check_balance(findings: Findings, manifest: Manifest) -> None:
    """Adds classes with too few images, or none in a split.

    Args:
        findings: Where they are added.
        manifest: The data set.
    """
    counts = manifest.counts()
    counts = counts.loc[:, counts.sum() > 0]
    roles = (manifest.table["role"] != "").any()
    for label, row in counts.iterrows() if not manifest.cameras_expected else ():
        if "train" in counts and 0 < row["train"] < _FEW:
            reason = f"{row['train']} training images: fewer than {_FEW}"
            findings.add(Finding("few", None, reason, score=1 - row["train"] / _FEW, label=str(label)))
        for split in ("validation", "test"):
            if split in counts and not roles and row[split] == 0 and row.get("train", 0):
                reason = f"no image in {split}: it is not measured there"
                findings.add(Finding("missing", None, reason, score=0.0, label=str(label)))
