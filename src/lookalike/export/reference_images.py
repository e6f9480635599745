"""The images of a bundle's references, found again to be embedded by another graph.

Letters in shapes: N rows, R references, D embedding.
"""

import numpy as np
import pandas as pd

from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.evaluation.thresholds import same_images
from lookalike.export.nncf_int8 import QuantizeError
from lookalike.inference.encoder import Encoder
from lookalike.inference.references import References
from lookalike.metrics.evenly import evenly

_CHECKED = 16  # images that are embedded once more in float32
_SAME = 0.001  # cosine by which another embedding may be nearer to one of them than its own


class ReferenceImages:
    """The images that a bundle's references were made of.

    They are the training images of the data set (with their boxes, wherever that stands now) and those of validation
    that joined them, or else files where the references say they are.

    Args:
        references: Of the bundle.
        manifest: The data set.
        joined: How many of the references, the last ones, are of validation.
    """

    def __init__(self, references: References, manifest: Manifest, joined: int = 0) -> None:
        rows = pd.concat([manifest.gallery_rows, manifest.joining_rows]) if joined else manifest.gallery_rows
        self.trained = len(references) - joined
        of_data = references.paths == rows["path"].tolist() and references.labels == rows["label"].tolist()
        self.references = references
        self.boxes = boxes_of(rows) if of_data else [None] * len(references)
        self.root = manifest.root.resolve() if of_data else references.root
        self.files = [self.root / path for path in references.paths]

    def check(self, float32: Encoder) -> None:
        """Whether the images are still there and still the same.

        Raises:
            QuantizeError: Some are gone, or others than those that the references were made of.
        """
        self._refuse({row: f"{file}: no such file" for row, file in enumerate(self.files) if not file.is_file()})
        rows = evenly(len(self.files), _CHECKED).tolist()
        now = self._embed(float32, rows)
        similarity = now @ self.references.embeddings.T
        own = similarity[np.arange(len(rows)), rows]
        nearer = similarity.max(1) - own  # 0 but for rounding, and for duplicates
        if not nearer.max() <= _SAME:
            worst = int(nearer.argmax())
            raise QuantizeError(
                f"{self.files[rows[worst]]}: not the image that is in the bundle's gallery: expected it to be nearest "
                f"to its own embedding, found cosine {own[worst]:.4f} to that and {similarity[worst].max():.4f} to "
                "another: put the images (and boxes) back, or train again"
            )

    def embed(self, encoder: Encoder, protocol: Protocol, references: np.ndarray) -> References:
        """The same references by another encoder; `references` [R, D] are used where they are the same images."""
        if not same_images(self.references.first(self.trained), protocol):
            embeddings = self._embed(encoder, list(range(len(self.files))))
        elif self.trained == len(self.files):
            embeddings = references
        else:
            joined = list(range(self.trained, len(self.files)))
            embeddings = np.concatenate([references, self._embed(encoder, joined)])
        labels, paths = self.references.labels, self.references.paths
        return References(embeddings, labels, paths, self.root, encoder.fingerprint, encoder.precision)

    def _embed(self, encoder: Encoder, rows: list[int]) -> np.ndarray:
        errors: dict[int, str] = {}
        embeddings = encoder.embed([self.files[row] for row in rows], [self.boxes[row] for row in rows], errors=errors)
        self._refuse(errors)
        return embeddings

    def _refuse(self, errors: dict[int, str]) -> None:
        if errors:
            raise QuantizeError(
                f"the bundle's gallery is embedded again: expected its {len(self.files)} images below {self.root}, "
                f"found {len(errors)} that cannot be read (first: {next(iter(errors.values()))}): put them back, or "
                "give data.root=<the data set the bundle was trained on>"
            )
