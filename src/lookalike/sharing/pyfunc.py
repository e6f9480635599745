"""A bundle as MLflow calls it: its loader names this module, so nothing is pickled, and no torch is loaded.

In goes a column `image` of encoded images (JPEG, PNG, ...: bytes), out come `label`, `score`, `neighbours`,
`similarities` and `error`, and `embedding` where it is asked for. Paths are not taken: a server
would read its own files for strangers.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.model import Model

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

NEIGHBOURS = 10
MODULE = __name__


class BundleFunction:
    """What MLflow calls.

    Args:
        path: The folder of the bundle.
    """

    def __init__(self, path: str) -> None:
        self.model = Model.load(Path(path))

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Names images and embeds them.

        Args:
            model_input: A column `image` of bytes, B rows.
            params: `k`: neighbours, at least 1; `embeddings`: whether embeddings are wanted, too.

        Returns:
            B rows: label (text; `unknown` where the bundle says so), score, neighbours (k labels), similarities (k
            cosines), error (text, empty where the image could be used); embedding: D numbers of unit length.

        Raises:
            LookalikeError: There is no such column, or k is none.
        """
        if "image" not in getattr(model_input, "columns", ()):
            raise LookalikeError("expected a column image of encoded images (bytes), found none: name the column image")
        images = [_bytes_of(value) for value in model_input["image"]]
        wanted = {"k": NEIGHBOURS, "embeddings": False} | (params or {})
        rows = [
            {
                "label": prediction.label or "",
                "score": float("nan") if prediction.score is None else prediction.score,
                "neighbours": [neighbour.label for neighbour in prediction.neighbours],
                "similarities": [float(neighbour.similarity) for neighbour in prediction.neighbours],
                "error": prediction.error or "",
            }
            for prediction in self.model.predict(images, k=min(int(wanted["k"]), len(self.model.references)))
        ]
        answer = pd.DataFrame(
            rows, index=model_input.index, columns=["label", "score", "neighbours", "similarities", "error"]
        )
        if wanted["embeddings"]:
            answer["embedding"] = self.model.embed(images, errors={}).astype(np.float64).tolist()
        return answer


def _bytes_of(value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise LookalikeError(
        f"image: expected the bytes of an encoded image, found {type(value).__name__}: read the file, such as "
        "Path('new.jpg').read_bytes()"
    )


def _load_pyfunc(path: str) -> BundleFunction:
    """MLflow's own name for how a model is loaded.

    Args:
        path: The folder of the bundle.
    """
    return BundleFunction(path)


def signature() -> "ModelSignature":
    """What goes in and comes out, in MLflow's types."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, DataType

    numbers, texts = Array(DataType.double), Array(DataType.string)
    columns: dict[str, str | Array] = {
        "label": "string",
        "score": "double",
        "neighbours": texts,
        "similarities": numbers,
        "error": "string",
    }
    outputs = [ColSpec(kind, name) for name, kind in columns.items()]
    return ModelSignature(
        inputs=Schema([ColSpec("binary", "image")]),
        outputs=Schema([*outputs, ColSpec(numbers, "embedding", required=False)]),
        params=ParamSchema([ParamSpec("k", "integer", NEIGHBOURS), ParamSpec("embeddings", "boolean", False)]),
    )
