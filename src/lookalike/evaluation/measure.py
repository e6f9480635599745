"""Embeddings of a protocol to every figure of it, those of the papers among them: the same wherever it is measured.

Letters in shapes: Q queries, R references, D embedding.
"""

from dataclasses import dataclass

import numpy as np

from lookalike.console import say
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.evaluation.identify import Identification, Rules, identify
from lookalike.evaluation.standard import StandardFigures, first_view, standard_figures
from lookalike.evaluation.tracklets import Pooling, pooled


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured, and on what: by tracklets or a drawn gallery that is not what was embedded.

    Attributes:
        identification: The figures.
        standard: What the papers print that use the data set; None where there is none, or the rules are others.
        protocol: Who asked and who answered.
        queries: float32 [Q, D].
        references: float32 [R, D].
    """

    identification: Identification
    standard: StandardFigures | None
    protocol: Protocol
    queries: np.ndarray
    references: np.ndarray


def measure_protocol(
    manifest: Manifest,
    protocol: Protocol,
    embedded: tuple[np.ndarray, np.ndarray],
    rules: Rules,
    pooling: Pooling | None = None,
) -> Measured:
    """Pools what is to be pooled, draws what is to be drawn, and measures.

    Args:
        manifest: The data set.
        protocol: Of one of its splits, image by image.
        embedded: The embeddings of its queries and references.
        rules: How embeddings are compared.
        pooling: See `pooling_of`.

    Raises:
        ManifestError: No query has a valid positive, or no gallery can be drawn.
    """
    standard, figures = manifest.standard if protocol.split == "test" else None, None
    queries, references, protocol = pooled(*embedded, protocol, pooling)
    if standard and standard.draws:
        figures = standard_figures(manifest, rules, protocol=protocol, references=references)
        protocol, queries, references = first_view(manifest, protocol, references, rules.pool)
    identification = identify(queries, references, protocol, rules)
    if standard and not standard.draws:
        figures = standard_figures(
            manifest,
            rules,
            result=identification.result,
            protocol=protocol,
            queries=queries,
            references=references,
        )
    if standard and not figures:
        say(
            f"{manifest.root}: not as papers on {manifest.layout} measure it, as camera_rule, a rule of times, rerank "
            "or pool is another"
        )
    return Measured(identification, figures, protocol, queries, references)
