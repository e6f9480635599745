"""Images and options of a request, from its body and its address; nothing of it is written to a disk."""

import json
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lookalike.files import readable
from lookalike.serving.refusals import RefusalError

_MOST_FIELDS = 32
_MOST_TEXT = 1 << 18  # bytes of one field, such as 64 labels of 1,000 letters
_MOST_JSON, _MOST_VALUES, _MOST_LISTS = 1 << 25, 4_000_000, 100_000  # a thousand long embeddings; all else is less
_MOST_NAMES = 100  # of columns
_MOST_NAME = 200  # letters of a file's name
_FILES = ("image", "images")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_Value = TypeVar("_Value")
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


assert hasattr(MultiPartParser, "spool_max_size"), "starlette 0.46 or later: else images would be written to a disk"


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 32  # bodies are limited before: no file is made of them

    @property
    def too_many(self) -> bool:
        """Whether more files came than may."""
        return self._current_files > int(self.max_files)

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None and _text_of(bytes(part.data)) is None:
            raise MultiPartException(f"{part.field_name[:_MOST_NAME]}: no UTF-8")
        super().on_part_end()


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
    body = await request.body()
    for least, text, most in (
        (len(body), "bytes", _MOST_JSON),
        (body.count(b","), "values", _MOST_VALUES),
        (body.count(b"[") + body.count(b"{"), "lists and objects", _MOST_LISTS),
    ):
        if least > most:
            raise RefusalError(413, "too_large", f"the body: expected JSON of at most {most} {text}: send it in parts")
    try:
        values = _from_json(body.removeprefix(BOM_UTF8).decode())
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "json", f"the body is no JSON ({_first(error)}): send an object") from error
    return checked(kind, values, strict=True)


def query_of(request: Request, kind: type[_Options]) -> _Options:
    """What stands in the address of a request, checked.

    Args:
        request: Its body is not looked at.
        kind: What is expected.

    Raises:
        RefusalError: A name is unknown or stands there twice, or a value is of another kind.
    """
    return checked(kind, _once(list(request.query_params.multi_items())))


def checked(kind: type[_Options], values: object, *, strict: bool = False) -> _Options:
    """Values as the options that they are.

    Args:
        kind: What is expected.
        values: Plain.
        strict: They are of JSON, which has numbers and truths of its own: no text stands for them.

    Raises:
        RefusalError: A name is unknown, or a value is of another kind; the text names up to five.
    """
    expected = f"Extra inputs are not permitted; expected {', '.join(kind.model_fields) or 'none'}"
    if isinstance(values, dict) and len(values) > len(kind.model_fields):
        name = next(name for name in values if name not in kind.model_fields)
        raise RefusalError(422, "options", f"{name}: {expected}")
    try:
        return kind.model_validate(values, strict=strict)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
            name = ".".join(map(str, problem["loc"])) or "the body"
            problems.append(f"{name}: {expected if problem['type'] == 'extra_forbidden' else problem['msg']}")
        raise RefusalError(422, "options", "; ".join(problems)) from error


async def _parts(request: Request, body: bytes, most: int) -> list[tuple[str, str | UploadFile]]:
    boundary = _boundary_of(request.headers["content-type"])

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = _InMemory(headers, stream(), max_files=most, max_fields=_MOST_FIELDS, max_part_size=_MOST_TEXT)
    try:
        end = f"--{boundary}--".encode()
        if not body.startswith(end) and body.rfind(b"\r\n" + end) < 0:
            raise MultiPartException("the end of the form is missing")
        return list((await parser.parse()).multi_items())
    except MultiPartException as error:
        if parser.too_many:
            text = f"expected at most {most} images in a request, got more: send them in several requests, or start "
            text += "the service with a larger max_images="
            raise RefusalError(413, "too_many_images", text, fields={"most": most}) from error
        raise RefusalError(
            400, "form", f"the form cannot be read ({error.message}): send it as curl -F and browsers do"
        ) from error


def _boundary_of(content_type: str) -> str:
    """What stands between the parts of a form."""
    _, parameters = parse_options_header(content_type)
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8"):
        raise RefusalError(415, "content_type", f"charset: expected utf-8, got {charset[:40]}: send text in UTF-8")
    boundary = parameters.get(b"boundary", b"").decode("latin-1")
    if not _BOUNDARY.fullmatch(boundary):
        reason = f"Missing boundary, expected 1 to 70 letters, got {boundary[:80] or 'none'}"
        raise RefusalError(400, "form", f"the form cannot be read ({reason}): let the client set its Content-Type")
    return boundary


def _once(items: list[tuple[str, _Value]]) -> dict[str, _Value]:
    values = dict(items)
    if len(values) < len(items):
        [(name, _)] = Counter(name for name, _ in items).most_common(1)
        raise RefusalError(422, "options", f"{name}: is given twice: give it once")
    return values


def _as_json(name: str, text: str, kind: type[Options]) -> Any:
    """Text of a field that holds an object or a list."""
    field = kind.model_fields.get(name)
    if field is None or not (field.json_schema_extra or {}) or not text.strip():
        return text
    try:
        return _from_json(text)
    except (ValueError, RecursionError) as error:
        raise RefusalError(
            422, "options", f'{name}: expected JSON such as {{"label": "Kiwi"}}, got {text[:60]!r}'
        ) from error


def _text_of(content: bytes) -> str | None:
    """As UTF-8, None for what is none."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _from_json(text: str) -> Any:
    """What it says, where all readers would understand the same.

    Raises:
        ValueError: It is no JSON, holds a name twice, a number that is none, or half of a character.
        RecursionError: It is nested too deep.
    """
    values = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    if _HALF.search(text):
        json.dumps(values, ensure_ascii=False).encode()  # a pair of halves is whole
    return values


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


def few(values: object) -> object:
    """An object of not too many names, before each of them is looked at.

    Args:
        values: As they came.

    Raises:
        ValueError: There are more.
    """
    if isinstance(values, dict) and len(values) > _MOST_NAMES:
        raise ValueError(f"at most {_MOST_NAMES} names, got {len(values)}")
    return values


JSON_TEXT: dict[str, Any] = {"contentMediaType": "application/json"}


def json_field(description: str) -> Any:
    """A field whose text is JSON.

    Args:
        description: Of it.
    """
    return Field(default=None, description=description, json_schema_extra=JSON_TEXT)
