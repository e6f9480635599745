"""What is wrong with a data set: files, duplicates and leaks, labels, balance; told, never repaired by itself.

Letters in shapes: N images.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.auditing.bad_files import check_files
from lookalike.auditing.candidate_pairs import neighbours
from lookalike.auditing.class_balance import check_balance
from lookalike.auditing.duplicates import check_duplicates, groups_of
from lookalike.auditing.file_facts import Facts, gather
from lookalike.auditing.findings_table import KINDS, Finding, Findings
from lookalike.auditing.leaks import leaks
from lookalike.auditing.wrong_labels import NEIGHBOURS, check_labels
from lookalike.data.layouts.market import DISTRACTOR
from lookalike.data.manifest import Manifest
from lookalike.data.tables import ManifestError, training_rows
from lookalike.inference.encoder import Encoder
from lookalike.pages import Table, snippet

_SHOWN = 96  # pixels of the longer side of a picture in a notebook


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found in a data set.

    Attributes:
        manifest: The data set.
        findings: One row per finding: kind (a key of `KINDS`), path and other (the second image of a pair, else ""),
            split, label, score (higher is worse, 0..1, NaN where there is none), reason, suggestion, and safe:
            whether the image can be left out without a second look.
        leaks: One row per split that asks: split, queries, accuracy@1, then copies and scenes (queries that have one
            among the references) and accuracy@1 without these (NaN when none is left).
        facts: Of every image.
        rows: Rows of the manifest, those of `facts`.
        copies: int64 [N], the same number for images that are one picture.
    """

    manifest: Manifest
    findings: pd.DataFrame
    leaks: pd.DataFrame
    facts: Facts
    rows: pd.DataFrame
    copies: np.ndarray

    @property
    def safe(self) -> dict[str, str]:
        """Path -> reason of the images that can be left out without a second look.

        A file is left out as a whole, so all its boxes must be safe; the last usable training image of a class stays.
        """
        chosen = self.findings[self.findings["safe"]].drop_duplicates("row").sort_values("row", kind="stable")
        whole = chosen["path"].map(chosen["path"].value_counts()) == chosen["path"].map(
            self.rows["path"].value_counts()
        )
        chosen = chosen[whole & (chosen["path"] != chosen["other"])]
        trained = training_rows(self.rows[self.facts.usable])
        left = trained[~trained["path"].isin(set(chosen["path"]))]
        emptied = set(trained["label"]) - set(left["label"])
        keep = trained[trained["label"].isin(emptied)].drop_duplicates("label")["path"]
        chosen = chosen[~chosen["path"].isin(set(keep))]
        return dict(zip(chosen["path"][::-1], chosen["reason"][::-1], strict=True))

    def __repr__(self) -> str:
        return f"Audit({str(self.manifest.root)!r}: {len(self.rows)} images, {len(self.findings)} findings)"

    def _repr_html_(self) -> str:
        """In a notebook: how much of every kind was found, and the pictures of the first of each."""
        counts = self.findings["kind"].value_counts()
        kinds = [kind for kind in KINDS if kind in counts]
        rows = [[KINDS[kind][0], str(counts[kind]), KINDS[kind][1]] for kind in kinds]
        table = Table(["found", "times", "what to do"], rows, frozenset({1}))
        first = self.findings.drop_duplicates("kind").set_index("kind").loc[kinds, ["row", "other_row", "reason"]]
        pictures = [
            replace(self.facts.picture(int(row), _SHOWN), title=str(reason))
            for *pair, reason in first.itertuples(index=False)
            for row in pair
            if row >= 0
        ]
        return snippet(repr(self), table, [pictures])

    def __str__(self) -> str:
        counts = self.findings["kind"].value_counts()
        lines = [f"{len(self.rows)} images, {self.facts.read} of them read now; {len(self.findings)} findings"]
        lines += [f"  {counts[kind]:>5}  {KINDS[kind][0]}" for kind in KINDS if kind in counts]
        for row in self.leaks.to_dict("records"):
            parts = [f"{row['split']}: accuracy@1 {row['accuracy']:.4f} of {row['queries']} queries"]
            for name, what in (("copies", "a copy"), ("scenes", "a copy or the same scene")):
                count, left = row[name], row[f"without_{name}"]
                rest = f"{left:.4f} without them" if np.isfinite(left) else "no query is left without them"
                parts.append(f"{count} have {what} among the references" + (f" ({rest})" if count else ""))
            lines.append("; ".join(parts))
        return "\n".join(lines)


def audit(manifest: Manifest, problems: list[str], load: Callable[[], Encoder], identity: str, cache: Path) -> Audit:
    """Looks at every image of a data set, augmented copies aside.

    Args:
        manifest: The data set.
        problems: Of its table, in words.
        load: Makes the encoder; called only when a file must be read.
        identity: Tells the encoder's weights and pixel settings apart.
        cache: Folder of what earlier audits found; it may be deleted at any time.

    Raises:
        ManifestError: There is no image.
    """
    rows = manifest.original.reset_index(drop=True)
    if rows.empty:
        raise ManifestError(f"{manifest.root}: no image in it: give data.root=<a data set>")
    facts = gather(manifest, rows, load, identity, cache / "images.parquet")
    findings = Findings(rows)
    for problem in problems:
        findings.add(Finding("problem", None, problem))
    check_files(findings, manifest, facts)
    usable = np.flatnonzero(facts.usable)
    leak_table, copies = pd.DataFrame(), np.arange(len(rows))
    if len(usable) > 1:
        nearest, _ = neighbours(facts.embeddings[usable], NEIGHBOURS)
        copied, scenes = check_duplicates(findings, facts, rows, nearest, cache / "pairs.parquet")
        copies = groups_of(copied, len(rows))
        strangers = manifest.cameras_expected & (rows["label"] == DISTRACTOR)  # many people under one label
        judged = usable[~(rows["ignore"] | strangers).to_numpy(bool)[usable]]
        if len(judged) > 1:
            check_labels(findings, rows["label"].to_numpy(str), facts.embeddings, judged, copies)
        leak_table = leaks(manifest, facts.embeddings, facts.usable, copies, scenes)
    check_balance(findings, manifest)
    return Audit(manifest, findings.table(), leak_table, facts, rows, copies)
