"""A trained model on a data set: figures, a table of all queries, and a picture of the worst of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.console import say
from lookalike.data.dataset import read_data
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.errors import LookalikeError
from lookalike.evaluation.checks import need_cameras, twice
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Identification, Rules, identify
from lookalike.evaluation.split import held_out_as_in
from lookalike.files import atomic_file, write_json
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import load_encoder
from lookalike.inference.picture import Cell, draw_rows
from lookalike.settings.check import flat
from lookalike.settings.verbs import EvalCommand

_DRAWN = 10  # neighbours beside each of the worst queries


class AssessError(LookalikeError):
    """It is not clear what to measure."""


@dataclass(frozen=True)
class Assessment:
    """What was measured.

    Attributes:
        name: Of the model: that of its bundle folder or checkpoint file.
        identification: The figures.
        manifest: The data set.
        protocol: Who asked and who answered.
        about: Where the figures come from, plain values.
    """

    name: str
    identification: Identification
    manifest: Manifest
    protocol: Protocol
    about: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """A row per query: its path and camera, what `RetrievalResult.per_query` holds, and its nearest references."""
        result, references = self.identification.result, self.protocol.references
        queries = self.protocol.queries.reset_index(drop=True)
        paths = references["path"].to_numpy(object)
        near = [[str(paths[row]) for row in rows if row >= 0] for rows in result.neighbours]
        columns = {"path": queries["path"], "camera": queries["camera"]}
        whole = {"accuracy_whole@1": self.identification.whole.per_query["accuracy@1"]}
        extra = {} if self.identification.whole is result else whole
        return pd.DataFrame({**columns, **result.per_query, **extra, "neighbours": near})

    def write(self, report: Path, worst: int) -> list[Path]:
        """Writes the report (JSON), the table (Parquet) and the picture of the worst queries; returns their paths."""
        result = self.identification.result
        per_label = result.per_label().astype(object).where(lambda table: table.notna(), None).to_dict("records")
        write_json(report, {**self.about, **self.identification.to_dict(), "per_label": per_label})
        table = report.with_suffix(".parquet")
        with atomic_file(table) as handle:
            self.table().to_parquet(handle, index=False)
        picture = report.with_name(f"{report.stem}-worst.png")
        chosen = worst_rows(result.per_query)[:worst]
        if not len(chosen):
            return [report, table]
        with atomic_file(picture) as handle:
            draw_rows([self._cells(int(row)) for row in chosen]).save(handle, format="PNG")
        return [report, table, picture]

    def _cells(self, row: int) -> list[Cell]:
        """The query and its neighbours."""
        result, references = self.identification.result, self.protocol.references
        query, facts = self.protocol.queries.iloc[row], result.per_query.iloc[row]
        first = f"first right at {facts['first_positive']}" if facts["positives"] else "no valid positive"
        cells = [Cell(self.manifest.file(query["path"]), _who(query), first)]
        neighbours = zip(result.neighbours[row, :_DRAWN], result.neighbour_similarity[row, :_DRAWN], strict=True)
        for rank, (near, similarity) in enumerate(neighbours, start=1):
            if near >= 0:
                other = references.iloc[int(near)]
                note = f"{rank}.  similarity {similarity:.3f}"
                right = bool(other["label"] == query["label"])
                cells.append(Cell(self.manifest.file(other["path"]), _who(other), note, right))
        return cells


def assess(settings: EvalCommand) -> Assessment:
    """Measures a bundle or a checkpoint.

    Raises:
        LookalikeError: Nothing or two things to measure, problems in the data, or a checkpoint that does not fit.
    """
    if (settings.bundle is None) == (settings.ckpt_path is None):
        raise AssessError(
            "what to measure: give bundle=<folder> or ckpt_path=<Lightning checkpoint>, "
            f"got {'both' if settings.bundle else 'neither'}"
        )
    if settings.ckpt_path is not None and settings.precision == "bf16":
        raise AssessError("precision=bf16: a checkpoint is measured in float32: leave it out, or give bundle=<folder>")
    data = settings.data.model_dump()
    bundle = load_bundle(Path(settings.bundle)) if settings.bundle is not None else None
    manifest = read_data(**(held_out_as_in(bundle, data) if bundle else data))
    protocol = manifest.protocol(settings.split)
    if settings.camera_rule:
        need_cameras(manifest, protocol)
    if pairs := twice(manifest, protocol):
        say(
            f"{len(pairs)} query file(s) are also among the references (first: {pairs[0][0]} = {pairs[0][1]}): "
            "accuracy without a camera rule is too good by these"
        )
    on_gpu = settings.device == "cuda"
    rules = Rules(settings.camera_rule, settings.similarity, settings.rerank, "cuda" if on_gpu else "cpu")
    about: dict[str, Any] = {"data": settings.data.root, "split": settings.split, "duplicated_files": len(pairs)}
    if bundle:
        encoder = load_encoder(bundle, settings.device, settings.precision)
        identification = identify(*embed_protocol(encoder, manifest, protocol), protocol, rules)
        about = {
            "bundle": str(bundle.path),
            "fingerprint": bundle.fingerprint,
            "precision": encoder.precision,
            **about,
        }
        return Assessment(bundle.path.resolve().name, identification, manifest, protocol, about)
    from lookalike.training.restore import restore, run_test

    file = Path(str(settings.ckpt_path))
    model, pixels = settings.model.model_dump(), settings.pixels.model_dump()
    embedder, read_as, built = restore(file, model, pixels, settings.allow_partial)
    identification = run_test(embedder, manifest, read_as, settings.split, rules, settings.device)
    used = {**flat(built, "model."), **flat(read_as.to_dict(), "pixels.")}
    name = f"{file.resolve().parent.name}-{file.stem}"
    return Assessment(
        name, identification, manifest, protocol, {"ckpt_path": str(file), "precision": "float32", **about, **used}
    )


def worst_rows(per_query: pd.DataFrame) -> np.ndarray:
    """Rows of the queries with a positive, lowest average precision first."""
    matched = per_query[per_query["positives"] > 0]
    order = matched.sort_values(["map", "accuracy@1", "similarity"], kind="stable").index
    rows: np.ndarray = order.to_numpy()
    return rows


def _who(row: pd.Series) -> str:
    camera = "" if pd.isna(row["camera"]) else f", cam {row['camera']}"
    return f"{row['label']}{camera}"
