"""What a request holds, for the OpenAPI document: as a form with images, as JSON, or in the address."""

from typing import Any

from pydantic import BaseModel


def asked_by_form(options: type[BaseModel]) -> dict[str, Any]:
    """A form with files named `image`, or one image as the body and the options in the address.

    Args:
        options: Beside the images.
    """
    fields = _fields(options)
    image = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["image", *options.model_json_schema().get("required", [])],
        "properties": {"image": {"type": "array", "items": image}, **fields},
    }
    content = {"multipart/form-data": {"schema": form}, "image/*": {"schema": image}}
    parameters = [{"name": name, "in": "query", "required": False, "schema": field} for name, field in fields.items()]
    return {"requestBody": {"required": True, "content": content}, "parameters": parameters}


def asked_by_body(options: type[BaseModel]) -> dict[str, Any]:
    """JSON.

    Args:
        options: What it holds.
    """
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _inlined(options)}}}}


def asked_by_query(options: type[BaseModel]) -> dict[str, Any]:
    """In the address.

    Args:
        options: What stands there.
    """
    required = options.model_json_schema().get("required", [])
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in _fields(options).items()
        ]
    }


def asked_by_path(name: str, description: str) -> dict[str, Any]:
    """As a part of the path.

    Args:
        name: As it stands there.
        description: What it is.
    """
    schema = {"type": "string"}
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "description": description, "schema": schema}]
    }


def _inlined(options: type[BaseModel]) -> dict[str, Any]:
    """Its schema, without definitions elsewhere."""
    schema = options.model_json_schema()
    assert "$defs" not in schema, f"{options.__name__}: options hold plain values"
    return schema


def _fields(options: type[BaseModel]) -> dict[str, Any]:
    fields: dict[str, Any] = _inlined(options).get("properties", {})
    return fields
