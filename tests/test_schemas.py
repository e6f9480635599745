"""The published JSON schemas are those of the code, and what the product really writes is valid by them."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from lookalike import Model
from lookalike.cli.main import main

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
_MAKER = FOLDER.parent / "site" / "schemas.py"
_SPEC = importlib.util.spec_from_file_location("documentation_schemas", _MAKER)
assert _SPEC
assert _SPEC.loader
schemas = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(schemas)


def check(name: str, content: object) -> None:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_files_are_those_of_the_models(name: str) -> None:
    text = (FOLDER / f"{name}.schema.json").read_text("utf-8")
    assert text == schemas.schema_text(name), "run python docs/site/schemas.py"


def test_no_schema_is_there_that_nothing_makes() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == {f"{name}.schema.json" for name in schemas.NAMES}


def test_what_is_written_is_valid(
    bundle_path: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    check("bundle.2", json.loads((bundle_path / "config.json").read_text("utf-8")))
    command = ["predict", f"bundle={bundle_path}", f"image={digits / 'test'}", f"output={tmp_path}", "device=cpu"]
    assert main([*command, "false_accept_rate=0.2", "picture_rows=0", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    check("answer.1", answer)
    (written,) = map(Path, answer["written"])
    content = json.loads(written.read_text("utf-8"))
    check("predictions.1", content)
    assert answer["result"]["predictions"] == content
    prediction = Model.load(bundle_path, device="cpu").predict(sorted((digits / "test").rglob("*.png"))[:2], k=3)
    check("predictions.1", json.loads(json.dumps(prediction.to_dict())))


def test_what_is_not_valid_is_seen() -> None:
    with pytest.raises(jsonschema.ValidationError, match="'items' is a required property"):
        check("predictions.1", {"created": "now", "bundle": "b", "fingerprint": "f", "k": 3})
