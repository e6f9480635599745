"""What a person accepts of an audit goes to the list that the data set leaves out."""

import errno
from dataclasses import dataclass
from pathlib import Path

from lookalike.auditing.audit import Audit
from lookalike.data.exclusions import EXCLUDE_FILE, add_exclusions, read_exclusions
from lookalike.data.tables import ManifestError


@dataclass(frozen=True)
class Accepted:
    """What of an audit is accepted.

    Attributes:
        apply: `safe`, or the CSV that was read.
        reasons: Path -> reason of every line of the CSV; None for all that is safe.
    """

    apply: str
    reasons: dict[str, str] | None


def read_accepted(apply: str) -> Accepted:
    """Reads a CSV of accepted findings.

    Args:
        apply: `safe`, or a CSV of path and reason.

    Raises:
        ManifestError: Neither `safe` nor such a CSV.
    """
    if apply == "safe":
        return Accepted(apply, None)
    if not Path(apply).is_file():
        raise ManifestError(f"apply={apply}: expected safe, or a CSV with the columns path,reason: no such file")
    return Accepted(apply, read_exclusions(Path(apply)))


def exclude(audit: Audit, accepted: Accepted, file: str | None) -> str:
    """Adds images to the list that the data set leaves out; no image is touched.

    Args:
        audit: The audit of the data set.
        accepted: Which of its findings.
        file: The list; None for `exclude.csv` in the root of the data.

    Returns:
        What was done, in words.

    Raises:
        ManifestError: The CSV names images that are not in the data set, or the list cannot be written.
    """
    manifest = audit.manifest
    target = Path(file) if file else manifest.root / EXCLUDE_FILE
    chosen = audit.safe if accepted.reasons is None else accepted.reasons
    before = {} if target.exists() else dict(manifest.left_out)  # of the list that this one takes the place of
    if accepted.reasons is not None:
        listed = {*manifest.table["path"], *manifest.left_out}
        if unknown := [path for path in chosen if path not in listed]:
            raise ManifestError(
                f"apply={accepted.apply}: {len(unknown)} of {len(chosen)} paths are not in the data set "
                f"(first: {unknown[0]}): give paths relative to {manifest.root}"
            )
    try:
        new = add_exclusions(target, {**before, **chosen})
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise ManifestError(
            f"{target}: cannot be written ({error.strerror}): give data.exclude=<a file elsewhere>, also when training"
        ) from error
    already = len(before | chosen) - new
    listed_before = f" ({already} stood there already)" if already else ""
    return f"{new} image{'' if new == 1 else 's'} added to {target}{listed_before}; no file was touched"
