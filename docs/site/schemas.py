"""The JSON schemas under `docs/schemas`, from the models of what the product writes: `python docs/site/schemas.py`."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lookalike.inference.bundle_config import BundleConfig
from lookalike.inference.prediction_json import PredictionsJson
from lookalike.terminal import AnswerJson

FOLDER = Path(__file__).parents[1] / "schemas"
NAMES: dict[str, Any] = {  # the number is that of the format
    "answer.1": AnswerJson,
    "bundle.2": BundleConfig,
    "predictions.1": PredictionsJson,
}


def schema_text(name: str) -> str:
    """The content of `docs/schemas/<name>.schema.json`.

    Args:
        name: Of `NAMES`.
    """
    content = TypeAdapter(NAMES[name]).json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"lookalike {name}"}
    return json.dumps({**content, **head}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in NAMES:
        (FOLDER / f"{each}.schema.json").write_text(schema_text(each), encoding="utf-8")
