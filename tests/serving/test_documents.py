"""Options for the OpenAPI document, whichever way they are sent."""

from lookalike.serving.documents import asked_by_body, asked_by_form, asked_by_path, asked_by_query
from lookalike.serving.options import AddOptions, ImagesOptions, PredictOptions, RenameOptions


def test_a_form_or_one_image_with_an_address() -> None:
    made = asked_by_form(PredictOptions)
    content = made["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert form["properties"]["image"]["items"] == {"type": "string", "format": "binary"}
    assert set(form["properties"]) == {"image", *PredictOptions.model_fields}
    assert content["image/*"]["schema"] == {"type": "string", "format": "binary"}
    assert [(part["name"], part["in"], part["required"]) for part in made["parameters"]] == [
        (name, "query", False) for name in PredictOptions.model_fields
    ]
    assert (
        "label" not in asked_by_form(AddOptions)["requestBody"]["content"]["multipart/form-data"]["schema"]["required"]
    )


def test_a_body() -> None:
    schema = asked_by_body(RenameOptions)["requestBody"]["content"]["application/json"]["schema"]
    assert (schema["required"], schema["additionalProperties"]) == (["label", "to"], False)


def test_an_address() -> None:
    parameters = {part["name"]: part for part in asked_by_query(ImagesOptions)["parameters"]}
    assert [(name, part["required"]) for name, part in parameters.items()] == [
        ("label", True),
        ("first", False),
        ("most", False),
    ]
    assert parameters["most"]["schema"]["maximum"] == 10_000


def test_a_part_of_a_path() -> None:
    (part,) = asked_by_path("number", "of the image")["parameters"]
    assert (part["name"], part["in"], part["required"], part["description"]) == ("number", "path", True, "of the image")
