"""A trained model on a data set: figures, a table of all queries, and a picture of the worst of them.

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.errors import LookalikeError
from lookalike.evaluation.checks import need_cameras
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Identification, Rules
from lookalike.evaluation.measure import measure_protocol
from lookalike.evaluation.multi_query import multi_query
from lookalike.evaluation.standard import StandardFigures
from lookalike.evaluation.tracklets import pooling_of
from lookalike.evaluation.unknown_queries import UnknownQueries, unknown_queries
from lookalike.files import as_json
from lookalike.inference.bundle_config import OpenSet
from lookalike.inference.encoder import Encoder
from lookalike.inference.picture import Cell, draw_rows
from lookalike.metrics.metric_table import metric_table
from lookalike.outputs import write_files
from lookalike.pages import snippet
from lookalike.settings.paths import at_home
from lookalike.terminal import visible_line

_DRAWN = 10  # neighbours beside each of the worst queries
_WORST_SHOWN, _NEAR_SHOWN = 3, 6  # of them in a notebook


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a protocol.

    Attributes:
        queries: float32 [Q, D].
        references: float32 [R, D].
    """

    queries: np.ndarray
    references: np.ndarray


@dataclass(frozen=True, eq=False)
class Assessment:
    """What was measured.

    Attributes:
        name: Of the model: that of its bundle folder or checkpoint file.
        identification: The figures.
        manifest: The data set.
        protocol: Who asked and who answered.
        split: Of the queries.
        camera_rule: Whether references of the query's own label and camera were left out.
        about: Where the model comes from, plain values.
        embedded: What was compared.
        open_set: The thresholds of the bundle or the gallery; None for a network without one.
        without_thresholds: What is said where `open_set` has none.
        thumbnails: Small JPEGs of the references, where these are kept and not their files.
        standard: What the papers print that use the data set, by their protocol; None where there is none.
    """

    name: str
    identification: Identification
    manifest: Manifest
    protocol: Protocol
    split: str
    camera_rule: bool
    about: dict[str, Any]
    embedded: Embedded = field(repr=False)
    open_set: OpenSet | None = field(default=None, repr=False)
    without_thresholds: str = field(default="the bundle has none", repr=False)
    thumbnails: Sequence[bytes] | None = field(default=None, repr=False)
    standard: StandardFigures | None = field(default=None, repr=False)

    @property
    def metrics(self) -> dict[str, float]:
        """Name -> value; see `Identification`."""
        return self.identification.metrics

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Name -> 95 % interval, where there is one."""
        return self.identification.intervals

    @cached_property
    def unknown_queries(self) -> UnknownQueries | None:
        """How well queries of labels without a reference are told from the others; None where there are none."""
        return unknown_queries(self.identification.result, self.open_set, self.without_thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: where the figures come from, the figures, and those of every label."""
        per_label = self.identification.result.per_label().astype(object)
        rows = per_label.where(per_label.notna(), None).to_dict("records")
        copies = self.protocol.copies
        about = {
            **self.about,
            "split": self.split,
            "copies_of_queries": copies,
            "keep_copies": self.protocol.copies_kept,
            **({"tracklets": asdict(self.protocol.tracklets)} if self.protocol.tracklets else {}),
        }
        figures = self.identification.to_dict()
        unknown = {"open_set": self.unknown_queries.to_dict()} if self.unknown_queries else {}
        standard = {"standard": self.standard.to_dict()} if self.standard else {}
        return {"headline": figures.pop("headline"), **about, **standard, **figures, **unknown, "per_label": rows}

    @property
    def stranger(self) -> str:
        """What to know first of a model that was trained on none of these labels; "" where it shares one."""
        if self.about.get("labels_in_common") != 0:
            return ""
        data = visible_line(str(self.about.get("data") or self.manifest.root))
        return f"{self.name} was trained on none of the labels of {data}: is this the data set you mean?"

    def __str__(self) -> str:
        unknown = str(self.unknown_queries) if self.unknown_queries else ""
        standard = str(self.standard) if self.standard else ""
        return "\n".join(filter(None, [self.stranger, str(self.identification), unknown, standard]))

    def __repr__(self) -> str:
        names = ("accuracy", "map")
        figures = ", ".join(f"{name} {self.metrics[name]:.4f}" for name in names if name in self.metrics)
        return f"Assessment({self.name!r} on {self.split}, {len(self.protocol.queries)} queries: {figures})"

    def _repr_html_(self) -> str:
        """In a notebook: every figure with its interval, and the worst queries beside their neighbours."""
        worst = worst_rows(self.identification.result.per_query)[:_WORST_SHOWN]
        pictures = [[cell.shown() for cell in self._cells(int(row), _NEAR_SHOWN)] for row in worst]
        return snippet(repr(self), metric_table(self.metrics, self.intervals), pictures)

    def table(self) -> pd.DataFrame:
        """A row per query: its path and camera, what `RetrievalResult.per_query` holds, and its nearest references.

        A tracklet goes by its first image, and `images` says how many it has.

        Further columns of the queries' own table stand last.
        """
        result, references = self.identification.result, self.protocol.references
        queries = self.protocol.queries.reset_index(drop=True)
        paths = references["path"].to_numpy(object)
        near = [[str(paths[row]) for row in rows if row >= 0] for rows in result.neighbours]
        columns = {name: queries[name] for name in ("path", "camera", "images") if name in queries}
        whole = {"accuracy_whole@1": self.identification.whole.per_query["accuracy@1"]}
        extra = {} if self.identification.whole is result else whole
        table = pd.DataFrame({**columns, **result.per_query, **extra, "neighbours": near})
        carried = {name if name not in table else f"data.{name}": queries[name] for name in self.manifest.carried}
        return table.assign(**carried)

    def write(self, report: str | Path, worst: int = 20, source: str = "") -> list[Path]:
        """Writes the report (JSON), the table (Parquet) and the picture of the worst queries; returns their paths.

        What an earlier call wrote there is replaced; what stands there besides is kept under a dated name.

        Args:
            report: The report, whose name ends in `.json`; the others lie beside it.
            worst: How many queries are drawn; 0 for no picture.
            source: See `lookalike.outputs.own_name`.

        Raises:
            LookalikeError: Another ending, or a number below 0.
        """
        report = at_home(Path(report))
        if report.suffix != ".json":
            raise LookalikeError(
                f"{report}: expected a report whose name ends in .json: its table and picture lie beside it"
            )
        if worst < 0:
            raise LookalikeError(f"worst={worst}: expected how many queries are drawn, 0 for none")
        report, table, picture = files_of(report)
        contents = {report: as_json(self.to_dict()), table: self.table().to_parquet(index=False)}
        chosen = worst_rows(self.identification.result.per_query)[:worst]
        if len(chosen):
            drawn = draw_rows([self._cells(int(row), _DRAWN) for row in chosen])
            handle = BytesIO()
            drawn.save(handle, format="PNG")
            contents[picture] = handle.getvalue()
        write_files(report, contents, source)
        return list(contents)

    def _cells(self, row: int, most: int) -> list[Cell]:
        """The query and its nearest neighbours."""
        result, references = self.identification.result, self.protocol.references
        query, facts = self.protocol.queries.iloc[row], result.per_query.iloc[row]
        first = f"first right at {facts['first_positive']}" if facts["positives"] else "no valid positive"
        cells = [self._cell(self.protocol.queries.iloc[[row]], first)]
        neighbours = zip(result.neighbours[row, :most], result.neighbour_similarity[row, :most], strict=True)
        for rank, (near, similarity) in enumerate(neighbours, start=1):
            if near >= 0:
                other = references.iloc[int(near)]
                note = f"{rank}.  similarity {similarity:.3f}"
                right = bool(other["label"] == query["label"])
                kept = self.thumbnails[int(near)] if self.thumbnails is not None else b""
                cells.append(self._cell(references.iloc[[int(near)]], note, right, kept))
        return cells

    def _cell(self, row: pd.DataFrame, note: str, right: bool | None = None, kept: bytes = b"") -> Cell:
        """One row of the data set, only its box where it has one; or the small picture that is kept of it."""
        facts = row.iloc[0]
        if kept:
            return Cell(kept, _who(facts), note, right)
        return Cell(self.manifest.file(facts["path"]), _who(facts), note, right, boxes_of(row)[0])


def files_of(report: Path) -> tuple[Path, Path, Path]:
    """What `Assessment.write` writes: the report, and the table and the picture beside it."""
    return report, report.with_suffix(".parquet"), report.with_name(f"{report.stem}-worst.png")


def assess(
    encoder: Encoder,
    name: str,
    manifest: Manifest,
    split: str,
    rules: Rules,
    about: dict[str, Any],
    open_set: OpenSet | None = None,
) -> Assessment:
    """Measures an encoder on a split of a data set: the one way to a number, whatever the encoder was made from.

    Args:
        encoder: The network.
        name: Of the model.
        manifest: The data set.
        split: train, validation or test.
        rules: How embeddings are compared.
        about: Where the encoder comes from, plain values.
        open_set: The thresholds of its bundle; None where it has none.

    Raises:
        ManifestError: An empty split, no query with a valid positive, or missing cameras.
        ImageError: An image cannot be used.
    """
    protocol = manifest.protocol(split)
    if rules.camera_rule:
        need_cameras(manifest, protocol)
    protocol = multi_query(manifest, protocol, rules.pool)
    pooling = pooling_of(protocol, rules.pool)  # what is wrong with tracklets, or times, is said before the work
    if rules.time_rules:
        (pooling.protocol if pooling else protocol).problem(rules.camera_rule, rules.time_rules)
    made = measure_protocol(manifest, protocol, embed_protocol(encoder, manifest, protocol), rules, pooling)
    return Assessment(
        name,
        made.identification,
        manifest,
        made.protocol,
        split,
        rules.camera_rule,
        about,
        Embedded(made.queries, made.references),
        open_set,
        standard=made.standard,
    )


def worst_rows(per_query: pd.DataFrame) -> np.ndarray:
    """Rows of the queries with a positive, lowest average precision first."""
    matched = per_query[per_query["positives"] > 0]
    order = matched.sort_values(["map", "accuracy@1", "similarity"], kind="stable").index
    rows: np.ndarray = order.to_numpy()
    return rows


def _who(row: pd.Series) -> str:
    camera = "" if pd.isna(row["camera"]) else f", cam {row.get('camera_name') or row['camera']}"
    return f"{row['label']}{camera}"
