"""What all settings share: ranges with a name, and how the text of the command line becomes values."""

import csv
from math import nan
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from lookalike.errors import LookalikeError
from lookalike.settings.split_names import SPLITS, split_named

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Degrees = Annotated[float, Field(gt=0, lt=180)]
Unit = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0, le=1)]
Off = Literal["off"]
Side = Annotated[int, Field(ge=8, le=4096)]
SHARE_EXPECTED = "expected a share above 0 and below 1, such as 0.05, or off"
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _as_split(value: object) -> object:
    """Our name of a split; what is none is left to the next check."""
    return split_named(value) or value if isinstance(value, str) else value


Split = Annotated[Literal["train", "validation", "test"], BeforeValidator(_as_split)]


def split_of(name: str) -> str:
    """Our name of a split, as settings read it.

    Args:
        name: As a program gave it: also `val` or `valid`, in any case.

    Raises:
        LookalikeError: There is no such split.
    """
    split = _as_split(name)
    if split not in SPLITS:
        raise LookalikeError(f"split={name!r}: expected train, validation (also val, valid) or test")
    return str(split)


def number_or_off(low: float, high: float) -> PlainValidator:
    """Takes a number from `low` to `high`, `off`, or nothing."""

    def read(value: object) -> float | str | None:
        if value is None or value == "off":
            return value
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise PydanticCustomError("number_or_off", "expected {low} to {high}, or off", {"low": low, "high": high})
        return number

    return PlainValidator(read)


def _as_share(value: object) -> float | str | None:
    """A share between 0 and 1, `off`, or nothing."""
    if value is None or value == "off":
        return value
    try:
        number = float(str(value))
    except ValueError:
        number = nan
    if not 0 < number < 1:
        raise PydanticCustomError("share_or_off", SHARE_EXPECTED)
    return number


share_or_off = PlainValidator(_as_share)


def _read_text(value: object, kind: object) -> object:
    if not isinstance(value, str) or kind is str:
        return value
    if value == "null":
        return None
    if value == "{}" and get_origin(kind) is dict:
        return {}
    if _holds_list(kind) and value.startswith("[") and value.endswith("]"):
        if '"' in value and (parts := _quoted_list(value)) is not None:
            return parts
        return [part.strip(" '\"") for part in value[1:-1].split(",") if part.strip()]
    return value


def list_or_text(value: object) -> object:
    """A text in brackets as the list that it is."""
    return _read_text(value, list[str])


def _quoted_list(text: str) -> list[object] | None:
    """A list in which values with commas are quoted; names without quotes may stand beside them."""
    try:
        parts = next(csv.reader([text[1:-1]], skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration):
        return None
    return [part[1:-1] if part[:1] == part[-1:] == "'" else part for part in map(str.strip, parts)]


def _holds_list(kind: object) -> bool:
    return get_origin(kind) is list or any(_holds_list(part) for part in get_args(kind))


class Settings(BaseModel):
    """Refuses unknown names, changes after the check, and values that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values: object) -> object:
        """The command line gives text: `null` may mean no value, and `[a,b]` a list where one is asked for."""
        if not isinstance(values, dict):
            return values
        kinds = {name: field.annotation for name, field in cls.model_fields.items()}
        return {name: _read_text(value, kinds.get(name, str)) for name, value in values.items()}
