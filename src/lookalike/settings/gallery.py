"""The settings of `lookalike gallery`, a class for each of its actions."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from lookalike.settings.paths import PathText, PlaceText
from lookalike.settings.types import Count, Settings
from lookalike.settings.verbs import Embedding, Precision, Workers, by_names

Place = Annotated[
    PlaceText, Field(description="folder of the gallery, or its address: postgresql://...?gallery=<name>")
]
Note = Annotated[str, Field(description="why, for the log")]
Bundle = Annotated[PathText | None, Field(description="the model that made it, if it moved; null = where it was")]
Device = Literal["auto", "cpu", "cuda"]
Text = Annotated[str, Field(min_length=1)]
Number = Annotated[int, Field(ge=1)]
Value = str | int | float | bool | None
_SPAN = re.compile(r"([0-9]{1,18})\s*-\s*([0-9]{1,18})")
_MOST = 1_000_000  # images in a span of numbers
KeepCopies = Annotated[bool, Field(description="enrol images once more that are there already: each of them votes")]


def _listed(value: object, info: ValidationInfo) -> object:
    """One value stands for a list of it."""
    if value == "":
        raise PydanticCustomError(
            "whole_line", "{name}: expected a value, got an empty text", {"name": str(info.field_name)}
        )
    return value if value is None or isinstance(value, list) else [value]


def _numbers(value: object, info: ValidationInfo) -> object:
    """Numbers of images: 7, [7,8], 7,8 or 7-9."""
    parts = _listed(value, info)
    if not isinstance(parts, list):
        return parts
    numbers: list[object] = []
    for part in (piece.strip() for whole in parts for piece in str(whole).split(",")):
        span = _SPAN.fullmatch(part)
        if span is None:
            numbers.append(part)
            continue
        first, last = int(span[1]), int(span[2])
        if not 0 <= last - first < _MOST:
            raise PydanticCustomError(
                "whole_line",
                "{name}={part}: expected the smaller number first, and at most {most} images: such as 7-9",
                {"name": str(info.field_name), "part": part, "most": _MOST},
            )
        numbers += range(first, last + 1)
    return numbers


def _camera(value: object) -> object:
    """A whole number; a name is no camera."""
    if value is None or isinstance(value, int) or str(value).strip().lstrip("+-").isdecimal():
        return value
    raise PydanticCustomError(
        "whole_line",
        "camera={value}: expected a whole number: keep a name as a column, columns.place={value}",
        {"value": str(value)[:200]},
    )


Numbers = Annotated[list[Number], Field(min_length=1), BeforeValidator(_numbers)]


class _Chosen(Settings):
    """Which images are meant: exactly one of label, image and source."""

    gallery: Place
    label: Annotated[list[Text] | None, BeforeValidator(_listed)] = Field(
        description="all images of it, or of several: [Kiwi,Leek]"
    )
    image: Numbers | None = Field(description="numbers of images, such as 7, 7,8 or 7-9")
    source: Text | None = Field(description="the path that images were enrolled from")
    note: Note


class _Named(Settings):
    """Which gallery is meant."""

    gallery: Place


class GalleryCreate(Embedding, _Named):  # the gallery stands first
    """Settings of `lookalike gallery create`."""


class GalleryAdd(Settings):
    """Settings of `lookalike gallery add`."""

    gallery: Place
    images: PathText = Field(
        description="a file, a folder, a quoted pattern, or a .csv, .tsv or .parquet table with path, label and more"
    )
    label: Text | None = Field(description="of all; null = the table's column, or the name of each file's folder")
    camera: Annotated[int | None, BeforeValidator(_camera)] = Field(
        description="what took all of them; null = the table's column, where it has one"
    )
    columns: Annotated[dict[str, Value], BeforeValidator(by_names)] = Field(
        description="what else is known of all of them: columns.<name>=<value>"
    )
    all_or_nothing: bool = Field(description="enrol nothing where an image cannot be used")
    keep_copies: KeepCopies
    note: Note
    bundle: Bundle
    device: Device
    precision: Precision
    workers: Workers


class GalleryRename(Settings):
    """Settings of `lookalike gallery rename`."""

    gallery: Place
    label: Text = Field(description="as it is")
    to: Text = Field(description="as it shall be; a label that is there already needs merge")
    note: Note


class GalleryMerge(Settings):
    """Settings of `lookalike gallery merge`."""

    gallery: Place
    labels: Annotated[list[Text], Field(min_length=1), BeforeValidator(_listed)] = Field(
        description='those that become one, such as [Kiwi,"Kiwi, green"]'
    )
    to: Text = Field(description="one of them, another label or a new one")
    note: Note


class GalleryMove(Settings):
    """Settings of `lookalike gallery move`."""

    gallery: Place
    image: Numbers = Field(description="numbers of images, such as 7, 7,8 or 7-9; list label=... shows them")
    to: Text = Field(description="their label, which may be new")
    note: Note


class GalleryConfirm(Settings):
    """Settings of `lookalike gallery confirm`."""

    gallery: Place
    image: Numbers = Field(description="numbers of images, such as 7, 7,8 or 7-9, whose labels are right")
    note: Note


class GalleryRemove(_Chosen):
    """Settings of `lookalike gallery remove`."""


class GalleryForget(_Chosen):
    """Settings of `lookalike gallery forget`."""


class GalleryUndo(Settings):
    """Settings of `lookalike gallery undo`."""

    gallery: Place
    change: Number | None = Field(description="its number, as log tells it; null = the last one")
    note: Note


class GalleryList(Settings):
    """Settings of `lookalike gallery list`."""

    gallery: Place
    label: Text | None = Field(description="show its images; null = all labels with how many images they have")
    at: Annotated[int, Field(ge=0)] | None = Field(description="as it was after a change; null = as it is")


class GalleryLog(Settings):
    """Settings of `lookalike gallery log`."""

    gallery: Place
    most: Count = Field(description="changes at most, the latest first")


class GalleryHealth(Settings):
    """Settings of `lookalike gallery health`."""

    gallery: Place
    most: Count = Field(description="doubted images at most, the most similar to another label first")


class GalleryVerify(Settings):
    """Settings of `lookalike gallery verify`."""

    gallery: Place


class GalleryCompact(Settings):
    """Settings of `lookalike gallery compact`."""

    gallery: Place


class GalleryExport(Settings):
    """Settings of `lookalike gallery export`."""

    gallery: Place
    output: PathText = Field(description="folder to write")


class GalleryImport(Settings):
    """Settings of `lookalike gallery import`."""

    gallery: Place
    input: PathText = Field(description="folder that gallery export or lookalike embed wrote, or a bundle")
    keep_copies: KeepCopies
    note: Note


class GalleryReembed(GalleryCreate):
    """Settings of `lookalike gallery reembed`."""

    note: Note


class GallerySuggest(Settings):
    """Settings of `lookalike gallery suggest`."""

    gallery: Place
    images: PathText | None = Field(description="folder of unknown images; null = what keep_unknown kept")
    least: Count = Field(description="images that make a group; those of one moment count once")
    output: PathText = Field(description="folder of suggestions.html and suggestions.csv, which gallery add reads")
    bundle: Bundle
    device: Device
    precision: Precision
    workers: Workers
