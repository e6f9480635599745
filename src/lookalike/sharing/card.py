"""The card of a bundle as the Hub reads it: licence, tags and figures on top, and whose licence binds whom below."""

import re
from dataclasses import dataclass
from pathlib import Path

from lookalike.inference.bundle import CARD, Bundle

_TOP = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
_LICENCES = re.compile(r"\n+## Licences\n.*?(?=\n## |\Z)", re.DOTALL)
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_TASK = "image-feature-extraction"
_TAGS = ("image-retrieval", "metric-learning", "embeddings")
_FIGURES = {
    "accuracy@1": "accuracy",
    "map": "mean_average_precision",
    "cmc@1": "cmc",
    "minp": "mean_inverse_negative_penalty",
}


@dataclass(frozen=True)
class Licences:
    """What may be done with a model.

    Attributes:
        data: Of the photographs it learnt from: an identifier such as `cc-by-4.0`, or words.
        model: Of the model itself.
        data_name: Of the photographs.
    """

    data: str
    model: str
    data_name: str


def licences_of(bundle: Bundle, data: str, model: str | None, data_name: str | None) -> Licences:
    """What was given, and what follows of it.

    Args:
        bundle: Whose model it is.
        data: See `Licences`.
        model: None for the same.
        data_name: None for the name of the folder or table it was trained on.
    """
    root = str(bundle.config.training.settings.get("data", {}).get("root", "") or "")
    return Licences(data, model or data, data_name or Path(root).stem or "photographs of its own")


def hub_card(bundle: Bundle, name: str, licences: Licences) -> str:
    """The bundle's card with what the Hub reads on top of it.

    Args:
        bundle: Whose card it is; one that was made here before is renewed.
        name: Of the model.
        licences: Of data and model.

    Returns:
        Markdown that begins with YAML between two lines of ---.
    """
    from huggingface_hub import EvalResult, ModelCardData

    measured = bundle.config.metrics.get("validation")
    figures = dict(measured.metrics) if measured else {}
    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type="custom",
            dataset_name=f"{licences.data_name}, split validation",
            dataset_split="validation",
            metric_type=kind,
            metric_name="mAP" if figure == "map" else figure,
            metric_value=round(float(figures[figure]), 6),
        )
        for figure, kind in _FIGURES.items()
        if figures.get(figure) is not None
    ]
    identified = bool(_IDENTIFIER.fullmatch(licences.model))
    data = ModelCardData(
        license=licences.model if identified else "other",
        license_name=None if identified else licences.model,
        library_name="lookalike",
        pipeline_tag=_TASK,
        tags=[*_TAGS, bundle.config.model.backbone],
        model_name=name,
        eval_results=results or None,
    )
    text = (bundle.path / CARD).read_text(encoding="utf-8")
    body = _LICENCES.sub("", _TOP.sub("", text)).strip()
    return f"---\n{data.to_yaml()}\n---\n\n{body}\n\n{_section(bundle, licences)}"


def _section(bundle: Bundle, licences: Licences) -> str:
    first = bundle.config.model.weights_source or "random"
    return (
        "## Licences\n\n"
        f"- The photographs it learnt from ({licences.data_name}): {licences.data}.\n"
        f"- This model: {licences.model}.\n"
        f"- Its first weights ({first}) come with a licence of their own.\n"
    )
