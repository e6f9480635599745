"""What a service takes, as types: the text of its OpenAPI document, and the check of what is sent."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lookalike.serving.uploads import Options, few, json_field

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Note = Annotated[str, Field(max_length=2000, description="why, for the log")]
Number = Annotated[int, Field(ge=1, lt=2**63)]
Most = Annotated[int, Field(ge=1, le=10_000)]
Scalar = str | int | float | bool | None
Names = Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=1000)]
_ManyNames = Annotated[list[Text], Field(fail_fast=True, min_length=1, max_length=10_000)]
_Numbers = Annotated[list[Number], Field(fail_fast=True, min_length=1, max_length=10_000)]
Numbers = Annotated[Number | _Numbers, Field(description="number of an image, or a list of several")]
Index = Annotated[Literal["ivf"] | None, Field(description="ivf = approximate, of at least 10,000 images")]
_Side = Annotated[float, Field(ge=0, le=1e9)]
_Box = Annotated[list[_Side], Field(fail_fast=True, min_length=4, max_length=4)]
Boxes = Annotated[list[_Box | None], Field(fail_fast=True, max_length=10_000)]
_Row = Annotated[list[float], Field(fail_fast=True)]  # a list of a million wrong values is one error, not a million
_Values = Annotated[list[Scalar], Field(fail_fast=True, max_length=10_000)]
Filter = Annotated[dict[str, Scalar | _Values], BeforeValidator(few)]
Columns = Annotated[dict[Text, Scalar | _Values], BeforeValidator(few)]
K = Annotated[int, Field(ge=1, le=1000)]
MOST_NEIGHBOURS = 100_000  # in one answer of a search: embeddings times k
_OF_BOXES = "JSON: per image the part that is used, [x1, y1, x2, y2] in pixels of the upright image; null = all of it"
_EXAMPLE = {"label": ["Kiwi", "Leek"]}


class PredictOptions(Options):
    """Beside the images of /v1/predict."""

    k: K | None = Field(default=None, description="neighbours, each with one vote; none = ten, voting as was best")
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        default=None, description="similarity that the nearest must exceed, else the label is unknown"
    )
    false_accept_rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="share of unknown images that may get a name; chooses the threshold"
    )
    where: Filter | None = json_field(f"JSON: search only images with these values, such as {_EXAMPLE}")
    unless: Filter | None = json_field('JSON: leave out images with these values, such as {"camera": 3}')
    index: Index = None
    boxes: Boxes | None = json_field(_OF_BOXES)
    keep_unknown: bool = Field(default=False, description="keep images that are called unknown; needs a write token")


class ExplainOptions(Options):
    """Beside the image of /v1/explain."""

    number: Number = Field(description="of the enrolled image, as a prediction tells it")
    box: _Box | None = json_field("JSON: the part of the image that is used, as of boxes")


class AddOptions(Options):
    """Beside the images of /v1/gallery/add."""

    label: Text | None = Field(default=None, description="of all images of the request")
    labels: Names | None = json_field("JSON: a label for each image, in place of label")
    camera: int | None = Field(default=None, description="what took them")
    cameras: Annotated[list[int | None], Field(fail_fast=True, max_length=10_000)] | None = json_field(
        "JSON: what took each image, in place of camera"
    )
    columns: Columns | None = json_field(
        'JSON: what else is known of them, such as {"shelf": "B3"}: a value for all, or a list of one each'
    )
    boxes: Boxes | None = json_field(_OF_BOXES)
    note: Note = ""
    keep_copies: bool = Field(default=False, description="enrol images once more that are there already")
    all_or_nothing: bool = Field(default=False, description="enrol none where one image cannot be used")

    @model_validator(mode="after")
    def _clear(self) -> "AddOptions":
        if (self.label is None) == (self.labels is None):
            raise ValueError("expected label, or labels with one for each image")
        if self.camera is not None and self.cameras is not None:
            raise ValueError("expected camera, or cameras with one for each image, got both")
        return self


class SearchOptions(Options):
    """The body of /v1/search."""

    embeddings: Annotated[list[_Row], Field(fail_fast=True, min_length=1, max_length=1000)] = Field(
        description="float32 [Q, D] of unit length, made by the model of the gallery"
    )
    k: K = 10
    where: Filter | None = None
    unless: Filter | None = None
    index: Index = None


class EmbedOptions(Options):
    """Beside the images of /v1/embed."""

    boxes: Boxes | None = json_field(_OF_BOXES)


class RenameOptions(Options):
    """The body of /v1/gallery/rename."""

    label: Text
    to: Text
    note: Note = ""


class MergeOptions(Options):
    """The body of /v1/gallery/merge."""

    labels: Names
    to: Text
    note: Note = ""


class MoveOptions(Options):
    """The body of /v1/gallery/move."""

    image: Numbers
    to: Text
    note: Note = ""


class ConfirmOptions(Options):
    """The body of /v1/gallery/confirm."""

    image: Numbers
    note: Note = ""


class RemoveOptions(Options):
    """The body of /v1/gallery/remove and /v1/gallery/forget: exactly one of label, image and source."""

    label: Text | _ManyNames | None = Field(default=None, description="one, or a list of several")
    image: Numbers | None = None
    source: Text | None = None
    note: Note = ""

    def chosen(self) -> dict[str, Any]:
        """As `Gallery.remove` and `Gallery.forget` take it."""
        return {"label": self.label, "image": self.image, "source": self.source, "note": self.note}


class UndoOptions(Options):
    """The body of /v1/gallery/undo."""

    change: Number
    note: Note = ""


class EnrolUnknownOptions(Options):
    """The body of /v1/unknown/enrol."""

    names: Names = Field(description="of kept images")
    label: Text
    note: Note = ""


class DiscardUnknownOptions(Options):
    """The body of /v1/unknown/discard."""

    names: Names = Field(description="of kept images")


class NoOptions(Options):
    """Nothing stands in the address."""


class ImagesOptions(Options):
    """The address of /v1/gallery/images."""

    label: Text
    first: Annotated[int, Field(ge=0, lt=2**63)] = 0
    most: Most = 100


class LogOptions(Options):
    """The address of /v1/gallery/log."""

    most: Most = 50
    before: Number | None = Field(default=None, description="only changes with a smaller number; none = the latest")


class UnknownOptions(Options):
    """The address of /v1/unknown/groups."""

    least: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="images that make a group")
