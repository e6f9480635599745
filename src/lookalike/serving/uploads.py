"""Images and options of a request, from its body and its address; nothing of it is written to a disk."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lookalike.files import readable
from lookalike.serving.refusals import RefusalError

_MOST_FIELDS = 32
_MOST_TEXT = 1 << 18  # bytes of one field, such as 64 labels of 1,000 letters
_MOST_NAME = 200  # letters of a file's name
_FILES = ("image", "images")
_Options = TypeVar("_Options", bound="Options")


class Options(BaseModel):
    """What stands beside the images of a request, as text; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Upload:
    """Images of a request.

    Attributes:
        images: The bytes of each file.
        names: The name of each, without folders; it is data, and no path.
        folders: What the client says of the folder of each, which may be its label; empty for most.
        fields: The other parts, and what stands in the address.
    """

    images: list[bytes]
    names: list[str]
    folders: list[str]
    fields: dict[str, str]

    def options(self, kind: type[_Options]) -> _Options:
        """The other parts, checked.

        Args:
            kind: What is expected.

        Raises:
            RefusalError: A name is unknown, or a value is of another kind.
        """
        return checked(kind, {name: _as_json(name, text, kind) for name, text in self.fields.items()})


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 32  # bodies are limited before: no file is made of them


async def read_upload(request: Request, most: int) -> Upload:
    """The images of a request: a form with files, or one image as the whole body.

    Args:
        request: Its body is in memory.
        most: Files in it.

    Raises:
        RefusalError: No image, too many, or a body of another kind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    fields = _once(list(request.query_params.multi_items()))
    body = await request.body()
    if kind.startswith("image/") or kind == "application/octet-stream":
        name = fields.pop("name", "")
        return Upload([body], [_as_name(name, 0)], [""], fields)
    if kind != "multipart/form-data":
        raise RefusalError(
            415,
            "content_type",
            f"Content-Type: expected multipart/form-data with files named image, or an image such as image/jpeg, got "
            f"{kind or 'none'}",
        )
    images: list[bytes] = []
    names: list[str] = []
    folders: list[str] = []
    for field, value in await _parts(request, body, most):
        if not isinstance(value, UploadFile):
            if field in fields:
                raise RefusalError(422, "options", f"{field}: is given twice: give it once")
            fields[field] = value
            continue
        if field not in _FILES:
            raise RefusalError(422, "options", f"{field}: expected files in parts named image, got one named {field}")
        images.append(await value.read())
        names.append(_as_name(value.filename or "", len(names)))
        folders.append(_as_text(PurePosixPath(value.filename or "").parent.name))
    if not images:
        raise RefusalError(422, "no_image", "no image came: send at least one file in a part named image")
    return Upload(images, names, folders, fields)


async def read_json(request: Request, kind: type[_Options]) -> _Options:
    """The body of a request as JSON, checked.

    Args:
        request: Its body is in memory.
        kind: What is expected.

    Raises:
        RefusalError: It is no JSON object, a name is unknown, or a value is of another kind.
    """
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_ != "application/json":
        raise RefusalError(
            415, "content_type", f"Content-Type: expected application/json, got {type_ or 'none'}: send JSON"
        )
    if request.query_params:
        name = next(iter(request.query_params))
        raise RefusalError(422, "options", f"{name}: expected in the body, found in the address: move it there")
    try:
        values = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "json", f"the body is no JSON ({_first(error)}): send an object") from error
    return checked(kind, values)


def query_of(request: Request, kind: type[_Options]) -> _Options:
    """What stands in the address of a request, checked.

    Args:
        request: Its body is not looked at.
        kind: What is expected.

    Raises:
        RefusalError: A name is unknown or stands there twice, or a value is of another kind.
    """
    return checked(kind, _once(list(request.query_params.multi_items())))


def checked(kind: type[_Options], values: object) -> _Options:
    """Values as the options that they are.

    Args:
        kind: What is expected.
        values: Plain.

    Raises:
        RefusalError: A name is unknown, or a value is of another kind; the text names up to five.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
            name = ".".join(map(str, problem["loc"])) or "the body"
            more = f"; expected {', '.join(kind.model_fields)}" if problem["type"] == "extra_forbidden" else ""
            problems.append(f"{name}: {problem['msg']}{more}")
        raise RefusalError(422, "options", "; ".join(problems)) from error


async def _parts(request: Request, body: bytes, most: int) -> list[tuple[str, str | UploadFile]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, stream(), max_files=most, max_fields=_MOST_FIELDS, max_part_size=_MOST_TEXT)
    try:
        return list((await parser.parse()).multi_items())
    except MultiPartException as error:
        raise RefusalError(
            400, "form", f"the form cannot be read ({error.message}): send at most {most} files and a proper boundary"
        ) from error


def _once(items: list[tuple[str, str]]) -> dict[str, str]:
    values = dict(items)
    if len(values) < len(items):
        name = next(name for name, _ in items if [other for other, _ in items].count(name) > 1)
        raise RefusalError(422, "options", f"{name}: is given twice: give it once")
    return values


def _as_json(name: str, text: str, kind: type[Options]) -> Any:
    """Text of a field that holds an object or a list."""
    field = kind.model_fields.get(name)
    if field is None or not (field.json_schema_extra or {}) or not text.strip():
        return text
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusalError(
            422, "options", f'{name}: expected JSON such as {{"label": "Kiwi"}}, got {text[:60]!r}'
        ) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _as_name(name: str, place: int) -> str:
    """The last part of what a client calls its file, whatever its system; it is only shown and stored as text."""
    last = PureWindowsPath(PurePosixPath(name).name).name.strip()
    return _as_text(last) or f"image {place + 1}"


def _as_text(name: str) -> str:
    return readable("".join(letter if letter.isprintable() else "?" for letter in name))[-_MOST_NAME:]


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


JSON_TEXT: dict[str, Any] = {"contentMediaType": "application/json"}


def json_field(description: str) -> Any:
    """A field whose text is JSON.

    Args:
        description: Of it.
    """
    return Field(default=None, description=description, json_schema_extra=JSON_TEXT)
