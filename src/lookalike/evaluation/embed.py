"""Rows of a data set to embeddings.

Letters in shapes: N rows, Q queries, R references, D embedding.
"""

import numpy as np
import pandas as pd

from lookalike.console import progress
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.inference.encoder import Encoder


def embed_rows(
    encoder: Encoder, manifest: Manifest, rows: pd.DataFrame, title: str, errors: dict[int, str] | None = None
) -> np.ndarray:
    """Embeds rows of a manifest, float32 [N, D]; see `Encoder.embed` for `errors`."""
    with progress(f"embedding {title}", len(rows)) as advance:
        files = [manifest.file(path) for path in rows["path"]]
        return encoder.embed(files, boxes_of(rows), errors=errors, progress=advance)


def embed_protocol(encoder: Encoder, manifest: Manifest, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Embeds the queries, float32 [Q, D], and the references [R, D] of a protocol; what is both is embedded once.

    Raises:
        ImageError: An image cannot be used.
    """
    references = embed_rows(encoder, manifest, protocol.references, "references")
    if (protocol.own_row >= 0).all():
        own = protocol.references.iloc[protocol.own_row]
        if own.index.equals(protocol.queries.index):
            return references[protocol.own_row], references
    return embed_rows(encoder, manifest, protocol.queries, "queries"), references
