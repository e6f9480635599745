"""What a person accepts of an audit goes to the list that the data set leaves out."""

import errno
from pathlib import Path

from lookalike.auditing.audit import Audit
from lookalike.data.exclusions import NAME as EXCLUDED
from lookalike.data.exclusions import add_exclusions, read_exclusions
from lookalike.data.tables import ManifestError


def exclude(audit: Audit, apply: str, file: str | None) -> str:
    """Adds images to the list that the data set leaves out; no image is touched.

    Args:
        audit: What was found.
        apply: `safe`, or a CSV of path and reason.
        file: The list; None for `exclude.csv` in the root of the data.

    Returns:
        What was done, in words.

    Raises:
        ManifestError: The CSV is none, names images that are not in the data set, or the list cannot be written.
    """
    target = Path(file) if file else audit.manifest.root / EXCLUDED
    chosen = audit.safe if apply == "safe" else accepted(apply)
    before = {} if target.exists() else dict(audit.manifest.left_out)  # of the list that this one takes the place of
    if apply != "safe":
        known = {*audit.manifest.table["path"], *audit.manifest.left_out}
        if unknown := [path for path in chosen if path not in known]:
            raise ManifestError(
                f"apply={apply}: {len(unknown)} of {len(chosen)} paths are not in the data set (first: {unknown[0]}): "
                f"give paths relative to {audit.manifest.root}"
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
    there = f" ({already} stood there already)" if already else ""
    return f"{new} image{'' if new == 1 else 's'} added to {target}{there}; no file was touched"


def accepted(apply: str) -> dict[str, str]:
    """Path -> reason of a CSV of accepted findings; empty for `safe`.

    Raises:
        ManifestError: Neither `safe` nor such a CSV.
    """
    if apply == "safe":
        return {}
    if not Path(apply).is_file():
        raise ManifestError(f"apply={apply}: expected safe, or a CSV with the columns path,reason: no such file")
    return read_exclusions(Path(apply))
