"""lookalike: train, measure and search image embeddings.

    from lookalike import Model, Gallery, Dataset, train, audit, evaluate

These names are loaded when they are first used: importing the package loads none of its parts, and nothing that serves
a model loads torch. The folders follow the pipeline; the first lines of each list its modules in reading order.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# OpenVINO and NNCF report their use to Google Analytics on import; absent, they take their own silent stand-ins.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
# Before albumentations is imported: it would look for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lookalike.api import audit, train
    from lookalike.auditing.audit import Audit
    from lookalike.data.dataset import Dataset
    from lookalike.errors import LookalikeError
    from lookalike.evaluation.assessment import Assessment
    from lookalike.gallery.gallery import Gallery
    from lookalike.inference.explanation import Explanation
    from lookalike.inference.neighbour import Neighbour
    from lookalike.inference.predict import Prediction, Predictions
    from lookalike.metrics.evaluate import evaluate
    from lookalike.metrics.result import RetrievalResult
    from lookalike.model import Model
    from lookalike.serving.client import Client
    from lookalike.serving.connection import ServiceError
    from lookalike.sharing.travel import pull, push

_PLACES = {
    "Assessment": "evaluation.assessment",
    "Audit": "auditing.audit",
    "Client": "serving.client",
    "Dataset": "data.dataset",
    "Explanation": "inference.explanation",
    "Gallery": "gallery.gallery",
    "LookalikeError": "errors",
    "Model": "model",
    "Neighbour": "inference.neighbour",
    "Prediction": "inference.predict",
    "Predictions": "inference.predict",
    "RetrievalResult": "metrics.result",
    "ServiceError": "serving.connection",
    "audit": "api",
    "pull": "sharing.travel",
    "push": "sharing.travel",
    "evaluate": "metrics.evaluate",
    "train": "api",
}
__all__ = [
    "Assessment",
    "Audit",
    "Client",
    "Dataset",
    "Explanation",
    "Gallery",
    "LookalikeError",
    "Model",
    "Neighbour",
    "Prediction",
    "Predictions",
    "RetrievalResult",
    "ServiceError",
    "audit",
    "evaluate",
    "pull",
    "push",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"lookalike.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
